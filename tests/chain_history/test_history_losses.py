"""Any key that Redis loses is made again: while the fold runs and while it does not; the bytes are a fresh build's."""

from __future__ import annotations

import random
from typing import Any

import pytest

from chain_history.losses import look
from shared import domains, redis
from shared.errors import StreamGap
from shared.events.blocks import BlockConnected
from shared.keys import REORG_BLOCKS
from shared.layouts import LAYOUT
from shared.networks import RETARGET_INTERVAL
from shared.series import BLOCKS, HEADERS
from support.chain_samples import chain, connected, disconnected, loaded, measured
from support.history_building import KEYS, Built, contents, fresh, view

HASHES = {
    "state": KEYS.state(domains.HISTORY), "recent": KEYS.history_recent, "largest": KEYS.history_largest,
    "pools": KEYS.history_pools, "views": KEYS.views(domains.HISTORY), "index": KEYS.series_index("chain"),
    "layouts": KEYS.series_layouts("chain"),
}  # fmt: skip
SERIES = ["headers", "retargets", "blocks", "hours", "days", "weeks"]


@pytest.fixture(scope="module")
def blocks() -> list[BlockConnected]:
    """So many that neither all are kept in full nor lie in one segment."""
    return chain(REORG_BLOCKS + RETARGET_INTERVAL + 700)


async def lose(client: redis.Client, what: str, chance: random.Random) -> str:
    """Delete the hash, or any one segment of the series."""
    key = HASHES.get(what)
    if key is None:
        members: list[str] = sorted(member.decode() for member in await client.smembers(KEYS.series_index("chain")))
        key = f"{{main:chain}}:series:{chance.choice([one for one in members if one.startswith(what + ':')])}"
    assert await client.delete(key) == 1
    return key


async def wanted(built: Built) -> list[int]:
    """Heights that a worker of the backfill would fetch."""
    return [height for first, last in (await view(built.client)).missing for height in range(first, last + 1)]


async def refill(built: Built, blocks: list[BlockConnected]) -> None:
    await built.commit()
    heights = await wanted(built)
    for at in range(0, len(heights), 24):
        built.apply(measured(blocks, heights[at : at + 24]))
        if at % 480 == 0:
            await built.commit()
    await built.commit()
    await built.commit()  # that the views are there is recorded with the one after
    assert await wanted(built) == []


async def everything(built: Built) -> list[tuple[str, int]]:
    return [(name, one) for name, writer in built.fold.store.writers.items() for one in sorted(writer.known)]


async def whole(client: redis.Client, blocks: list[BlockConnected]) -> tuple[Built, dict[str, Any]]:
    built = await fresh(client, blocks)
    await built.commit()
    assert not await look(client, KEYS, await everything(built))
    return built, await contents(client)


async def test_what_is_lost_while_it_runs_is_made_again(client: redis.Client, blocks: list[BlockConnected]) -> None:
    built, before = await whole(client, blocks)
    chance = random.Random(5)
    for what in [*HASHES, *SERIES, *SERIES]:
        key = await lose(client, what, chance)
        losses = await look(client, KEYS, await everything(built))
        assert losses, key
        assert str(losses).startswith("Redis has lost "), key
        built.fold.mend(losses)
        await refill(built, blocks)
        assert await contents(client) == before, key
        assert not await look(client, KEYS, await everything(built)), key


@pytest.mark.parametrize("what", ["recent", "largest", "pools", "views", "index", "layouts", *SERIES[1:]])
async def test_what_is_lost_while_it_does_not_run_is_made_again(
    client: redis.Client, blocks: list[BlockConnected], what: str
) -> None:
    built, before = await whole(client, blocks)
    for seed in range(2 if what in SERIES else 1):
        key = await lose(client, what, random.Random(seed))
        await built.restart()
        await refill(built, blocks)
        assert await contents(client) == before, key


@pytest.mark.parametrize("what", ["state", "headers"])
async def test_what_nobody_can_make_again_leads_to_a_new_beginning(
    client: redis.Client, blocks: list[BlockConnected], what: str
) -> None:
    built, before = await whole(client, blocks[:3_000])
    await lose(client, what, random.Random(0))
    with pytest.raises(ValueError, match="gone"):
        await built.restart()
    built.fold.reset()  # as the consumer does
    await built.commit()
    built.apply(loaded(blocks[:2_800]), *blocks[2_800:3_000])
    await built.backfill(blocks[:3_000])
    await built.commit()
    assert await contents(client) == before


async def test_several_losses_at_once(client: redis.Client, blocks: list[BlockConnected]) -> None:
    built, before = await whole(client, blocks)
    chance = random.Random(3)
    await client.delete(KEYS.series("chain", BLOCKS.name, 0))
    for what in ("hours", "days", "pools", "largest", "index"):
        await lose(client, what, chance)
    await built.restart()
    await refill(built, blocks)
    assert await contents(client) == before


async def test_a_lost_block_is_not_taken_back_by_guessing(client: redis.Client, blocks: list[BlockConnected]) -> None:
    built, _ = await whole(client, blocks)
    await client.delete(KEYS.series("chain", BLOCKS.name, blocks[-1].height // BLOCKS.segment))
    await built.restart()
    with pytest.raises(StreamGap, match="is lost"):
        built.apply(disconnected(blocks[-1]))
    await refill(built, blocks)
    built.apply(disconnected(blocks[-1]))
    other = connected(len(blocks), blocks[-2], 9)
    built.apply(other)
    await built.commit()
    await built.commit()
    seen = await contents(client)
    await whole(client, [*blocks[:-1], other])
    assert await contents(client) == seen


@pytest.mark.parametrize("gone", [[], ["blocks"], ["days"], ["pools", "blocks"]])
async def test_what_an_older_layout_said_of_pools_is_made_anew(
    client: redis.Client, blocks: list[BlockConnected], gone: list[str]
) -> None:
    _, before = await whole(client, blocks)
    await client.hset(KEYS.checkpoint(domains.HISTORY), LAYOUT, 2)
    days = await client.hkeys(KEYS.history_pools)
    await client.hset(KEYS.history_pools, mapping=dict.fromkeys(days, bytes(24)))  # which tells of blocks alone
    for what in gone:  # of the blocks the oldest: of the newest nobody could make the sums again
        assert await client.delete(HASHES.get(what) or KEYS.series("chain", what, 27 if what == "days" else 0))
    built = await again(client)
    assert bool(built.fold.losses) is bool(gone), "nothing is lost but what is lost"
    await refill(built, blocks)
    assert await contents(client) == before


async def again(client: redis.Client) -> Built:
    """A fold that goes on where the last one was killed."""
    built = Built(client)
    await client.hdel(KEYS.checkpoint(domains.HISTORY), "cursor", "commits")  # which `Built` counts from the beginning
    await built.restart()
    return built


async def test_half_of_a_segment_counts_as_lost(client: redis.Client, blocks: list[BlockConnected]) -> None:
    built, before = await whole(client, blocks)
    for name in (HEADERS.name, BLOCKS.name):
        key = KEYS.series("chain", name, 1)
        await client.set(key, (await client.get(key))[:-100])
    losses = await look(client, KEYS, await everything(built))
    assert losses.segments == [("headers", 1), ("blocks", 1)]
    built.fold.mend(losses)
    await refill(built, blocks)
    assert await contents(client) == before
