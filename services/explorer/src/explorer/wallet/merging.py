"""What the scripts of a wallet hold together: one history, one balance, one list of coins.

A transaction that touches several of them counts once, with the sum of its changes: what went from one to another is
no change at all but for the fee.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from explorer.wallet.chains import Chain, Told, Touch, Walk
from shared.lookups import wallet as answers
from shared.lookups.address import Entry, Point, Unspent
from shared.lookups.parts import Source, Tip
from shared.scripts.kinds import kind_of

POINTS_MOST: Final = 400

T = TypeVar("T")


def found(
    walk: Walk,
    *,
    tip: Tip,
    behind: int = 0,
    as_of_ms: int,
    times: Mapping[int | None, int] | None = None,
    page: int = 0,
    coins_page: int = 0,
    sources: dict[str, Source] | None = None,
    without: str = "",
) -> answers.Found:
    """What is known so far, as web shows it; `times` (Unix seconds) of blocks by height, where touches have none.

    Some 20 ms for 1,000 used addresses with 5,000 transactions: call it beside the event loop.
    """
    told = [(told, script, chain, index) for script, chain, index in walk.scripts if (told := walk.told(script))]
    used = [each for each in told if each[0].used]
    entries = merged((t.history for t, *_ in used), times or {})
    coins = [(coin, script, chain, index) for t, script, chain, index in used for coin in t.coins or ()]
    coins.sort(key=lambda row: (-row[0].value, row[0].txid, row[0].vout))
    forms = list(dict.fromkeys(chain.branch.form for chain in walk.chains))
    used_forms = list(dict.fromkeys(chain.branch.form for _, _, chain, _ in used)) if len(forms) > 1 else forms
    return answers.Found(
        form=" + ".join(used_forms),
        confirmed=_sum(t.confirmed for t, *_ in used),
        unconfirmed=_sum(t.unconfirmed for t, *_ in used),
        received=_turnover(entries, 1),
        sent=_turnover(entries, -1),
        used=[_used(walk, *each) for each in used[: answers.USED_MOST]],
        used_count=len(used),
        chains=[_chain(walk, chain) for chain in walk.chains],
        next_receive=_next(walk, "receive", used_forms),
        next_change=_next(walk, "change", used_forms),
        looked_at=len(told),
        complete=walk.complete,
        truncated=walk.truncated,
        history=None if entries is None else _page(entries[::-1], page, answers.PAGE),
        tx_count=None if entries is None else len(entries),
        page=page,
        coins=[_held(walk, *row) for row in _page(coins, coins_page, answers.COINS_PAGE)],
        coin_count=len(coins),
        coins_page=coins_page,
        coins_known=all(t.coins is not None for t, *_ in used),
        points=_points(entries),
        gap=walk.gap,
        tip=tip,
        behind=behind,
        sources=sources or {},
        without=without,
        as_of_ms=as_of_ms,
    )


def merged(
    histories: Iterable[list[Touch] | None], times: Mapping[int | None, int] | None = None
) -> list[Entry] | None:
    """One history, oldest first, what waits last; None where one of them is unknown.

    Within a block the order is that of the places in it; where those are not known, what came stands before what went.
    """
    touches: dict[str, list[Touch]] = {}
    for history in histories:
        if history is None:
            return None
        for touch in history:
            touches.setdefault(touch.txid, []).append(touch)
    rows = [_one(several) for several in touches.values()]
    blocks_without = {row.height for row in rows if row.position is None}

    def place(row: Touch) -> tuple[bool, int, int, int, str]:
        known = None if row.height in blocks_without else row.position
        return (
            row.height is None,
            row.height or 0,
            known or 0,
            0 if known is not None else -(row.change or 0),
            row.txid,
        )

    rows.sort(key=place)
    entries, balance = list[Entry](), 0
    known = True
    for row in rows:
        known = known and row.change is not None
        balance += row.change or 0
        entries.append(
            Entry(
                txid=row.txid,
                height=row.height,
                time=row.time if row.time is not None or times is None else times.get(row.height),
                change=row.change,
                balance=balance if known else None,
                fee=row.fee,
            )
        )
    return entries


def _one(several: list[Touch]) -> Touch:
    """One transaction as several scripts tell of it: in a block as soon as one of them says so."""
    if len(several) == 1:
        return several[0]
    best = min(several, key=lambda touch: (touch.height is None, touch.height or 0, touch.position is None))
    return Touch(
        txid=best.txid,
        height=best.height,
        position=next((t.position for t in several if t.height == best.height and t.position is not None), None),
        time=best.time if best.time is not None else _first(t.time for t in several if t.height == best.height),
        change=_sum(touch.change for touch in several),
        fee=_first(touch.fee for touch in several),
    )


def _first(values: Iterable[int | None]) -> int | None:
    """The least that is known: whoever says it first, the answer is the same."""
    return min((value for value in values if value is not None), default=None)


def _sum(values: Iterable[int | None]) -> int | None:
    """None where one of them is unknown."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _turnover(entries: list[Entry] | None, sign: int) -> int | None:
    if entries is None:
        return None
    changes = [entry.change for entry in entries if entry.height is not None]
    return _sum(None if change is None else max(0, sign * change) for change in changes)


