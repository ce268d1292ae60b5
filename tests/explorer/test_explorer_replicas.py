"""Two replicas share the look-ups; one is killed in the middle of them, and none is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import msgspec
import pytest

from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.domains import CHANGES
from shared.views import Health
from support.each import each
from support.explored import KEYS, Chain
from support.figures_shown import btc
from support.markup import words
from support.replicas import Replicas, killed
from support.spending import build, fan_out, mined_coins, send
from support.stack import until
from support.web_harness import serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOOKUPS = {True: 200, False: 80}
"""By whether the suite runs in full."""


async def test_one_of_two_is_killed_in_the_middle_of_many(
    chain: Chain, valkey: EmbeddedValkey, tmp_path: Path, full: bool
) -> None:
    lookups = LOOKUPS[full]
    client = redis.connect(valkey.url)
    await client.flushall()
    coins = await fan_out(chain.node, await mined_coins(chain.node, 1), lookups)
    made = [build([coin], [coin.value - 1_000 - at]) for at, coin in enumerate(coins)]
    await send(chain.node, made)
    await chain.mine()

    async def there() -> bool:
        told = [msgspec.json.decode(one, type=Health) for one in (await client.hgetall(KEYS.health)).values()]
        return sum(one.service == "explorer" for one in told) == 2

    async def busy() -> str | None:
        """Who has taken questions that it has not answered yet."""
        told = await client.xinfo_consumers(KEYS.requests(CHANGES.slot), "explorer")
        return next((one["name"].decode() for one in told if one["pending"] > 4), None)

    async with (
        Replicas("explorer", tmp_path, REDIS_URL=valkey.url, **chain.node.env()) as replicas,
        serving(valkey.url, network="regtest") as site,
        aiohttp.ClientSession(site.url, timeout=aiohttp.ClientTimeout(total=30)) as session,
    ):
        await until(there, 30, "both answer")

        async def asked(txid: str) -> str:
            """As the page asks again by itself, until it is there."""
            async with asyncio.timeout(60):
                while True:
                    async with session.get(f"/tx/{txid}") as response:
                        text = await response.text()
                        if response.status == 200:
                            return text
                        assert response.status == 202, (txid, response.status, words(text))
                    await asyncio.sleep(0.5)

        asking = [asyncio.create_task(asked(one.txid)) for one in made]
        name = await until(busy, 20, "one of them is at work")
        assert name is not None
        [one] = [one for one in replicas.all if one.env["INSTANCE"] in name]
        await killed(one)
        assert await client.xlen(KEYS.stream(CHANGES)) < lookups, "it was in the middle of them"
        for it, page in zip(made, await asyncio.gather(*asking), strict=True):
            assert f'data-lookup="{it.txid}"' in page
            assert btc(it.outputs[0].value) in words(page)
        assert await client.xlen(KEYS.dead(CHANGES.slot)) == 0
        told = [msgspec.json.decode(fields[b"data"]) for _, fields in await client.xrange(KEYS.stream(CHANGES))]
        assert {one["key"].split(":")[1] for one in told} == {one.txid for one in made}
        assert each(one["status"] == "done" for one in told)
    await client.aclose()
