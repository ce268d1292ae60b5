"""The mempool's past: what entered, and what waited, in series that no node can tell again.

Both recorders outlive a `mempool.reset`: the transactions are told again then, the past is not. Where the checkpoint
is gone, `reset` cannot look at what is left of the series: the next flush writes what this process holds. After a
restart it holds nothing, which costs the segments that are written first, the newest of each series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from mempool.departed import Departed
from shared import domains, redis
from shared.commit import Commands
from shared.events.mempool import MempoolSynced, TxAdded
from shared.keys import Keys
from shared.records import NO_CONGESTION, NO_FLOW, Congestion, Flow
from shared.series import CONGESTION_HOURS, CONGESTION_MINUTES, FLOW_10S, FLOW_HOURS, FLOW_MINUTES
from shared.series_writer import SeriesWriter
from shared.views import FeeBand, MempoolView

DOMAIN: Final = FLOW_10S.domain

_FIELD: Final = "flow_until"
_STEP: Final = FLOW_10S.step


class Mark(NamedTuple):
    """Which transactions were counted, so that what is told again is not. Unix seconds by the node's clock."""

    newest: int = 0  # the newest acceptance heard of
    since: int | None = None  # what was accepted before is not counted; None: nothing is, yet


class FlowRecorder:
    """Counts each transaction that enters once, by the time at which the node accepted it.

    Which of them count is decided by the node's clock alone; the series are by that of the comparisons, of which the
    node's is `node_ahead` seconds ahead. What seems to come from the future all the same (the node's clock has just
    stepped) came now. Where it steps back, what enters until the next comparison is taken for old.

    The first snapshot is not flow: those transactions were there before us. After a `mempool.reset` everything is told
    again, and only what is newer than all before counts. At each comparison with the node everything accepted until
    then was told, so what comes later with an older time is no newcomer either: a node that was restarted reads its
    mempool from a file, and one that we switch to has transactions of its own.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.writers = [SeriesWriter(series, keys, mirrored=True) for series in (FLOW_10S, FLOW_MINUTES, FLOW_HOURS)]
        self._departed = Departed(keys)
        self._sums: dict[int, list[int]] = {}  # since the last flush: count, vsize, value, fee by 10 s
        self._newest, self._since = Mark()
        self._flushed = Mark()
        self._ahead = 0  # of the node's clock, seconds
        self._anew = False  # whether Redis may lack what was flushed

    async def load(self, client: redis.Client, segments: Mapping[str, set[int]]) -> None:
        """Read what was committed last; `segments` are those that exist."""
        stored: bytes | None = await client.hget(self._keys.checkpoint(domains.MEMPOOL), _FIELD)
        mark = msgspec.json.decode(stored, type=Mark) if stored else Mark()
        await self._departed.load(client)
        for writer in self.writers:
            await writer.load(client, segments.get(writer.series.name, ()))
        self._sums, self._anew, self._flushed = {}, False, mark
        self._newest, self._since = mark

    def reset(self) -> None:
        """The state in Redis is gone, or cannot be read. What was flushed is written anew, with the next flush."""
        self._sums, self._anew = {}, self._flushed != Mark()
        self._newest, self._since = self._flushed
        self._departed.rewrite()
        self.rewrite()

    def rewrite(self) -> None:
        """The series in Redis are in doubt: the next flush writes them anew."""
        for writer in self.writers:
            writer.rewrite()

    def begin_anew(self) -> None:
        """The whole mempool will be told again."""
        if self._since is not None:
            self._since = self._newest + 1

    def entered(self, txid: bytes, event: TxAdded) -> None:
        """A transaction came in."""
        time, since = event.time, self._since
        self._newest = max(self._newest, time)
        if since is None or time < since or txid in self._departed.txids:
            return
        place = (time - self._ahead) // _STEP
        sums = self._sums.get(place)
        if sums is None:
            sums = self._sums[place] = [0, 0, 0, 0]
        sums[0] += 1
        sums[1] += event.vsize
        sums[2] += event.value
        sums[3] += event.fee

    def left(self, txid: bytes) -> None:
        """A transaction went out."""
        self._departed.add(txid)

    def clock(self, node_ahead: int) -> None:
        """The node's clock is so many seconds ahead."""
        self._ahead = node_ahead

    def synced(self, event: MempoolSynced) -> None:
        """All that the node had accepted until then was told."""
        node_ms = event.time_ms if event.node_time_ms is None else event.node_time_ms
        self._since = min(self._newest, node_ms // 1000)

    def flush(self, commands: Commands, now_ms: int | None) -> None:
        """Commands for what came in since the last call; `now_ms` None: nobody knows what the future is."""
        buckets = [
            (place * _STEP if now_ms is None else min(place * _STEP, now_ms // 1000), sums)
            for place, sums in self._sums.items()
        ]
        self._sums = {}
        for writer in self.writers:
            for time, (tx_count, vsize, value, fee) in buckets:
                index = writer.series.index(time)
                was = writer.get(index) or NO_FLOW
                record = Flow(was.tx_count + tx_count, was.vsize + vsize, was.value + value, was.fee + fee)
                writer.put(index, record)
            writer.flush(commands)
        self._departed.flush(commands)
        mark = Mark(self._newest, self._since)
        if mark != self._flushed or self._anew:
            commands.add("HSET", self._keys.checkpoint(domains.MEMPOOL), _FIELD, msgspec.json.encode(mark))
            self._flushed, self._anew = mark, False


class CongestionRecorder:
    """Adds up what each look at the mempool finds, by minute and hour of the clock of the comparisons."""

    def __init__(self, keys: Keys) -> None:
        self.writers = [SeriesWriter(series, keys, mirrored=True) for series in (CONGESTION_MINUTES, CONGESTION_HOURS)]

    async def load(self, client: redis.Client, segments: Mapping[str, set[int]]) -> None:
        """Read what was committed last; `segments` are those that exist."""
        for writer in self.writers:
            await writer.load(client, segments.get(writer.series.name, ()))

    def reset(self) -> None:
        """The state in Redis is gone, or cannot be read. What was flushed is written anew, with the next flush."""
        for writer in self.writers:
            writer.rewrite()

    def look(self, now_ms: int, summary: MempoolView, bands: Sequence[FeeBand]) -> None:
        """One look, at a mempool that is complete."""
        for writer in self.writers:
            index = writer.series.index(now_ms // 1000)
            was = writer.get(index) or NO_CONGESTION
            record = Congestion(
                samples=was.samples + 1,
                tx_count=was.tx_count + summary.count,
                fee=was.fee + summary.total_fee,
                min_fee_rate=summary.min_fee_rate,
                bands=tuple(vsize + band.vsize for vsize, band in zip(was.bands, bands, strict=True)),
            )
            writer.put(index, record)

    def flush(self, commands: Commands) -> None:
        """Commands for the looks since the last call."""
        for writer in self.writers:
            writer.flush(commands)
