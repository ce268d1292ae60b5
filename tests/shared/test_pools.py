"""Pools' shares: what is packed is read back, and the order in which shares come decides no byte."""

from __future__ import annotations

from struct import pack

import pytest

from shared import domains, pools, redis
from shared.errors import UnknownLayout
from shared.keys import Keys
from shared.networks import COIN
from shared.pools import Share

KEYS = Keys("regtest")
ONE = Share(1, 5, 0, 50, 500, 5_000)
TWO = Share(2, 3, 1, 30, 300, 3_000)


def test_shares_are_read_back_by_rising_id() -> None:
    shares = [
        Share(7, 2, 0, 9, 2 * COIN, 7_000_000), Share(0, 1, 1, 0, COIN, 900), Share(2**32 - 1, 144, 3, 2**63, 1, 2**40)
    ]  # fmt: skip
    packed = pools.pack(shares)
    assert packed == pools.pack(reversed(shares))
    assert list(pools.unpack(packed)) == sorted(shares)
    assert len(packed) == 1 + 3 * 36
    assert list(pools.unpack(b"")) == []


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_a_day_in_another_layout_is_not_misread(count: int) -> None:
    before = b"".join(pack("<III", pools.VERSION + place, 3, 1) for place in range(count))  # as it was once
    newer = bytes([pools.VERSION + 1]) + bytes(36 * count)
    torn = pools.pack([Share(7, 2, 0, 9, 1, 1)] * count)[:-1]
    for packed in (before, newer, torn):
        with pytest.raises(UnknownLayout):
            list(pools.unpack(packed))


def test_days_together_are_the_sum_of_their_shares() -> None:
    much = Share(7, 100, 3, 2**62, 2**62, 2**63)  # three such are more than 64 bits hold, of the fees alone
    days = [pools.pack([much, ONE]), None, pools.pack([much]), b"", pools.pack([much, TWO]), pools.pack([ONE])]
    held = [Share(7, 300, 9, 3 * 2**62, 3 * 2**62, 3 * 2**63), TWO, pools.together(ONE, ONE)]
    assert pools.summed(days) == sorted(held)
    with pytest.raises(UnknownLayout):
        pools.summed([b"\x01" + bytes(36)])


def test_shares_are_sums() -> None:
    one, other = Share(7, 2, 1, 9, 5, 700), Share(7, 1, 0, 4, 5, 300)
    assert pools.together(one, other) == Share(7, 3, 1, 13, 10, 1_000)
    assert pools.together(pools.together(one, other), other, -1) == one


async def test_days_and_names_are_read_in_one_go(client: redis.Client) -> None:
    await client.hset(KEYS.history_pools, mapping={"9": pools.pack([ONE]), "11": pools.pack([TWO])})
    await client.hset(
        KEYS.state(domains.HISTORY), mapping={"state": b"{}", pools.name_field(2): "Mine", "pool:x": "no id"}
    )
    shares, names = await pools.read(client, KEYS, 9, 10)
    assert (shares, names) == ([(9, ONE)], {2: "Mine"})
    assert (await pools.read_sums(client, KEYS, 9, 11)) == ([ONE, TWO], {2: "Mine"})
    assert (await pools.read(client, KEYS, 9, 11))[0] == [(9, ONE), (11, TWO)]
    assert await pools.read(client, KEYS, 1, 0) == ([], {2: "Mine"})
