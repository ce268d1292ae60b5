"""The walk along a wallet's chains: any order of answers gives the same wallet; and what its scripts hold together."""

from __future__ import annotations

import random
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.wallet.branches import Branch, Wallet
from explorer.wallet.chains import UNUSED, Told, Touch, Walk
from explorer.wallet.merging import POINTS_MOST, found, merged
from explorer.wallet.read import read
from shared.lookups.address import Unspent
from shared.lookups.parts import Tip
from shared.lookups.wallet import PAGE, Found, Role
from support.each import each
from support.wallet_samples import BIP_84, BIP_86

TIP = Tip(height=900, hash="00" * 32, time=1_700_000_000)
ROLES: tuple[Role, ...] = ("receive", "change", "other")


def script_of(chain: int, index: int) -> bytes:
    """A P2WPKH of its own; every chain's 13th is that of the chain before, as where two descriptors overlap."""
    if index == 13 and chain:
        chain -= 1
    return b"\x00\x14" + bytes([chain]) + index.to_bytes(19, "big")


def wallet(chains: int) -> Wallet:
    return Wallet(
        "main",
        tuple(Branch("wpkh", ROLES[min(at, 2)], f"{at}/", partial(script_of, at)) for at in range(chains)),
    )


def world(used: list[set[int]], seed: int) -> dict[bytes, Told]:
    """What a server knows: transactions that touch one or several of the scripts that were used."""
    chance = random.Random(seed)
    scripts = sorted({script_of(chain, index) for chain, some in enumerate(used) for index in some})
    touches: dict[bytes, list[Touch]] = {script: [] for script in scripts}
    for number in range(2 * len(scripts)):
        height = chance.choice([None, chance.randrange(1, 900)])
        for script in chance.sample(scripts, chance.randrange(1, min(4, len(scripts)) + 1)):
            touches[script].append(
                Touch(
                    txid=f"{number:064x}",
                    height=height,
                    position=None if height is None else number,
                    time=None if height is None else 1_600_000_000 + 600 * height,
                    change=chance.randrange(-1_000, 1_000),
                )
            )
    told = {}
    for script, history in touches.items():
        confirmed = sum(touch.change or 0 for touch in history if touch.height is not None)
        told[script] = Told(
            used=True,
            confirmed=confirmed,
            unconfirmed=sum(touch.change or 0 for touch in history if touch.height is None),
            tx_count=len(history),
            history=history,
            coins=[
                Unspent(txid=touch.txid, vout=0, value=abs(touch.change or 0), height=touch.height) for touch in history
            ],
        )
    return told


def shown(walk: Walk, page: int = 0) -> Found:
    return found(walk, tip=TIP, as_of_ms=1, page=page)


def in_order(walk: Walk, known: dict[bytes, Told]) -> Walk:
    while not walk.complete:
        for script in walk.batch():
            walk.tell(script, known.get(script, UNUSED))
    return walk


SETS = st.lists(st.sets(st.integers(0, 70), max_size=12), min_size=1, max_size=4)


@given(used=SETS, gap=st.integers(1, 25), seed=st.integers(0, 2**32))
def test_any_order_of_answers_gives_the_same_wallet(used: list[set[int]], gap: int, seed: int) -> None:
    known = world(used, seed)
    expected = in_order(Walk(wallet(len(used)), gap), known)
    chance = random.Random(seed)
    walk, waiting = Walk(wallet(len(used)), gap), list[bytes]()
    while not walk.complete:
        what = chance.random()
        if what < 0.3:
            waiting += walk.batch(chance.randrange(1, 30), seconds=chance.choice([0.0, 1.0]))
        elif what < 0.98 and waiting:
            script = waiting.pop(chance.randrange(len(waiting)))
            walk.tell(script, known.get(script, UNUSED))
        elif what < 0.99:  # whoever was asked is gone
            waiting.clear()
            walk.again()
        elif what >= 0.99:  # another walk is told the same answers
            fresh = Walk(wallet(len(used)), gap)
            for script, told in walk.answers.items():
                fresh.tell(script, told)
            walk, waiting = fresh, []
        if what > 0.95:
            view = shown(walk)  # what is known so far can always be shown
            assert view.used_count <= shown(expected).used_count
            assert not view.complete or view == shown(expected)
    assert shown(walk) == shown(expected)
    assert [script for script, *_ in walk.scripts] == [script for script, *_ in expected.scripts]


@given(used=SETS, gap=st.integers(1, 25))
def test_where_a_walk_ends(used: list[set[int]], gap: int) -> None:
    """Worked out otherwise: a chain ends where `gap` scripts in a row were not used."""
    known = world(used, 1)
    walk = in_order(Walk(wallet(len(used)), gap), known)
    for number, chain in enumerate(walk.chains):
        index, unused = 0, 0
        while unused < gap:
            unused = 0 if script_of(number, index) in known else unused + 1
            index += 1
        assert chain.limit == index
    assert shown(walk).complete
    assert not walk.more


