"""The pages of look-ups on a real node: what they show, and that they change by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from explorer.app import run
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.events.lookups import TxWanted
from shared.lookups import transaction
from shared.views import BlocksView
from support.explored import Chain
from support.ledger import running
from support.web_harness import Running, serving, until
from support.web_samples import Writer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chain]:
    async with Chain(tmp_path_factory.mktemp("node")) as it:
        yield it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with (
        EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server,
        running(server.url, run, "explorer", **chain.node.env()),
        serving(server.url, network="regtest") as it,
    ):
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(site: Running) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.url, timeout=aiohttp.ClientTimeout(total=20)) as it:
        yield it


async def page(visitor: aiohttp.ClientSession, path: str, status: int = 200) -> str:
    async with visitor.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.text()


async def test_a_transaction_is_shown(chain: Chain, visitor: aiohttp.ClientSession, site: Running) -> None:
    txid = await chain.pay()
    waits = await page(visitor, f"/tx/{txid}")
    assert "waits in the mempool" in waits
    raw = await chain.node.rpc("getrawtransaction", txid, 1)
    for one in raw["vout"]:
        assert f'/address/{one["scriptPubKey"]["address"]}"' in waits
    asked = site.site.lookups.asked
    assert f'data-lookup="{txid}"' in await page(visitor, f"/tx/{txid.upper()}"), "there is one address"
    assert site.site.lookups.asked == asked, "nobody is asked twice"


async def test_an_answer_is_kept_by_web_for_as_long_as_it_holds(chain: Chain, site: Running) -> None:
    lookups, wanted = site.site.lookups, TxWanted(txid=await chain.pay())
    first = await lookups.ask(f"tx:{wanted.txid}:0", wanted, transaction.Answer)
    assert await lookups.ask(f"tx:{wanted.txid}:0", wanted, transaction.Answer) is first
    lookups.forget(wanted.txid)
    assert await lookups.ask(f"tx:{wanted.txid}:0", wanted, transaction.Answer) is not first


@pytest.mark.parametrize("path", ["/tx/xyz", "/tx/" + "0" * 63, "/tx/" + "0" * 64 + "?page=-1"])
async def test_what_is_no_transaction_is_said_not_to_be(visitor: aiohttp.ClientSession, path: str) -> None:
    assert "64 hexadecimal digits" in await page(visitor, path, 400)


async def test_what_is_not_there_is_said_not_to_be(visitor: aiohttp.ClientSession) -> None:
    assert "txindex=1" in await page(visitor, "/tx/" + "0" * 64, 404)


async def test_a_block_is_shown_by_hash_and_by_height(chain: Chain, visitor: aiohttp.ClientSession) -> None:
    await chain.mine()
    txids = [await chain.pay() for _ in range(30)]
    [block] = await chain.mine()
    height = await chain.node.rpc("getblockcount")
    first = await page(visitor, f"/block/{block}")
    assert sum(f'href="/tx/{txid}"' in first for txid in txids) == 24, "the coinbase and 24 more"
    second = await page(visitor, f"/block/{height}?page=1")
    assert {txid for txid in txids if f'href="/tx/{txid}"' in first + second} == set(txids)
    assert f'data-lookup="{block}"' in second
    assert 'aria-sort="descending"' in await page(visitor, f"/block/{height}?sort=-fee")


@pytest.mark.parametrize("path", ["/block/-1", "/block/007", "/block/xyz", "/block/500000000", "/block/1?page=x"])
async def test_what_is_no_block_is_said_not_to_be(visitor: aiohttp.ClientSession, path: str) -> None:
    assert "by its height" in await page(visitor, path, 400)


async def test_blocks_that_are_not_there(visitor: aiohttp.ClientSession) -> None:
    assert "no block of this height yet" in await page(visitor, "/block/400000000", 404)
    assert "no block of this hash" in await page(visitor, "/block/" + "0" * 64, 404)


async def test_a_block_that_is_not_among_the_newest_of_the_dashboard(
    chain: Chain, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with (
        EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server,
        running(server.url, run, "explorer", **chain.node.env()),
    ):
        client = redis.connect(server.url)
        await Writer(client, "regtest").chain()
        await client.aclose()
        async with (
            serving(server.url, network="regtest") as site,
            aiohttp.ClientSession(site.url, timeout=aiohttp.ClientTimeout(total=20)) as visitor,
        ):
            await until(lambda: site.site.state.snapshot[BlocksView])
            block = await chain.node.rpc("getblockhash", 1)
            assert block in await page(visitor, f"/block/{block}")
