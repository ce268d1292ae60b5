"""What was last seen at each published address, and what follows from another look: moves, and the view. No I/O.

What is kept of an address is written by the commit that tells what became another: whoever takes over compares with
that, so that each move is told once, also one that happened while nobody looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from explorer.electrum.script import Script
from explorer.treasury.published import Holder
from shared.domains import TREASURIES
from shared.events.treasuries import Source, TreasuriesSeen, TreasuryMoved
from shared.explorer_views import MOVES_SHOWN, SeenAddress, SeenHolder, SeenMove, SeenTreasuriesView, Unseen
from shared.fold import Changes
from shared.keys import Keys

WAITING = 100
"""Transactions of one address that wait and are remembered: of more, nobody is told which one it was."""


class Known(msgspec.Struct, frozen=True):
    """What is kept of one script."""

    confirmed: int  # satoshi
    unconfirmed: int | None
    height: int
    as_of_ms: int
    since_ms: int
    waiting: list[str] | None = None  # transactions that wait, sorted; None: not known, or too many
    moves: list[SeenMove] = []


class Told(NamedTuple):
    """What was told of one script."""

    confirmed: int
    unconfirmed: int | None
    waiting: list[str] | None = None
    txid: str = ""  # of the one transaction that made the difference, where the source knows it


class Failure(NamedTuple):
    """Why nothing was told of it."""

    why: Unseen
    detail: str


class Look(NamedTuple):
    """One look at some scripts, by their hashes."""

    told: Mapping[str, Told | Failure]
    height: int
    as_of_ms: int


class Balances:
    """Of everything that is followed."""

    def __init__(self, keys: Keys, source: Source) -> None:
        self._keys = keys
        self._source: Source = source
        self.restored({})

    def restored(self, stored: Mapping[bytes, bytes]) -> list[str]:
        """Go on from the state in Redis; returns what of it cannot be read: its next look is a first one."""
        self.holders: tuple[Holder, ...] = ()
        self.known: dict[str, Known] = {}
        self._failures: dict[str, Failure] = {}
        self._shown: SeenTreasuriesView | None = None
        self._dirty: set[str] = set()
        self._events: list[TreasuryMoved] = []
        self._listed = False
        spoilt = []
        for field, raw in stored.items():
            name = field.decode(errors="replace")
            try:
                self.known[name] = msgspec.json.decode(raw, type=Known)
            except msgspec.DecodeError as error:
                spoilt.append(f"{name}: {error}")
        return spoilt

    # --- what is followed ----------------------------------------------------------------------------

    def follow(self, holders: tuple[Holder, ...]) -> None:
        """These and no others: what is not among them is forgotten."""
        self.holders = holders
        self._listed = True
        scripts = self.scripts
        for name in [name for name in self.known if name not in scripts]:
            del self.known[name]
            self._dirty.add(name)
        self._failures = {name: failure for name, failure in self._failures.items() if name in scripts}

    @property
    def scripts(self) -> dict[str, Script]:
        """Every script that can be asked about, once, by its hash."""
        return {
            place.script.hash: place.script for one in self.holders for place in one.places if place.script is not None
        }

    @property
    def whole(self) -> bool:
        """Whether the last look brought something of every one."""
        return not self._failures

    @property
    def away(self) -> bool:
        """Whether of any nobody answered who could be asked."""
        return any(failure.why == "away" for failure in self._failures.values())

    # --- a look --------------------------------------------------------------------------------------

    def differs(self, name: str, confirmed: int, unconfirmed: int | None) -> bool:
        """Whether that is another balance than the one that is known."""
        known = self.known.get(name)
        return known is None or (known.confirmed, known.unconfirmed) != (confirmed, unconfirmed)

    def take(self, look: Look) -> None:
        """What a look brought. A script that nothing was told of keeps what was known."""
        for name, told in look.told.items():
            if isinstance(told, Failure):
                self._failures[name] = told
                continue
            self._failures.pop(name, None)
            before = self.known.get(name)
            if before is None:
                known = Known(told.confirmed, told.unconfirmed, look.height, look.as_of_ms, look.as_of_ms, told.waiting)
            else:
                known = replace(
                    before, confirmed=told.confirmed, unconfirmed=told.unconfirmed, height=look.height,
                    as_of_ms=look.as_of_ms, waiting=told.waiting,
                )  # fmt: skip
                known = self._compared(name, before, known, told.txid)
            self.known[name] = known
            self._dirty.add(name)

    def silent(self, why: Unseen, detail: str) -> None:
        """Nobody answers, of whatever script."""
        self._failures = dict.fromkeys(self.scripts, Failure(why, detail))

    def _compared(self, name: str, before: Known, now: Known, txid: str) -> Known:
        confirmed = now.confirmed - before.confirmed
        both = now.unconfirmed is not None and before.unconfirmed is not None
        unconfirmed = (now.unconfirmed or 0) - (before.unconfirmed or 0) if both else None
        if not confirmed and not unconfirmed:
            return now
        shown = SeenMove(
            address="", confirmed_delta=confirmed, unconfirmed_delta=unconfirmed, height=now.height,
            time_ms=now.as_of_ms, txid=txid or _the_one(before.waiting, now.waiting),
        )  # fmt: skip
        for holder in self.holders:
            for place in holder.places:
                if place.script is not None and place.script.hash == name:
                    self._events.append(self._moved(holder, place.address, now, shown))
        return replace(now, moves=[shown, *now.moves][:MOVES_SHOWN])

    def _moved(self, holder: Holder, address: str, now: Known, move: SeenMove) -> TreasuryMoved:
        return TreasuryMoved(
            holder=holder.key[:200], name=holder.name[:200], address=address[:200],
            confirmed_delta=move.confirmed_delta, unconfirmed_delta=move.unconfirmed_delta, confirmed=now.confirmed,
            unconfirmed=now.unconfirmed, txid=move.txid, height=move.height, time_ms=move.time_ms, source=self._source,
        )  # fmt: skip

    # --- what is written -----------------------------------------------------------------------------

    def flush(self, now_ms: int) -> Changes:
        """What became another since the last call: all of it is for one commit."""
        changes = Changes()
        state = self._keys.state(TREASURIES)
        for name in sorted(self._dirty):
            known = self.known.get(name)
            if known is None:
                changes.commands.add("HDEL", state, name)
            else:
                changes.commands.add("HSET", state, name, msgspec.json.encode(known))
        self._dirty.clear()
        changes.events += self._events
        self._events = []
        view = SeenTreasuriesView(holders=[self._seen(one) for one in self.holders], source=self._source)
        if not self._listed or view == self._shown:
            return changes
        self._shown = view
        changes.views = self._keys.views(TREASURIES)
        changes.commands.add("HSET", changes.views, "seen_treasuries", msgspec.json.encode(view))
        every = [address for one in view.holders for address in one.addresses]
        heights = [one.height for one in every if one.height is not None]
        changes.events.append(
            TreasuriesSeen(
                holders=len(view.holders), addresses=len(every), seen=sum(one.confirmed is not None for one in every),
                height=max(heights, default=None), time_ms=now_ms,
            )
        )  # fmt: skip
        return changes

    def _seen(self, holder: Holder) -> SeenHolder:
        addresses, moves = [], []
        for place in holder.places:
            known = None if place.script is None else self.known.get(place.script.hash)
            failure = None if place.script is None else self._failures.get(place.script.hash)
            why: Unseen = place.why or (failure.why if failure else "" if known else "soon")
            addresses.append(
                SeenAddress(
                    address=place.address, confirmed=known.confirmed if known else None,
                    unconfirmed=known.unconfirmed if known else None, height=known.height if known else None,
                    as_of_ms=known.as_of_ms if known else None, since_ms=known.since_ms if known else None, why=why,
                    detail=failure.detail[:200] if failure else "",
                )
            )  # fmt: skip
            moves += [replace(move, address=place.address) for move in (known.moves if known else ())]
        return _summed(holder, addresses, moves)


def _summed(holder: Holder, addresses: list[SeenAddress], moves: list[SeenMove]) -> SeenHolder:
    seen = [one for one in addresses if one.confirmed is not None]
    return SeenHolder(
        key=holder.key, name=holder.name, addresses=addresses, seen=len(seen),
        confirmed=sum(one.confirmed or 0 for one in seen) if seen else None,
        unconfirmed=_sum(one.unconfirmed for one in seen) if seen else None,
        height=min((one.height for one in seen if one.height is not None), default=None),
        as_of_ms=min((one.as_of_ms for one in seen if one.as_of_ms is not None), default=None),
        since_ms=min((one.since_ms for one in seen if one.since_ms is not None), default=None),
        moves=sorted(moves, key=lambda one: -one.time_ms)[:MOVES_SHOWN],
    )  # fmt: skip


def _sum(parts: Iterable[int | None]) -> int | None:
    found = list(parts)
    known = [one for one in found if one is not None]
    return sum(known) if len(known) == len(found) else None


def _the_one(before: list[str] | None, now: list[str] | None) -> str:
    """The transaction that waits now and did not before, or the other way round; empty where it is not one alone."""
    if before is None or now is None:
        return ""
    changed = set(before) ^ set(now)
    return changed.pop() if len(changed) == 1 else ""
