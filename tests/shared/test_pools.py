"""Pools' shares: what is packed is read back, and the order in which shares come decides no byte."""

from __future__ import annotations

import struct

import pytest

from shared import domains, pools, redis
from shared.keys import Keys
from shared.pools import Share

KEYS = Keys("regtest")


def test_shares_are_read_back_by_rising_id() -> None:
    shares = [Share(7, 2, 0), Share(0, 1, 1), Share(2**32 - 1, 144, 3)]
    packed = pools.pack(shares)
    assert packed == pools.pack(reversed(shares))
    assert list(pools.unpack(packed)) == sorted(shares)
    assert len(packed) == 36
    with pytest.raises(struct.error):
        list(pools.unpack(packed[:-1]))


async def test_days_and_names_are_read_in_one_go(client: redis.Client) -> None:
    await client.hset(
        KEYS.history_pools, mapping={"9": pools.pack([Share(1, 5, 0)]), "11": pools.pack([Share(2, 3, 1)])}
    )
    await client.hset(
        KEYS.state(domains.HISTORY), mapping={"state": b"{}", pools.name_field(2): "Mine", "pool:x": "no id"}
    )
    shares, names = await pools.read(client, KEYS, 9, 10)
    assert (shares, names) == ([Share(1, 5, 0)], {2: "Mine"})
    assert await pools.read(client, KEYS, 1, 0) == ([], {2: "Mine"})