def test_what_is_asked_for() -> None:
    """20 of each chain at first, taken in turn; each script once, and more where one is used."""
    walk = Walk(read(BIP_84, "main"))
    receive, change = walk.wallet.branches
    first = walk.batch(10, seconds=9)
    assert first == [branch.script(index) for index in range(5) for branch in (receive, change)]
    assert walk.batch(100, seconds=9) == [b.script(index) for index in range(5, 20) for b in (receive, change)]
    assert walk.batch(seconds=9) == []
    assert not walk.complete
    walk.tell(first[2], Told(used=True))  # 0/1
    assert walk.batch(seconds=9) == [receive.script(20), receive.script(21)]


def test_a_script_of_two_chains_is_asked_for_once() -> None:
    """Also while its answer is awaited."""
    walk, asked = Walk(wallet(3)), list[bytes]()
    while batch := walk.batch(1, seconds=9):
        asked += batch
    assert len(asked) == len(set(asked)) == 3 * 20 - 1


def test_slices() -> None:
    """A batch ends when its time is up, with at least one script."""
    moments = iter(range(100))
    walk = Walk(read(BIP_84, "main"))
    assert len(walk.batch(100, seconds=3, clock=lambda: next(moments))) == 3
    assert len(walk.batch(100, seconds=0, clock=lambda: 0)) == 1
    assert walk.more


def test_what_an_unused_one_means_later() -> None:
    """A payment that was replaced, or whose block went: the wallet is shorter again."""
    walk = in_order(Walk(wallet(1), 5), {script_of(0, 3): Told(used=True, confirmed=0)})
    assert (walk.chains[0].limit, shown(walk).used_count) == (9, 1)
    walk.tell(script_of(0, 3), UNUSED)
    assert (walk.chains[0].limit, shown(walk).looked_at, shown(walk).used_count) == (5, 5, 0)
    assert walk.complete


def test_a_wallet_without_end() -> None:
    """Where every script is used the walk stops somewhere, and says so."""
    walk = Walk(wallet(2), 20, most=300)
    while not walk.complete:
        for script in walk.batch():
            walk.tell(script, Told(used=True, confirmed=1, unconfirmed=0, tx_count=1, history=[], coins=[]))
    assert (shown(walk).truncated, shown(walk).looked_at) == (True, 299)  # one script is shared


def test_next_addresses() -> None:
    walk = in_order(Walk(read(BIP_84, "main")), {})
    assert (view := shown(walk)).next_receive is not None
    assert (view.next_receive.path, view.next_receive.address) == ("0/0", "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu")
    walk.tell(walk.chains[0].scripts[1], Told(used=True, confirmed=5, unconfirmed=0, tx_count=1, history=[], coins=[]))
    assert shown(walk).next_receive is None  # two more are to be looked at first
    in_order(walk, {})
    view = shown(walk)
    assert view.next_receive is not None
    assert view.next_change is not None
    assert (view.next_receive.path, view.next_change.path) == ("0/2", "1/0")
    assert view.form == "wpkh"


def test_next_addresses_of_a_key_that_may_be_four_things() -> None:
    walk = in_order(Walk(read(BIP_86, "main")), {})
    view = shown(walk)
    assert (view.form, view.next_receive, view.next_change) == ("", None, None)  # nobody knows which it is
    assert {chain.form for chain in view.chains} == {"pkh", "sh(wpkh)", "wpkh", "tr"}
    assert each(chain.next is not None and chain.complete for chain in view.chains)
    taproot = next(chain for chain in walk.chains if chain.branch.form == "tr")
    walk.tell(taproot.scripts[0], Told(used=True, confirmed=1, unconfirmed=0, tx_count=1, history=[], coins=[]))
    view = shown(in_order(walk, {}))
    assert view.form == "tr"
    assert view.next_receive is not None
    assert view.next_receive.address == "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh"


def touch(number: int, height: int | None, change: int | None, **more: int | None) -> Touch:
    return Touch(txid=f"{number:064x}", height=height, change=change, **more)


def test_a_transaction_that_touches_several_counts_once() -> None:
    """From one address to another of the same wallet: what changes is the fee."""
    sent, got = touch(2, 11, -1_000, time=200, fee=10), touch(2, 11, 990, time=200)
    entries = merged([[touch(1, 10, 1_000, time=100), sent], [got]])
    assert entries is not None
    assert [(entry.change, entry.balance, entry.fee) for entry in entries] == [(1_000, 1_000, None), (-10, 990, 10)]


