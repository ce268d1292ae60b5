"""What was expected in a block just before it came, and what was not: how mempool keeps it, and how others read it.

A block that came while the mempool was not whole has an entry without figures. Of what is in the block six bytes of
each txid are enough: whoever asks has the block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from shared.keys import Keys

LAYOUT: Final = 1
"""Goes up by one with every change of Recorded; what is of another layout is not read."""

LISTED: Final = 100
"""Txids in a list of what was not in the block, highest feerate first."""

TXID: Final = 32
START: Final = 6
"""Bytes of a txid that stand for it within its block."""

STARTS: Final = 2_000
"""Transactions of the block named so at most, of each kind."""

SINCE: Final = b"since"
PENDING: Final = b"pending"
"""Fields of `Keys.mempool_expected` that are no block."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The block held against the projection. Counts are exact, lists are cut."""

    matched: int
    missing_count: int  # waited long enough, expected, not in it
    fresh_count: int  # expected and not in it, but so new that its miner may not have had them
    added_count: int  # waited, not expected, in it
    unseen_count: int  # never waited here, in it
    missing: bytes  # txids, one after the other
    fresh: bytes
    added: bytes  # the first START bytes of each
    unseen: bytes


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One block."""

    layout: int = LAYOUT
    at_ms: int  # when the projection was made, by Redis' clock
    comparison: Comparison | None  # None: the mempool was not whole


class Record(NamedTuple):
    """What is known of a block."""

    recorded: Recorded | None  # None: nothing was
    since_ms: int | None  # since when there is a record at all; None: there is none

    @property
    def comparison(self) -> Comparison | None:
        """Its figures; None where they are not known."""
        return None if self.recorded is None else self.recorded.comparison


def split(joined: bytes, size: int) -> Iterator[bytes]:
    """Parts of this size."""
    return (joined[at : at + size] for at in range(0, len(joined), size))


async def read(client: Any, keys: Keys, block_hash: str) -> Record:
    """What was recorded of a block. Raises one of shared.redis.TROUBLE."""
    raw, since = await client.hmget(keys.mempool_expected, bytes.fromhex(block_hash), SINCE)
    recorded = None if raw is None else decoded(raw)
    return Record(recorded, int(since) if since and since.isdigit() else None)


def decoded(raw: bytes) -> Recorded | None:
    """An entry; None where it is damaged, or of another layout."""
    try:
        recorded = msgspec.json.decode(raw, type=Recorded)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    return recorded if recorded.layout == LAYOUT else None
