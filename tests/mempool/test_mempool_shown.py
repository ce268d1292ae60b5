"""What the real service shows and when: nothing before it was compared with the node, and decimals below 1 sat/vB."""

from __future__ import annotations

import msgspec
import pytest

from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.bands import FEERATE_BOUNDS
from shared.clock import now
from shared.events.derived import MempoolUpdated
from shared.events.mempool import MempoolReset, TxRemoved
from shared.series import MEMPOOL_SERIES, segments_of
from support.mempool_feed import KEYS, Feed, added, serving, view
from support.stack import until


def now_ms() -> int:
    return now().wall_ms


@pytest.fixture
async def feed(client: redis.Client) -> Feed:
    return Feed(client)


async def told(client: redis.Client) -> list[MempoolUpdated]:
    """Every `mempool.updated`."""
    entries = await client.xrange(KEYS.stream(domains.FEES))
    return [msgspec.json.decode(fields[b"data"], type=MempoolUpdated) for _, fields in entries]


async def test_nothing_is_shown_before_the_first_comparison(
    valkey: EmbeddedValkey, client: redis.Client, feed: Feed
) -> None:
    async with serving(valkey.url):
        await feed.tell(MempoolReset(cause="first start", node="main"))
        await feed.folded()
        await feed.tell(*(added(number, now_ms() // 1000) for number in range(900)))
        await feed.folded()
    async with serving(valkey.url):  # nor after a restart
        await feed.tell(added(900, now_ms() // 1000))
        await feed.folded()
        assert await client.exists(KEYS.views(domains.MEMPOOL)) == 0
        assert await told(client) == []
        assert not await segments_of(client, KEYS, "mempool")
        await feed.sync(now_ms())
        await until(lambda: told(client), 8, "the first figures")
        found = await view(client)
        assert found is not None
        assert found[0].count == 901
        assert found[0].exact
        assert found[1].recommended.fastestFee == 1
        assert (await told(client))[0].count == 901


async def test_what_was_shown_stays_while_a_mempool_is_told_again(
    valkey: EmbeddedValkey, client: redis.Client, feed: Feed
) -> None:
    there = [added(number, now_ms() // 1000) for number in range(300)]
    async with serving(valkey.url):
        await feed.tell(MempoolReset(cause="first start", node="main"), *there)
        await feed.sync(now_ms())
        await until(lambda: told(client), 8, "figures")
        await feed.tell(MempoolReset(cause="the node was restarted", node="main"))
        await feed.folded()
        before, notes = await client.hgetall(KEYS.views(domains.MEMPOOL)), len(await told(client))
        for part in range(3):
            await feed.tell(*there[part * 100 : part * 100 + 100])
            await feed.folded()
            assert await client.hgetall(KEYS.views(domains.MEMPOOL)) == before
        assert len(await told(client)) == notes
    async with serving(valkey.url):  # killed in between
        await feed.tell(TxRemoved(txid=there[0].txid, reason="block"))
        await feed.folded()
        assert await client.hgetall(KEYS.views(domains.MEMPOOL)) == before
        await feed.sync(now_ms())

        async def anew() -> bool:
            found = await view(client)
            return found is not None and found[0].count == 299

        await until(anew, 8, "the new figures")
        assert len(await told(client)) > notes


async def test_a_quiet_chain_shows_what_the_node_really_accepts(
    valkey: EmbeddedValkey, client: redis.Client, feed: Feed
) -> None:
    async with serving(valkey.url):
        few = [added(number, now_ms() // 1000, rate=rate) for number, rate in enumerate([0.1, 0.17, 0.35, 0.9, 5.0])]
        await feed.tell(MempoolReset(cause="test", node="main"), *few)
        await feed.sync(now_ms(), min_fee_rate=0.1)
        await until(lambda: told(client), 8, "figures")
        [first] = await told(client)
        found = await view(client)
        assert found is not None
        _, fees = found
        assert fees.precise is not None
        assert set(msgspec.structs.asdict(fees.recommended).values()) == {1}
        assert set(msgspec.structs.asdict(fees.precise).values()) == {0.1}
        assert found[0].min_fee_rate == first.min_fee_rate == fees.precise.minimumFee
        assert not fees.next_block_full
        assert (first.precise, first.next_block_full) == (fees.precise, False)
        bands = {band.from_rate: band.count for band in fees.histogram if band.count}
        assert bands == {0.1: 1, 0.15: 1, 0.3: 1, 0.8: 1, 5.0: 1}
        assert [band.from_rate for band in fees.histogram] == list(FEERATE_BOUNDS)

        many = [added(100 + number, now_ms() // 1000, rate=0.25, vsize=100_000) for number in range(25)]
        await feed.tell(*many)
        await feed.sync(now_ms(), min_fee_rate=0.1)

        async def full() -> bool:
            latest = (await told(client))[-1]
            return latest.count == 30 and latest.next_block_full

        await until(full, 8, "the next block will be full")
        precise = (await told(client))[-1].precise
        assert precise is not None
        assert precise.fastestFee == 0.25
        assert precise.minimumFee == 0.1
        assert (await told(client))[-1].recommended.fastestFee == 1
    assert set(await segments_of(client, KEYS, "mempool")) >= {series.name for series in MEMPOOL_SERIES[3:]}
