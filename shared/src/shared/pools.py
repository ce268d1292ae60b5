"""Who mined how many blocks: what chain-history keeps of each day (UTC), and how others read it.

A day's shares lie packed in one field of `Keys.history_pools`, behind a byte that says in which layout; pools' names in
fields of `Keys.history_state`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from struct import Struct
from typing import Any, Final, NamedTuple

from shared import domains
from shared.errors import UnknownLayout
from shared.keys import Keys
from shared.records import Block, MinedBlock

UNKNOWN: Final = 0
"""The id of blocks whose pool nobody knows."""

VERSION: Final = 2
"""Layout of a day. 1 had no byte that says so, and kept pool, blocks and empty blocks in 12 bytes a share."""

_share: Final = Struct("<3I3Q")
_head: Final = bytes((VERSION,))
_NAME: Final = "pool:"


class Share(NamedTuple):
    """A pool's part of some measured blocks: counts and sums."""

    pool: int  # pool_id of its name, or UNKNOWN
    blocks: int
    empty: int  # of them, without a transaction but the coinbase
    weight: int  # weight units
    subsidy: int  # satoshi that the blocks' heights allow
    fees: int  # satoshi


def of_block(block: Block | MinedBlock, subsidy: int) -> Share:
    """The share that one block is; `subsidy` in satoshi."""
    return Share(block.pool, 1, int(block.tx_count == 1), block.weight, subsidy, block.fees)


def together(one: Share, other: Share, sign: int = 1) -> Share:
    """The sum of two shares of one pool, or with `sign` -1 what is left of the first without the other."""
    return Share(one.pool, *(a + sign * b for a, b in zip(one[1:], other[1:], strict=True)))


def pack(shares: Iterable[Share]) -> bytes:
    """The shares of a day, by rising pool id: the same bytes whatever the order in which they come."""
    return _head + b"".join(_share.pack(*share) for share in sorted(shares))


def unpack(packed: bytes) -> Iterator[Share]:
    """The shares of a day; none of no bytes. Raises UnknownLayout where they are not whole, or packed otherwise."""
    _check(packed)
    return map(Share._make, _share.iter_unpack(packed[1:]))


def summed(days: Iterable[bytes | None]) -> list[Share]:
    """The shares of several days together, by rising pool id. Raises UnknownLayout.

    A share is added as one whole number, in lanes of which only the uppermost, that of the fees, can ever grow beyond
    its bits: seventeen years take a tenth of the time that share by share takes.
    """
    sums: dict[bytes, int] = {}
    size = _share.size
    for packed in days:
        if not packed:
            continue
        _check(packed)
        for at in range(1, len(packed), size):
            pool = packed[at : at + 4]
            sums[pool] = sums.get(pool, 0) + int.from_bytes(packed[at + 4 : at + size], "little")
    return sorted(_of_lanes(int.from_bytes(pool, "little"), lanes) for pool, lanes in sums.items())


def _of_lanes(pool: int, lanes: int) -> Share:
    half, word = (1 << 32) - 1, (1 << 64) - 1
    return Share(pool, lanes & half, lanes >> 32 & half, lanes >> 64 & word, lanes >> 128 & word, lanes >> 192)


def _check(packed: bytes) -> None:
    if packed and (packed[0] != VERSION or len(packed) % _share.size != 1):  # what is older is 12 bytes a share
        raise UnknownLayout(f"the blocks by pool of a day are not in layout {VERSION}, which this software reads")


def pool_id(name: str | None) -> int:
    """A mining pool's number: the same in every build, whatever the order in which pools are met; 0: unknown."""
    return int.from_bytes(sha256(name.encode()).digest()[:4], "little") or 1 if name else 0


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


async def read(
    client: Any, keys: Keys, first_day: int, last_day: int
) -> tuple[list[tuple[int, Share]], dict[int, str]]:
    """(day, share) of the days (Unix time over 86,400) from first to last, day by day, and the names of all pools.

    Raises UnknownLayout where chain-history has not converted them yet.
    """
    packed, known = await _stored(client, keys, first_day, last_day)
    days = enumerate(packed, first_day)
    return [(day, share) for day, shares in days if shares for share in unpack(shares)], known


async def read_sums(client: Any, keys: Keys, first_day: int, last_day: int) -> tuple[list[Share], dict[int, str]]:
    """As `read`, the shares of all days together."""
    packed, known = await _stored(client, keys, first_day, last_day)
    return summed(packed), known


async def read_days_of(client: Any, keys: Keys, pool: int, first_day: int, last_day: int) -> dict[int, int]:
    """How many blocks this pool found on each of the days on which it found any. Raises UnknownLayout."""
    packed, _ = await _stored(client, keys, first_day, last_day)
    wanted = pool.to_bytes(4, "little")
    found: dict[int, int] = {}
    for day, shares in enumerate(packed, first_day):
        _check(shares or b"")
        for at in range(1, len(shares or b""), _share.size):
            if shares and shares[at : at + 4] == wanted:
                found[day] = Share._make(_share.unpack_from(shares, at)).blocks
    return found


async def _stored(client: Any, keys: Keys, first: int, last: int) -> tuple[list[bytes | None], dict[int, str]]:
    wanted = [str(day) for day in range(first, last + 1)]
    days = await client.hmget(keys.history_pools, wanted) if wanted else []
    return days, names(await client.hgetall(keys.state(domains.HISTORY)))
