"""What was expected in each block: the projection of just before, held against what leaves with the block.

A block's removals may come in several batches, with restarts between them: what is not settled yet is committed with
the state. What a `mempool.reset`, or anything else but removals, interrupts is recorded as not whole. The same block
connected again changes nothing: only before it came the first time nobody knew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from shared import expected, redis
from shared.commit import Commands
from shared.events.mempool import MempoolBlock, TxRemoved
from shared.expected import LISTED, PENDING, SINCE, START, STARTS, TXID, Comparison, Recorded
from shared.keys import EXPECTED_KEEP, Keys

FRESH_SECONDS: Final = 180
"""What was accepted so shortly before may be in no template of a miner yet, nor have reached them all."""


class _Pending(msgspec.Struct, kw_only=True):
    """A block whose transactions are leaving."""

    block: bytes
    at_ms: int
    left: int  # removals still to come
    matched: int = 0
    expected: bytes  # txids that were expected and have not left with it, highest feerate first
    fresh: bytes  # those of them that are new
    added: bytes = b""
    added_count: int = 0
    unseen: bytes
    unseen_count: int


class Expectations:
    """The newest blocks, and the one that is being taken out of the mempool."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.mempool_expected
        self._records: dict[bytes, bytes] = {}  # by block, oldest first, as they are stored
        self._since_ms: int | None = None
        self._pending: _Pending | None = None
        self._expected: dict[bytes, None] = {}  # of the pending block
        self._forget_changes()

    def _forget_changes(self) -> None:
        self._new: list[bytes] = []
        self._dropped: list[bytes] = []
        self._changed = self._since_new = self._anew = False

    @property
    def fields(self) -> int:
        """How many fields Redis holds once everything is written."""
        return len(self._records) + (self._since_ms is not None) + (self._pending is not None)

    async def load(self, client: redis.Client) -> None:
        """Read what was committed last."""
        self._forget_changes()
        stored: dict[bytes, bytes] = await client.hgetall(self._key)
        pending, since = stored.pop(PENDING, None), stored.pop(SINCE, b"")
        self._since_ms = int(since) if since.isdigit() else None
        self._set_pending(None if pending is None else msgspec.json.decode(pending, type=_Pending))
        self._changed = False
        known = [(expected.decoded(raw), block, raw) for block, raw in stored.items()]
        self._records = {
            block: raw for _, block, raw in sorted((found.at_ms, block, raw) for found, block, raw in known if found)
        }
        self._dropped = [block for found, block, _ in known if not found]  # nobody can read them

    def reset(self) -> None:
        """The state in Redis is gone, or cannot be read: what was recorded stays, and is written anew."""
        for block in self._new:
            self._records.pop(block, None)
        self._set_pending(None)
        self.rewrite()

    def rewrite(self) -> None:
        """What is stored is in doubt: the next flush writes all of it."""
        self._anew = self.fields > 0

    def _set_pending(self, pending: _Pending | None) -> None:
        self._pending, self._changed = pending, True
        self._expected = {} if pending is None else dict.fromkeys(expected.split(pending.expected, TXID))

    # --- events ----------------------------------------------------------------------------------------

    def heard(self, at_ms: int) -> None:
        """An entry of this moment is folded: from the first one on blocks are recorded."""
        if self._since_ms is None:
            self._since_ms, self._since_new = at_ms, True

    def wants(self, event: MempoolBlock) -> bool:
        """Whether a projection is needed: not of a block that is known, or goes on after an interruption."""
        block, pending = bytes.fromhex(event.block), self._pending
        if pending is not None and pending.block == block and pending.left == event.waiting:
            return False
        self.interrupted()
        return block not in self._records

    def began(self, event: MempoolBlock, at_ms: int, projected: Iterable[bytes], fresh: Iterable[bytes]) -> None:
        """A block's transactions are about to leave a mempool that is whole; the projection is of this moment."""
        unseen = event.unseen or ()
        if len(unseen) != event.tx_count - 1 - event.waiting:
            self.unknown(event, at_ms)
            return
        self._set_pending(
            _Pending(
                block=bytes.fromhex(event.block),
                at_ms=at_ms,
                left=event.waiting,
                expected=b"".join(projected),
                fresh=b"".join(fresh),
                unseen=bytes.fromhex("".join(unseen[:STARTS])),
                unseen_count=len(unseen),
            )
        )
        self._settle()

    def unknown(self, event: MempoolBlock, at_ms: int) -> None:
        """A block came while the mempool was not whole."""
        self._record(bytes.fromhex(event.block), Recorded(at_ms=at_ms, comparison=None))

    def left(self, txid: bytes, event: TxRemoved) -> None:
        """A transaction left with a block."""
        pending = self._pending
        if pending is None or event.block is None or pending.block.hex() != event.block:
            return
        pending.left -= 1
        self._changed = True
        if txid in self._expected:
            del self._expected[txid]
            pending.matched += 1
        else:
            pending.added_count += 1
            if pending.added_count <= STARTS:
                pending.added += txid[:START]
        self._settle()

    def interrupted(self) -> None:
        """Something else happens: what is pending will not be settled any more."""
        pending = self._pending
        if pending is not None:
            self._set_pending(None)
            self._record(pending.block, Recorded(at_ms=pending.at_ms, comparison=None))

    def _settle(self) -> None:
        pending = self._pending
        if pending is None or pending.left:
            return
        new = set(expected.split(pending.fresh, TXID))
        missing = [txid for txid in self._expected if txid not in new]
        fresh = [txid for txid in self._expected if txid in new]
        comparison = Comparison(
            matched=pending.matched,
            missing_count=len(missing),
            fresh_count=len(fresh),
            added_count=pending.added_count,
            unseen_count=pending.unseen_count,
            missing=b"".join(missing[:LISTED]),
            fresh=b"".join(fresh[:LISTED]),
            added=pending.added,
            unseen=pending.unseen,
        )
        self._set_pending(None)
        self._record(pending.block, Recorded(at_ms=pending.at_ms, comparison=comparison))

    def _record(self, block: bytes, recorded: Recorded) -> None:
        self._records[block] = msgspec.json.encode(recorded)
        self._new.append(block)
        while len(self._records) > EXPECTED_KEEP:
            oldest = next(iter(self._records))
            del self._records[oldest]
            self._dropped.append(oldest)

    # --- what is written ---------------------------------------------------------------------------------

    def flush(self, commands: Commands) -> None:
        """Commands for what changed since the last call."""
        key, pending = self._key, self._pending
        if self._anew:
            commands.add("DEL", key)
            self._new, self._dropped = list(self._records), []
        if self._since_ms is not None and (self._since_new or self._anew):
            commands.add("HSET", key, SINCE, self._since_ms)
        for block in self._new:
            if block in self._records:
                commands.add("HSET", key, block, self._records[block])
        commands.spread("HDEL", key, list(self._dropped))
        if self._changed or self._anew:
            if pending is None:
                commands.add("HDEL", key, PENDING)
            else:
                pending.expected = b"".join(self._expected)
                commands.add("HSET", key, PENDING, msgspec.json.encode(pending))
        self._forget_changes()
