"""The account of one script: what each transaction of its history moved, and the balance after it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from explorer.address.raw import Flow
from explorer.electrum.answers import Used
from shared.lookups.address import PAGE, Entry, Moved, Unspent

POINTS: Final = 400
"""Points of the balance over time."""


@dataclass(frozen=True, slots=True)
class Item:
    """A transaction of the history; `height` None: it waits in the mempool."""

    txid: str
    height: int | None
    fee: int | None = None


@dataclass(slots=True)
class Ledger:
    """What is known of the transactions of one script. Flows are kept, so that a longer history needs the new ones."""

    script: bytes
    _made: dict[tuple[str, int], int] = field(default_factory=dict)  # outputs to the script, satoshi
    _spent: dict[str, list[tuple[str, int]]] = field(default_factory=dict)  # txid -> what it spends
    _into: dict[str, int] = field(default_factory=dict)  # txid -> satoshi that it pays to the script

    def __len__(self) -> int:
        """Transactions that were read."""
        return len(self._spent)

    def missing(self, items: Iterable[Item]) -> list[str]:
        """Transactions that have not been read yet."""
        return [item.txid for item in items if item.txid not in self._spent]

    def read(self, txid: str, flow: Flow) -> None:
        """Take in one transaction."""
        paid = 0
        for number, (value, script) in enumerate(flow.makes):
            if script == self.script:
                self._made[txid, number] = value
                paid += value
        self._into[txid] = paid
        self._spent[txid] = flow.spends

    def forget(self, txid: str) -> None:
        """It has nothing to do with the script."""
        del self._into[txid], self._spent[txid]

    def ordered(self, items: Sequence[Item]) -> list[Item]:
        """The history with what waits behind what it spends: servers tell it in any order, and a balance that is put
        together in that may fall below zero. All of it must have been read.
        """
        found = [item for item in items if item.height is not None]
        left = {item.txid: item for item in sorted(items, key=lambda item: item.txid) if item.height is None}
        while left:
            ready = [txid for txid in left if not any(parent in left for parent, _ in self._spent[txid])]
            found += [left.pop(txid) for txid in ready or list(left)]  # no transactions spend each other in a circle
        return found

    def entries(self, items: Sequence[Item]) -> list[Entry]:
        """The history, in the order given (oldest first), with changes and running balance."""
        balance, found = 0, []
        for item in items:
            change = self.received(item.txid) - self.sent(item.txid)
            balance += change
            found.append(Entry(txid=item.txid, height=item.height, change=change, balance=balance, fee=item.fee))
        return found

    def coins(self, items: Sequence[Item]) -> list[Unspent]:
        """What these transactions made and none of them spends, in the order in which it was made."""
        heights = {item.txid: item.height for item in items}
        spent = {outpoint for txid in heights for outpoint in self._spent[txid]}
        return [
            Unspent(txid=txid, vout=vout, value=value, height=heights[txid], coinbase=not self._spent[txid])
            for (txid, vout), value in self._made.items()
            if txid in heights and (txid, vout) not in spent
        ]

    def moved(self, txids: Iterable[str]) -> Moved:
        """What these transactions together pay to the script, and spend of it."""
        wanted = set(txids)
        made = [value for (txid, _), value in self._made.items() if txid in wanted]
        spent = [self._made[one] for txid in wanted for one in self._spent[txid] if one in self._made]
        return Moved(funded=len(made), funded_sum=sum(made), spent=len(spent), spent_sum=sum(spent))

    def received(self, txid: str) -> int:
        """Satoshi that a transaction pays to the script."""
        return self._into[txid]

    def sent(self, txid: str) -> int:
        """Satoshi of the script's coins that a transaction spends."""
        return sum(self._made.get(outpoint, 0) for outpoint in self._spent[txid])


class Worked(NamedTuple):
    """What a page shows of a history."""

    shown: Sequence[Entry]  # oldest first
    points: Sequence[Entry] = ()
    moved: Moved | None = None  # in blocks; None: not worked out
    waiting: Moved | None = None


def worked_out(ledger: Ledger, items: Sequence[Item], page: int, after: str) -> Worked:
    """Of a history whose transactions have all been read."""
    items = ledger.ordered(items)
    every = ledger.entries(items)
    return Worked(
        every[page_of([item.txid for item in items], page, after)],
        thinned(every, POINTS),
        ledger.moved(item.txid for item in items if item.height is not None),
        ledger.moved(item.txid for item in items if item.height is None),
    )


def bare(history: Sequence[Used], page: int, after: str) -> list[Entry]:
    """A page of a history that is too long for more, oldest first."""
    shown = history[page_of([one.txid for one in history], page, after)]
    return [Entry(txid=one.txid, height=one.height if one.height > 0 else None, fee=one.fee) for one in shown]


def page_of(txids: Sequence[str], page: int, after: str = "") -> slice:
    """The part of a history, oldest first, that is this page of it, or that ends before `after`.

    It is empty where `after` is none of them.
    """
    end = max(0, len(txids) - page * PAGE)
    if after:
        end = txids.index(after) if after in txids else 0
    return slice(max(0, end - PAGE), end)


def thinned(entries: Sequence[Entry], most: int) -> list[Entry]:
    """At most so many, evenly, the first and the last among them; of one block the last."""
    of_blocks = {entry.height: entry for entry in entries if entry.height is not None}
    left = list(of_blocks.values())
    if len(left) <= most:
        return left
    step = (len(left) - 1) / (most - 1)
    return [left[round(at * step)] for at in range(most)]
