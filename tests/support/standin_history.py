"""Plays chain-history's part for the backfill's tests: says what is missing, takes from the inbox what fits."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import msgspec

from local_run.node import RegtestNode
from shared import domains, redis
from shared.events.backfill import BACKFILL, BlocksMeasured, BlocksUnavailable, HeadersCollected, MeasuredBlock
from shared.keys import Keys
from shared.tasks import end
from shared.views import HistoryView
from support.recorded_node import RecordedNode
from support.stack import until

ENTRY_LIMIT = 200_000
"""Bytes that one entry may have."""


class StandInHistory:
    """The view and the inbox. It folds only when told to, so that a test sees what waits."""

    def __init__(self, client: redis.Client, node: RegtestNode | RecordedNode, keys: Keys) -> None:
        self._client = client
        self._node = node
        self._keys = keys
        self.hashes: list[str] = []
        self.first_header = 0
        self.floor_hash = ""
        self.height = -1
        self.known: set[int] = set()  # heights whose statistics were there from the start
        self.measured: dict[int, MeasuredBlock] = {}
        self.chunks: list[HeadersCollected] = []
        self.unavailable: list[tuple[int, int]] = []
        self.published: Counter[int] = Counter()  # how often each height's statistics came

    async def begin(self, *, first_header: int = 0, measured_from: int | None = None) -> None:
        """Know headers from a height on, and say that statistics are there from another on (None: nowhere)."""
        tip = await self._node.rpc("getblockcount")
        self.hashes = await self._node.batch([("getblockhash", (height,)) for height in range(tip + 1)], kind=str)
        self.height = tip
        self.first_header = first_header
        self.floor_hash = self.hashes[first_header - 1] if first_header else ""
        self.published.clear()
        self.known = set(range(tip + 1 if measured_from is None else measured_from, tip + 1))
        await self.show()

    @property
    def missing(self) -> list[int]:
        """Heights whose statistics are missing, newest first."""
        gone = set(self.gone)
        return [at for at in self._unknown if at not in gone]

    @property
    def gone(self) -> list[int]:
        """Heights of these that were said to be unavailable."""
        said = {height for first, last in self.unavailable for height in range(first, last + 1)}
        return [at for at in self._unknown if at in said]

    @property
    def _unknown(self) -> list[int]:
        heights = range(self.height, self.first_header - 1, -1)
        return [at for at in heights if at not in self.known and at not in self.measured]

    @property
    def complete(self) -> bool:
        """Nothing is left to fetch."""
        return self.first_header == 0 and not self.missing

    def view(self) -> HistoryView:
        """As chain-history would write it."""
        return HistoryView(
            network=self._keys.network,
            height=self.height,
            hash=self.hashes[-1],
            time=0,
            first_header=self.first_header,
            floor_hash=self.floor_hash,
            measured=len(self.measured) + len(self.known),
            unavailable=len(self.gone),
            missing=_spans(self.missing)[:100],
            measured_from=None,
            measured_from_time=None,
            complete=self.complete,
            given_up=_spans(self.gone)[:100],
        )

    async def show(self) -> None:
        """Write the view."""
        await self._client.hset(self._keys.views(domains.HISTORY), "history", msgspec.json.encode(self.view()))

    async def fold(self) -> int:
        """Take everything that waits, delete it, write the view; returns how many entries there were."""
        entries = await self._client.xrange(self._keys.stream(domains.BACKFILL))
        for entry_id, fields in entries:
            assert list(fields) == [b"type", b"v", b"seq", b"data"]
            assert (fields[b"v"], fields[b"seq"]) == (b"1", b"0")
            assert len(fields[b"data"]) < ENTRY_LIMIT
            match BACKFILL.decode(fields[b"type"], fields[b"data"]):
                case HeadersCollected() as chunk:
                    self.chunks.append(chunk)
                    if chunk.height + len(chunk.headers) == self.first_header and chunk.tip_hash == self.floor_hash:
                        self.first_header, self.floor_hash = chunk.height, chunk.prev_hash
                case BlocksMeasured(blocks=blocks):
                    for block in blocks:
                        self.published[block.height] += 1
                        self.measured[block.height] = block
                case BlocksUnavailable(first=first, last=last):
                    self.unavailable.append((max(first, self.first_header), last))
                case other:
                    raise AssertionError(f"{other!r} is nothing that a worker says")
            await self._client.xdel(self._keys.stream(domains.BACKFILL), entry_id)
        await self.show()
        return len(entries)

    @contextlib.asynccontextmanager
    async def folding(self) -> AsyncIterator[None]:
        """Fold all the time."""

        async def always() -> None:
            while True:
                await self.fold()
                await asyncio.sleep(0.02)

        task = asyncio.create_task(always())
        try:
            yield
            if task.done():
                task.result()
        finally:
            await end(task)

    async def finish(self, limit: float = 60) -> None:
        """Fold until nothing is missing."""

        async def done() -> bool:
            await self.fold()
            return self.complete

        await until(done, limit, "nothing is missing")


def _spans(heights: list[int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for height in heights:
        if spans and spans[-1][0] == height + 1:
            spans[-1] = (height, spans[-1][1])
        else:
            spans.append((height, height))
    return spans
