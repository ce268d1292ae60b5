"""Blocks as the timeline names them: what became of each, and which of the watched transactions were in the newest.

A transaction's record names its block by a few bytes; what these stand for, and when the block was disconnected and
connected again, is told once for all of its transactions, in each chapter that names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from explorer.timeline.records import TAIL, identity
from shared import redis
from shared.commit import Argument, Commands
from shared.keys import REORG_BLOCKS, Keys

NEWEST: Final = 10
"""Blocks whose transactions are known to the fold: as deep as a reorganisation is told to whoever looks at one."""

ENOUGH: Final = 2_016
"""Blocks that are read at a restart at least, where there are so many."""

_UNKNOWN: Final = 2**32 - 1
_HEAD: Final = Struct("<32sI")
_TURN: Final = Struct("<Q")


@dataclass(slots=True)
class Block:
    """One block."""

    hash: bytes
    height: int | None = None  # None: it was not told of yet
    turns: list[tuple[int, bool]] = field(default_factory=list)  # when, and whether it was connected then
    chapters: set[int] = field(default_factory=set)

    @property
    def ref(self) -> bytes:
        """What a record names it by."""
        return self.hash[-TAIL:]

    def packed(self) -> bytes:
        """As it is stored."""
        height = _UNKNOWN if self.height is None else self.height
        turns = (_TURN.pack(time_ms << 1 | connected) for time_ms, connected in self.turns)
        return _HEAD.pack(self.hash, height) + b"".join(turns)


def unpack(raw: bytes) -> Block:
    """The block that is stored so; raises struct.error where it is none."""
    block_hash, height = _HEAD.unpack_from(raw)
    turns = [_TURN.unpack_from(raw, at)[0] for at in range(_HEAD.size, len(raw), _TURN.size)]
    return Block(block_hash, None if height == _UNKNOWN else height, [(one >> 1, bool(one & 1)) for one in turns])


class Blocks:
    """The newest of them."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.reset()

    def reset(self) -> None:
        """Forget all of them."""
        self._blocks: dict[bytes, Block] = {}  # oldest first
        self._changed: set[bytes] = set()
        self._members: dict[bytes, set[bytes]] = {}  # of the newest: their transactions, by identity
        self._left: dict[bytes, set[bytes]] = {}  # the same of those that were disconnected
        self._members_changed: set[bytes] = set()

    async def load(self, client: redis.Client, chapters: Iterable[int]) -> None:
        """Read what was committed last, of the newest chapters."""
        self.reset()
        found: dict[bytes, Block] = {}
        for number in sorted(chapters, reverse=True):
            if len(found) >= ENOUGH:
                break
            for raw in (await client.hgetall(self._keys.timeline_blocks(number))).values():
                block = unpack(raw)
                found.setdefault(block.hash, block).chapters.add(number)
        oldest_first = sorted(found.values(), key=lambda block: block.turns[-1][0] if block.turns else 0)
        self._blocks = {block.hash: block for block in oldest_first[-REORG_BLOCKS:]}
        order = {block_hash: place for place, block_hash in enumerate(self._blocks)}
        members = await client.hgetall(self._keys.timeline_members)
        for name, raw in sorted(members.items(), key=lambda member: order.get(member[0][1:], -1)):
            left, block_hash = name[:1] == b"-", name[1:]
            (self._left if left else self._members)[block_hash] = {raw[at : at + 8] for at in range(0, len(raw), 8)}

    def rewrite(self) -> None:
        """What is stored is in doubt."""
        self._changed = set(self._blocks)
        self._members_changed = {*self._members, *self._left}

    def _block(self, block_hash: bytes) -> Block:
        block = self._blocks.get(block_hash)
        if block is None:
            block = self._blocks[block_hash] = Block(block_hash)
            if len(self._blocks) > REORG_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
        return block

    def turned(self, block_hash: bytes, height: int, time_ms: int, chapter: int, *, connected: bool) -> set[bytes]:
        """It was connected or disconnected; returns the identities of its transactions to which that is news."""
        block = self._block(block_hash)
        block.height = height
        block.chapters = block.chapters or {chapter}
        self._changed.add(block_hash)
        if block.turns and (time_ms <= block.turns[-1][0] or block.turns[-1][1] is connected):
            return set()  # folded before, or told again after a new beginning
        block.turns.append((time_ms, connected))
        if connected:
            if not (back := self._left.pop(block_hash, set())):
                return back
            there = self._members.pop(block_hash, set())
            self._members[block_hash] = there | back
            self._members_changed.add(block_hash)
            self._forget(self._members)
            return back - there
        members = self._members.pop(block_hash, set())
        if members:
            self._left[block_hash] = members
            self._members_changed.add(block_hash)
        return members

    def named(self, block_hash: bytes, chapter: int, txid: bytes | None = None) -> bytes:
        """A record of this chapter names it, of a transaction that is in it; returns what it is named by."""
        block = self._block(block_hash)
        if chapter not in block.chapters:
            block.chapters.add(chapter)
            self._changed.add(block_hash)
        if txid is not None:
            self._members.setdefault(block_hash, set()).add(identity(txid))
            self._members_changed.add(block_hash)
            self._forget(self._members)
            self._forget(self._left)
        return block.ref

    def _forget(self, members: dict[bytes, set[bytes]]) -> None:
        while len(members) > NEWEST:
            oldest = next(iter(members))
            del members[oldest]
            self._members_changed.add(oldest)

    def dropped(self, chapters: Iterable[int]) -> None:
        """These chapters are not kept any more."""
        gone = set(chapters)
        for block in self._blocks.values():
            block.chapters -= gone

    def flush(self, commands: Commands) -> None:
        """Commands for all that changed."""
        for block_hash in sorted(self._changed):
            if (block := self._blocks.get(block_hash)) is not None:
                for chapter in sorted(block.chapters):
                    commands.add("HSET", self._keys.timeline_blocks(chapter), block.ref, block.packed())
        key = self._keys.timeline_members
        gone: list[Argument] = []
        for block_hash in sorted(self._members_changed):
            for sign, members in ((b"+", self._members), (b"-", self._left)):
                if there := members.get(block_hash):
                    commands.add("HSET", key, sign + block_hash, b"".join(sorted(there)))
                else:
                    gone.append(sign + block_hash)
        commands.spread("HDEL", key, gone)
        self._changed, self._members_changed = set(), set()