def test_the_order_of_a_history() -> None:
    """By height and place; what waits last; where places are not known, what came before what went."""
    entries = merged(
        [
            [
                touch(9, None, -3),
                touch(5, 7, -4),
                touch(6, 7, 5),
                touch(1, 3, 2, position=8),
                touch(2, 3, -1, position=4),
            ],
            [touch(3, 3, 10, position=1)],
        ]
    )
    assert entries is not None
    assert [int(entry.txid, 16) for entry in entries] == [3, 2, 1, 6, 5, 9]
    assert [entry.balance for entry in entries] == [10, 9, 11, 16, 12, 9]


def test_one_of_two_servers_saw_it_mined() -> None:
    assert merged([[touch(1, None, 5)], [touch(1, 7, 6, position=2, time=9)]]) == merged(
        [[touch(1, 7, 6, position=2, time=9)], [touch(1, None, 5)]]
    )
    entries = merged([[touch(1, None, 5)], [touch(1, 7, 6, position=2, time=9)]])
    assert entries is not None
    assert (entries[0].height, entries[0].time, entries[0].change) == (7, 9, 11)


def test_what_is_not_known_is_not_zero() -> None:
    assert merged([[touch(1, 1, 5)], None]) is None
    entries = merged([[touch(1, 1, 5), touch(2, 2, None), touch(3, 3, 1)]])
    assert entries is not None
    assert [(entry.change, entry.balance) for entry in entries] == [(5, 5), (None, None), (1, None)]
    walk = Walk(wallet(1), 2)
    for script in walk.batch():
        walk.tell(script, Told(used=script == script_of(0, 0), confirmed=7, coins=None))
    view = shown(in_order(walk, {}))
    assert (view.confirmed, view.unconfirmed, view.received, view.sent) == (7, None, None, None)
    assert (view.history, view.tx_count, view.points, view.coins_known) == (None, None, None, False)
    assert (view.used[0].balance, view.used[0].unconfirmed, view.used[0].tx_count) == (7, None, None)


@given(used=SETS, seed=st.integers(0, 2**32))
def test_sums(used: list[set[int]], seed: int) -> None:
    """The last balance of the history is that of all scripts; what came less what went is what is there."""
    known = world(used, seed)
    walk = in_order(Walk(wallet(len(used)), 80), known)  # none is too far away
    view = shown(walk)
    assert view.confirmed is not None
    assert view.unconfirmed is not None
    assert view.received is not None
    assert view.sent is not None
    assert view.confirmed == view.received - view.sent
    entries = merged(told.history for told in known.values())
    assert entries is not None
    assert view.tx_count == len(entries) == len({t.txid for told in known.values() for t in told.history or ()})
    if entries:
        assert entries[-1].balance == view.confirmed + view.unconfirmed
        pages = [entry for page in range(len(entries) // PAGE + 1) for entry in shown(walk, page).history or ()]
        assert pages == entries[::-1]
    assert view.coin_count == sum(len(told.coins or ()) for told in known.values())


def test_points() -> None:
    history = [touch(number, number, 1, time=1_000 * number) for number in range(1, 5_001)]
    walk = Walk(Wallet("main", (Branch("addresses", "other", "", lambda _: b"\x51", 1, first=1),)))
    walk.tell(b"\x51", Told(used=True, confirmed=5_000, unconfirmed=0, tx_count=5_000, history=history, coins=[]))
    view = shown(in_order(walk, {}))
    points = view.points
    assert points is not None
    assert (len(points), points[0].balance, points[-1].balance) == (POINTS_MOST, 1, 5_000)
    assert points == sorted(points, key=lambda point: point.time)
    assert (view.complete, view.looked_at, view.used[0].path) == (True, 1, "")


def test_a_clock_of_blocks_that_goes_back() -> None:
    walk = Walk(Wallet("main", (Branch("addresses", "other", "", lambda _: b"\x51", 1, first=1),)))
    history = [touch(1, 1, 5, time=1_000), touch(2, 2, -2, time=900), touch(3, 3, 1, time=1_100)]
    walk.tell(b"\x51", Told(used=True, history=history))
    points = shown(in_order(walk, {})).points
    assert points is not None
    assert [(point.time, point.balance) for point in points] == [(1_000, 3), (1_100, 4)]


@pytest.mark.parametrize("count", [1, 3])
def test_addresses_end(count: int) -> None:
    scripts = [script_of(0, index) for index in range(count)]
    branch = Branch("addresses", "other", "", scripts.__getitem__, count, first=1)
    walk = in_order(Walk(Wallet("main", (branch,))), {scripts[0]: Told(used=True, confirmed=1)})
    assert (walk.complete, shown(walk).looked_at, shown(walk).chains[0].next) == (True, count, None)
