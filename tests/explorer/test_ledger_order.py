"""In which order a history stands: what waits is told by servers in any order, and stands behind what it spends."""

from __future__ import annotations

import random

from explorer.address.ledger import Item, Ledger
from explorer.address.raw import Flow
from support.each import each

SCRIPT = b"\x51"


def test_what_waits_stands_behind_what_it_spends() -> None:
    chance = random.Random(3)
    ledger, items = Ledger(SCRIPT), [Item("a", 5), Item("b", 5)]
    ledger.read("a", Flow([], [(100, SCRIPT)]))
    ledger.read("b", Flow([("a", 0)], [(90, SCRIPT)]))
    before = "b"
    for number in range(40):
        txid = f"{chance.randrange(10**9)}-{number}"
        ledger.read(txid, Flow([(before, 0)], [(10_000 - 200 * number, SCRIPT)]))
        items.append(Item(txid, None))
        before = txid
    told = items[:2] + chance.sample(items[2:], 40)
    assert ledger.ordered(told) == items
    entries = ledger.entries(ledger.ordered(told))
    assert each((entry.balance or 0) > 0 for entry in entries)
    assert [entry.balance for entry in entries][-1] == 2_200
    assert min(entry.balance or 0 for entry in ledger.entries(told)) < 0, "as they were told it would have been"


def test_what_cannot_be_ends() -> None:
    ledger = Ledger(SCRIPT)
    for txid, other in (("a", "b"), ("b", "a")):
        ledger.read(txid, Flow([(other, 0)], [(1, SCRIPT)]))
    items = [Item("b", None), Item("a", None)]
    assert {item.txid for item in ledger.ordered(items)} == {"a", "b"}
