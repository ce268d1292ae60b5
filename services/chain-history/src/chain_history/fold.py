"""Blocks as they come, and what the backfill brings of the past -> series and views. Without I/O but for `restore`."""

from __future__ import annotations

from typing import Final

import msgspec

from chain_history.loading import load
from chain_history.mending import mend
from chain_history.store import Store, TooDeep
from chain_history.views import views
from shared import domains, redis
from shared.clock import Moment
from shared.errors import StreamGap
from shared.events.backfill import BlocksMeasured, BlocksUnavailable, HeadersCollected, HistoryReset, MeasuredBlock
from shared.events.base import Event
from shared.events.blocks import BlockConnected, BlockDisconnected, HeadersLoaded
from shared.events.derived import SeriesUpdated
from shared.fold import Changes
from shared.keys import Keys
from shared.networks import NETWORKS
from shared.pools import pool_id
from shared.records import Block, Header, tail
from shared.watch import Losses

SHOW_MS: Final = 1_000
"""Views are written and changes announced at most once in this time."""


class HistoryFold:
    """The whole chain, as far as it is known."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._network = NETWORKS[keys.network]
        self.store = Store(keys, self._network)
        self._changed: set[str] = set()  # series, since they were last announced
        self._since = 0  # Unix seconds: nothing older changed since then
        self._shown_ms: int | None = None  # by the steady clock
        self.losses = Losses()  # that the last restore found

    def reset(self) -> None:
        """Forget everything, and have it deleted."""
        self.store.reset()
        self._changed, self._since = set(), 0

    async def restore(self, client: redis.Client) -> None:
        """Read the state that was committed last."""
        self._since = 0
        self.losses = await load(self.store, client, self._keys)
        self._changed = {"history"}  # the views, too, may be gone, or of before the last commit

    def apply(self, event: Event) -> None:
        """Fold one event; raises StreamGap where a block does not follow from what is known."""
        match event:
            case BlockConnected():
                self._connect(event)
            case BlockDisconnected():
                self._disconnect(event)
            case HeadersLoaded():
                self._begin(event)
            case HeadersCollected():
                self._collect(event)
            case BlocksMeasured():
                self._measure(event.blocks)
            case BlocksUnavailable():
                self._give_up(event)
            case HistoryReset():
                self.reset()

    # --- the stream of blocks --------------------------------------------------------------------------

    def _begin(self, event: HeadersLoaded) -> None:
        """Keep what stands on a header of the event; without one, or where it is too deep, begin with nothing."""
        spine = self.store.spine
        if len(event.hashes) != len(event.headers):  # as older versions published it: only the tip is told
            self._anew(event.height + len(event.headers), event.tip_hash)
            return
        height = min(spine.tip, event.height + len(event.headers) - 1)
        while height >= event.height and not spine.has(height, tail(event.hashes[height - event.height])):
            height -= 1
        if height < event.height:
            self._anew(event.height, event.prev_hash)
        else:
            try:
                self._note(*self.store.take_back(height, event.hashes[height - event.height]))
            except TooDeep:
                self._anew(event.height, event.prev_hash)
        fresh = [
            (Header(time, bits, tail(block_hash)), block_hash)
            for (time, bits), block_hash in zip(event.headers, event.hashes, strict=True)
        ]
        self._note(*self.store.push_headers(fresh[self.store.spine.tip + 1 - event.height :]))

    def _anew(self, first: int, below: str) -> None:
        """Begin with nothing: the next header is of height `first`, on top of the block of this hash."""
        self.reset()
        self.store.spine.begin(first, below)

    def _connect(self, event: BlockConnected) -> None:
        spine = self.store.spine
        if event.prev_hash != spine.tip_hash or event.height != spine.tip + 1:
            raise StreamGap(f"block {event.height} {event.hash} does not stand on the tip {spine.tip_hash or '(none)'}")
        header = Header(event.time, int(event.bits, 16), tail(event.hash))
        self._note(*self.store.push_headers([(header, event.hash)]))
        if event.output_bands:
            fields = {name: getattr(event, name) for name in MeasuredBlock.__struct_fields__}
            self._measure([MeasuredBlock(**fields)])

    def _disconnect(self, event: BlockDisconnected) -> None:
        spine = self.store.spine
        if event.hash != spine.tip_hash:
            raise StreamGap(f"block {event.height} {event.hash} is disconnected but the tip is {spine.tip_hash}")
        if len(spine) < 2:
            raise StreamGap(f"nothing is known below block {event.height}")
        try:
            self._note(*self.store.take_back(spine.tip - 1, event.prev_hash))
        except TooDeep as error:
            raise StreamGap(str(error)) from error

    # --- the backfill ----------------------------------------------------------------------------------

    def _collect(self, event: HeadersCollected) -> None:
        """Headers below the lowest; what does not end right below it came late or is of another chain."""
        spine = self.store.spine
        above = event.height + len(event.headers)
        if not len(spine) or above != spine.first or event.tip_hash != spine.floor_hash:
            return
        headers = [Header(time, bits, bytes.fromhex(end)) for time, bits, end in event.headers]
        self._note(*self.store.extend_down(headers, event.prev_hash))

    def _measure(self, blocks: list[MeasuredBlock]) -> None:
        fresh: dict[int, tuple[MeasuredBlock, Block]] = {}
        for block in blocks:
            if self.store.lacks(block.height) and self.store.spine.has(block.height, tail(block.hash)):
                fresh[block.height] = (block, _record(block))
        if fresh:
            self._note(*self.store.measure(fresh))

    def _give_up(self, event: BlocksUnavailable) -> None:
        spine = self.store.spine
        self.store.unavailable(max(event.first, spine.first), min(event.last, spine.tip))
        self._note()

    # --- what is written -------------------------------------------------------------------------------

    def mend(self, losses: Losses) -> None:
        """Have made again what is lost."""
        mend(self.store, losses)
        self._note()

    def _note(self, *times: int) -> None:
        """Something changed, at blocks of these times."""
        self._changed.add("history")
        for time in times:
            self._since = min(self._since or time, time)

    def due_ms(self, now: Moment) -> int | None:
        """When views should be written."""
        if not self._changed:
            return None
        return now.steady_ms if self._shown_ms is None else self._shown_ms + SHOW_MS

    def flush(self, now: Moment) -> Changes:
        """State that changed, and views where they are due."""
        changes = Changes()
        self._changed.update(self.store.flush(changes.commands))
        if self._changed and (self._shown_ms is None or now.steady_ms >= self._shown_ms + SHOW_MS):
            self._show(changes, now.steady_ms)
        return changes

    def _show(self, changes: Changes, steady_ms: int) -> None:
        store = self.store
        if len(store.spine):
            for name, view in views(self._network, store).items():
                changes.commands.add("HSET", self._keys.views(domains.HISTORY), name, msgspec.json.encode(view))
            changes.views = self._keys.views(domains.HISTORY)
            if not store.views_written:
                store.views_written = True
                store.doubt(set())
            changes.events.append(
                SeriesUpdated(
                    series=sorted(self._changed),
                    height=store.spine.tip,
                    hash=store.spine.tip_hash,
                    measured=len(store.measured) - len(store.lost),
                    since=self._since,
                )
            )
        self._changed, self._since, self._shown_ms = set(), 0, steady_ms


def _record(block: MeasuredBlock) -> Block:
    return Block(
        time=block.time,
        tx_count=block.tx_count,
        size=block.size,
        weight=block.weight,
        inputs=block.inputs,
        outputs=block.outputs,
        output_value=block.output_value,
        fees=block.fees,
        percentiles=tuple(block.fee_rate_percentiles),
        feerate=block.fee_rate_avg,
        pool=pool_id(block.pool),
        output_bands=tuple(block.output_bands),
    )
