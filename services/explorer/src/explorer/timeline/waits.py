"""How long transactions waited until they were mined, by the feerate that they came with, day by day.

A day is that of the end (UTC), a wait that from when it was told of to when that block's were. Only what came with a
feerate of its own counts: nothing that was there before anybody looked, that leans on parents which pull it into a
lower band, or that was mined before. What a child lifted out of its band meanwhile is counted as lifted, and then no
more. What left without a word is not counted at all: it may have been mined.

All of it follows from the mempool's stream alone, so that its order to the chain's does not matter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from struct import Struct
from typing import Final

from explorer.timeline.graph import Graph
from explorer.timeline.records import IDENTITY, UNCOUNTED, UNKNOWN, End, Waiting, identity
from shared import redis
from shared.bands import FEERATE_BOUNDS
from shared.commit import Argument, Commands
from shared.events.mempool import TxAdded
from shared.explorer_views import WaitBand, WaitsView
from shared.keys import Keys

DAY_MS: Final = 86_400_000

DAYS: Final = 8
"""Days that are kept, the present one among them: seven whole ones."""

BOUNDS: Final = tuple(round(60 * 2 ** (step / 3)) for step in range(44))
"""Lower ends of the classes of waits but for the first, seconds: from a minute to two weeks, each 26 % longer."""

FEWEST: Final = 20
"""Mined ones of a band below which neither a time nor a share is told."""

NEWEST: Final = 10
"""Blocks whose transactions are known to have been mined: they come back in a reorganisation."""

_CLASSES: Final = len(BOUNDS) + 1
REPLACED, LIFTED, DROPPED = _CLASSES, _CLASSES + 1, _CLASSES + 2
"""Places behind the classes."""

_COUNTS: Final = Struct(f"<{_CLASSES + 3}I")
_TURN: Final = Struct("<Q")
SINCE: Final = b"since"
"""Field of the moment since when it is counted: there as long as any of it."""

_MINED: Final = b"mined:"
_OTHERWISE: Final[dict[End, int]] = {"replaced": REPLACED, "evicted": DROPPED, "expired": DROPPED, "conflict": DROPPED}

_Day = dict[int, list[int]]
"""Band -> how many of each class, then what left otherwise."""


def band_of(rate: float) -> int:
    """The place of a feerate, in sat/vB, in FEERATE_BOUNDS."""
    return bisect_right(FEERATE_BOUNDS, max(rate, 0.0)) - 1


def entry(event: TxAdded, *, counted: bool) -> int:
    """The band that a transaction came in, as Waiting keeps it: with UNCOUNTED where its wait would say nothing."""
    band = band_of(rate_of(event))
    alone = band == band_of(event.fee / max(event.vsize, 1))
    return band if counted and alone else band | UNCOUNTED


def rate_of(event: TxAdded) -> float:
    """The feerate at which miners look at what comes in, sat/vB: its own, or that with its ancestors where lower."""
    return min(event.fee / max(event.vsize, 1), event.ancestor_fee / max(event.ancestor_vsize, 1))


class Waits:
    """The newest days."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.timeline_waits
        self.reset()

    def reset(self) -> None:
        """Forget everything: what the stream tells again is counted again."""
        self.since_ms = 0  # since when it is counted; 0: not yet
        self._days: dict[int, _Day] = {}
        self._mined: dict[bytes, tuple[int, set[bytes]]] = {}  # block -> its turn, and what it mined; oldest first
        self._number = 0  # the turn of the newest
        self._changed: set[tuple[int, int]] = set()  # days and bands
        self._mined_changed: set[bytes] = set()
        self._gone: list[Argument] = []
        self._anew = True

    @property
    def stored(self) -> bool:
        """Whether something of it must be in Redis."""
        return self.since_ms > 0

    # --- events ----------------------------------------------------------------------------------------

    def heard(self, time_ms: int) -> None:
        """The mempool's stream told something."""
        self.since_ms = self.since_ms or time_ms

    def was_mined(self, txid: bytes) -> bool:
        """Whether it was mined lately, so that it has come back."""
        name = identity(txid)
        return any(name in there for _, there in self._mined.values())

    def came(self, graph: Graph, txid: bytes, time_ms: int) -> None:
        """It came in: what it lifts out of a lower band, and whether what spends from it lifts it."""
        own = graph.get(txid)
        if own is None:
            return
        above = graph.descendants(txid)
        highest = max((band for _, one in above if (band := one.band & UNKNOWN) < UNKNOWN), default=0)
        if own.band < highest:
            self._lift(graph, txid, own, time_ms)
        for name, one in graph.ancestors(txid):
            if one.band < max(own.band & UNKNOWN, highest):
                self._lift(graph, name, one, time_ms)

    def _lift(self, graph: Graph, txid: bytes, waiting: Waiting, time_ms: int) -> None:
        self._count(time_ms, waiting.band, LIFTED)
        waiting.band |= UNCOUNTED
        graph.changed(txid)

    def ended(self, txid: bytes, waiting: Waiting | None, end: End, time_ms: int, block: bytes) -> None:
        """It left; `block` is that which it was mined in."""
        if waiting is not None and waiting.band < UNCOUNTED:
            if end == "mined":
                seconds = max(time_ms - waiting.seen_ms, 0) / 1000
                self._count(time_ms, waiting.band, bisect_right(BOUNDS, seconds))
            elif end in _OTHERWISE:
                self._count(time_ms, waiting.band, _OTHERWISE[end])
        if end == "mined":
            self._remember(block, identity(txid))

    def _remember(self, block: bytes, name: bytes) -> None:
        if block not in self._mined:
            self._number += 1
            self._mined[block] = self._number, set()
            if len(self._mined) > NEWEST:
                oldest = next(iter(self._mined))
                del self._mined[oldest]
                self._mined_changed.discard(oldest)
                self._gone.append(_MINED + oldest)
        self._mined[block][1].add(name)
        self._mined_changed.add(block)

    def _count(self, time_ms: int, band: int, place: int) -> None:
        number = time_ms // DAY_MS
        day = self._days.setdefault(number, {})
        day.setdefault(band, [0] * (_CLASSES + 3))[place] += 1
        self._changed.add((number, band))
        if len(self._days) > DAYS:
            oldest = min(self._days)
            self._gone += [f"{oldest}:{one}" for one in sorted(self._days.pop(oldest))]

    # --- what is shown ---------------------------------------------------------------------------------

    def view(self, now_ms: int, waiting: Iterable[Waiting]) -> WaitsView:
        """The days up to this moment, and how what waits now compares."""
        first = now_ms // DAY_MS - DAYS + 1
        counts = [[0] * (_CLASSES + 3) for _ in FEERATE_BOUNDS]
        for number, day in self._days.items():
            if first <= number <= now_ms // DAY_MS:
                for band, some in day.items():
                    counts[band] = [one + more for one, more in zip(counts[band], some, strict=True)]
        slow = [_at(one, 0.9) for one in counts]
        before = [0 if seconds is None else now_ms - 1000 * seconds for seconds in slow]
        waits, longer = [0] * len(counts), [0] * len(counts)
        for one in waiting:
            if (band := one.band) < UNCOUNTED:
                waits[band] += 1
                longer[band] += one.seen_ms < before[band]
        uppers = (*FEERATE_BOUNDS[1:], None)
        bands = [
            _band(low, high, some, waits[place], None if slow[place] is None else longer[place])
            for place, (low, high, some) in enumerate(zip(FEERATE_BOUNDS, uppers, counts, strict=True))
        ]
        since_ms = max(self.since_ms, first * DAY_MS)
        return WaitsView(bands=bands, since_ms=since_ms, recorded_ms=self.since_ms, as_of_ms=now_ms)

    # --- state -----------------------------------------------------------------------------------------

    async def load(self, client: redis.Client) -> None:
        """Read what was committed last; raises ValueError or struct.error."""
        self.reset()
        blocks = []
        for name, raw in (await client.hgetall(self._key)).items():
            if name == SINCE:
                self.since_ms = int(raw)
            elif name.startswith(_MINED):
                there = {raw[at : at + IDENTITY] for at in range(_TURN.size, len(raw), IDENTITY)}
                blocks.append((_TURN.unpack_from(raw)[0], name[len(_MINED) :], there))
            else:
                number, band = map(int, name.split(b":"))
                self._days.setdefault(number, {})[band] = list(_COUNTS.unpack(raw))
        for self._number, block, there in sorted(blocks):
            self._mined[block] = self._number, there
        self._anew = not self.stored

    def rewrite(self) -> None:
        """What is stored is in doubt."""
        self._anew = True
        self._changed = {(number, band) for number, day in self._days.items() for band in day}
        self._mined_changed = set(self._mined)

    def flush(self, commands: Commands) -> None:
        """Commands for what changed."""
        if self._anew and self.stored:
            commands.add("DEL", self._key)
            commands.add("HSET", self._key, SINCE, self.since_ms)
            self._anew = False
        commands.spread("HDEL", self._key, self._gone)
        written: list[Argument] = []
        for number, band in sorted(self._changed):
            if (counts := self._days.get(number, {}).get(band)) is not None:
                written += (f"{number}:{band}", _COUNTS.pack(*counts))
        for block in sorted(self._mined_changed):
            turn, there = self._mined[block]
            written += (_MINED + block, _TURN.pack(turn) + b"".join(sorted(there)))
        commands.spread("HSET", self._key, written)
        self._changed, self._mined_changed, self._gone = set(), set(), []


def _at(counts: Sequence[int], part: float) -> int | None:
    """The wait that so many were not above, in seconds; a class is taken as evenly filled. None: too few were mined."""
    mined = sum(counts[:_CLASSES])
    if mined < FEWEST:
        return None
    below, wanted = 0, part * mined
    for place, (low, high) in enumerate(pairwise((0, *BOUNDS, BOUNDS[-1]))):
        if below + counts[place] >= wanted:
            return round(low + (high - low) * (wanted - below) / counts[place])
        below += counts[place]
    raise AssertionError("a part of all is reached by all")


def _band(low: float, high: float | None, counts: Sequence[int], waiting: int, longer: int | None) -> WaitBand:
    mined, left = sum(counts[:_CLASSES]), sum(counts)
    return WaitBand(
        from_rate=low,
        to_rate=high,
        mined=mined,
        median=_at(counts, 0.5),
        p90=_at(counts, 0.9),
        replaced=counts[REPLACED],
        lifted=counts[LIFTED],
        dropped=counts[DROPPED],
        share=mined / left if left >= FEWEST else None,
        waiting=waiting,
        longer=longer,
    )
