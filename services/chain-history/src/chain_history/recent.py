"""The newest blocks in full, so that a reorganisation can take each of them back exactly."""

from __future__ import annotations

from typing import NamedTuple

from chain_history import largest
from chain_history.largest import Day
from shared.commit import Argument, Commands
from shared.keys import REORG_BLOCKS, Keys
from shared.records import Block, Header
from shared.series import DAY


class Recent(NamedTuple):
    """One of the newest blocks; `block` is None until its statistics are known."""

    header: Header
    block: Block | None = None
    largest: bytes = b""


class RecentBlocks:
    """The newest REORG_BLOCKS blocks by height. Only their largest transactions need a place of their own in Redis."""

    def __init__(self) -> None:
        self._blocks: dict[int, Recent] = {}
        self._changed: set[int] = set()

    def load(self, headers: dict[int, Header], blocks: dict[int, Block], stored: dict[int, bytes]) -> None:
        """Take over what is stored, by height."""
        self._blocks = {
            height: Recent(header, blocks.get(height), stored.get(height, b""))
            for height, header in sorted(headers.items())
        }

    def get(self, height: int) -> Recent | None:
        """A block; None where it is too deep."""
        return self._blocks.get(height)

    def put(self, height: int, tip: int, recent: Recent) -> None:
        """Remember a block of a chain with this tip, unless it is too deep."""
        if height > tip - REORG_BLOCKS:
            self._blocks[height] = recent
            if recent.largest:
                self._changed.add(height)
        if self._blocks.pop(tip - REORG_BLOCKS, None) is not None:
            self._changed.add(tip - REORG_BLOCKS)

    def pop(self, height: int) -> None:
        """Forget a block that left the chain."""
        del self._blocks[height]
        self._changed.add(height)

    @property
    def listed(self) -> int:
        """Blocks whose largest transactions are stored."""
        return sum(bool(recent.largest) for recent in self._blocks.values())

    def rewrite(self) -> None:
        """What is stored is in doubt: all of it is written anew."""
        self._changed.update(self._blocks)

    def count_of_day(self, day: int) -> int:
        """Blocks of one day that are here."""
        return sum(recent.header.time // DAY == day for recent in self._blocks.values())

    def of_day(self, day: Day, halving_interval: int) -> bytes:
        """The largest transactions of the blocks of one day that are here."""
        return largest.merge(
            recent.largest
            for height, recent in self._blocks.items()
            if (recent.header.time // DAY, height // halving_interval) == day
        )

    def since(self, time: int) -> bytes:
        """The largest transactions of the blocks here that are later than this."""
        return largest.merge(recent.largest for recent in self._blocks.values() if recent.header.time > time)

    def newest_time(self, tip: int, count: int) -> int:
        """The latest time among the last `count` blocks: block times need not rise."""
        times = (self._blocks[height].header.time for height in range(tip, tip - count, -1) if height in self._blocks)
        return max(times, default=0)

    def flush(self, keys: Keys, commands: Commands) -> None:
        """Commands for what changed."""
        written: list[Argument] = []
        removed: list[Argument] = []
        for height in sorted(self._changed):
            recent = self._blocks.get(height)
            if recent is not None and recent.largest:
                written += (height, recent.largest)
            else:
                removed.append(height)
        commands.spread("HSET", keys.history_recent, written)
        commands.spread("HDEL", keys.history_recent, removed)
        self._changed = set()