def _points(entries: list[Entry] | None) -> list[Point] | None:
    """The balance after each moment in blocks; of many moments every so many, the first and the last among them."""
    moments: dict[int, int] = {}
    for entry in entries or ():
        if entry.height is None:
            continue
        if entry.time is None or entry.balance is None:
            return None
        # Times of blocks may go back by two hours; a balance of before must not stand behind a later one.
        moments[max(entry.time, next(reversed(moments), 0))] = entry.balance
    if entries is None:
        return None
    points = [Point(time=moment, balance=balance) for moment, balance in moments.items()]
    if len(points) <= POINTS_MOST:
        return points
    return [points[at * (len(points) - 1) // (POINTS_MOST - 1)] for at in range(POINTS_MOST)]


def _page(rows: Sequence[T], page: int, size: int) -> list[T]:
    return list(rows[page * size : (page + 1) * size])


def _held(walk: Walk, coin: Unspent, script: bytes, chain: Chain, index: int) -> answers.Held:
    return answers.Held(
        txid=coin.txid,
        vout=coin.vout,
        value=coin.value,
        height=coin.height,
        coinbase=coin.coinbase,
        path=chain.branch.path(index),
        address=walk.address(script),
    )


def _used(walk: Walk, told: Told | None, script: bytes, chain: Chain, index: int) -> answers.Used:
    """An address as it is shown; of the next one nothing was told yet, or that it has nothing."""
    return answers.Used(
        path=chain.branch.path(index),
        address=walk.address(script),
        script=script.hex(),
        kind=kind_of(script),
        balance=None if told is None else told.confirmed,
        unconfirmed=None if told is None else told.unconfirmed,
        tx_count=None if told is None else told.tx_count,
    )


def _chain(walk: Walk, chain: Chain) -> answers.Chain:
    due = chain.scripts[: chain.limit]
    return answers.Chain(
        form=chain.branch.form,
        role=chain.branch.role,
        looked_at=sum(walk.told(script) is not None for script in due),
        used_count=len(chain.used),
        complete=walk.is_complete(chain),
        next=_next_of(walk, chain),
    )


def _next_of(walk: Walk, chain: Chain) -> answers.Used | None:
    """The first behind the last used one, once it is certain that it is: an address is not to be used twice."""
    index = chain.next_index
    if index is None or index >= len(chain.scripts) or not walk.is_complete(chain):
        return None
    script = chain.scripts[index]
    return _used(walk, walk.told(script), script, chain, index)


def _next(walk: Walk, role: answers.Role, forms: list[str]) -> answers.Used | None:
    """That of the one form that is used; where several are, or none of several, it is not for us to choose."""
    chains = [chain for chain in walk.chains if chain.branch.role == role and chain.branch.form in forms]
    return _next_of(walk, chains[0]) if len(chains) == 1 else None
