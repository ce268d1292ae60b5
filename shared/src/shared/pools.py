"""Who mined how many blocks: what chain-history keeps of each day (UTC), and how others read it.

A day's shares lie packed in one field of `Keys.history_pools`, pools' names in fields of `Keys.history_state`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from struct import Struct
from typing import Any, Final, NamedTuple

from shared import domains
from shared.keys import Keys

UNKNOWN: Final = 0
"""The id of blocks whose pool nobody knows."""

_share: Final = Struct("<III")
_NAME: Final = "pool:"


class Share(NamedTuple):
    """A pool's part of some blocks."""

    pool: int  # shared.records.pool_id of its name, or UNKNOWN
    blocks: int
    empty: int  # of them, without a transaction but the coinbase


def pack(shares: Iterable[Share]) -> bytes:
    """The shares of a day, by rising pool id: the same bytes whatever the order in which they come."""
    return b"".join(_share.pack(*share) for share in sorted(shares))


def unpack(packed: bytes) -> Iterator[Share]:
    """The shares of a day. Raises struct.error where the bytes are no whole shares."""
    return map(Share._make, _share.iter_unpack(packed))


def name_field(pool: int) -> str:
    """The field of `Keys.history_state` that holds a pool's name."""
    return f"{_NAME}{pool}"


def names(fields: Mapping[bytes, bytes]) -> dict[int, str]:
    """Pools' names by their id, among all the fields of `Keys.history_state`."""
    start = _NAME.encode()
    return {
        int(field[len(start) :]): name.decode(errors="replace")
        for field, name in fields.items()
        if field.startswith(start) and field[len(start) :].isdigit()
    }


async def read(client: Any, keys: Keys, first_day: int, last_day: int) -> tuple[list[Share], dict[int, str]]:
    """The shares of the days (Unix time over 86,400) from first to last, day by day, and the names of all pools."""
    wanted = [str(day) for day in range(first_day, last_day + 1)]
    days = await client.hmget(keys.history_pools, wanted) if wanted else []
    known = names(await client.hgetall(keys.state(domains.HISTORY)))
    return [share for day in days if day for share in unpack(day)], known
