"""What a reader sees while the Electrum server is away, slow, cut off or talks nonsense: why, and then all again.

He does what lookup.js and the page's own refresh do: ask again as long as the answer says so.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio

from explorer.app import run
from explorer.electrum.client import Electrum
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.domains import CHANGES
from shared.service import Service
from support.electrum_script import QUICK, REGTEST, Scripted
from support.explored import KEYS, WALLET, Chain
from support.ledger import running
from support.markup import words
from support.wallets import SECRET
from support.web_harness import Running, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

HISTORY, BALANCE = "blockchain.scripthash.get_history", "blockchain.scripthash.get_balance"
SHOWN = "0.0123 BTC confirmed"


class World(NamedTuple):
    chain: Chain
    server: Scripted
    site: Running
    session: aiohttp.ClientSession
    client: redis.Client
    address: str
    txid: str

    async def fresh(self) -> None:
        """What was answered so far is over."""
        async for key in self.client.scan_iter(match=KEYS.answer(CHANGES.slot, "*")):
            await self.client.delete(key)
        self.site.site.lookups._kept.clear()

    async def page(self, path: str) -> tuple[int, str]:
        """Status and text, of a page that asks again by itself where it is no whole one."""
        async with self.session.get(path) as response:
            status, html = response.status, await response.text()
            if status != 200:
                assert response.headers["Retry-After"] == "2"
                assert re.search(r'<meta http-equiv="refresh" content="\d', html), "it asks again without a script"
                assert "data-lookup" in html, "a page that is open turns into this one"
                assert "BTC" not in words(html.partition("<h1>")[2].partition("</main>")[0])
            return status, words(html)

    async def says(self, status: int, *said: str) -> None:
        """What the page of the address says now; not of before."""
        await self.fresh()
        for _ in range(60):
            told, text = await self.page(f"/address/{self.address}")
            if told == status and all(one in text for one in said):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{told}: {text}; expected {status} and {said}")

    async def recovers(self) -> None:
        """Asked again as the page itself asks, without any help."""
        for _ in range(100):
            status, text = await self.page(f"/address/{self.address}")
            if status == 200:
                assert SHOWN in text
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"{status}: {text}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    def of(service: Service) -> Electrum:
        return Electrum(service.settings.electrum_nodes, REGTEST, limits=QUICK, log=service.log)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Electrum, "of", staticmethod(of))
        async with (
            Chain(tmp_path_factory.mktemp("node"), "-txindex=1") as chain,
            EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as valkey,
            Scripted() as server,
            running(
                valkey.url, run, "explorer", **chain.node.env(), MAIN_ELECTRUM_URL=f"tcp://127.0.0.1:{server.port}",
                WALLET_SECRET=SECRET,
            ),
            serving(valkey.url, network="regtest", wallet_secret=SECRET) as site,
            aiohttp.ClientSession(site.url, timeout=aiohttp.ClientTimeout(total=20)) as session,
        ):  # fmt: skip
            address = await chain.wallet("getnewaddress", "", "bech32")
            txid = await chain.pay([{address: 0.0123}])
            await chain.mine()
            height = await chain.node.rpc("getblockcount")
            raw = await chain.node.rpc("getrawtransaction", txid, 1)
            vout = next(one["n"] for one in raw["vout"] if one["scriptPubKey"].get("address") == address)
            client = redis.connect(valkey.url)
            server.tip = height
            server.answers |= well(txid, height, vout, raw["hex"])
            yield World(chain, server, site, session, client, address, txid)
            await client.aclose()


def well(txid: str, height: int, vout: int, raw: str) -> dict[str, Any]:
    """One payment to the address, in a block."""
    return {
        BALANCE: {"confirmed": 1_230_000, "unconfirmed": 0},
        "blockchain.scripthash.listunspent": [{"tx_hash": txid, "tx_pos": vout, "height": height, "value": 1_230_000}],
        HISTORY: [{"tx_hash": txid, "height": height}],
        "blockchain.transaction.get": raw,
    }


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def shown_before_and_after(world: World) -> AsyncIterator[None]:
    await world.says(200, SHOWN)
    yield
    world.server.line = lambda request: None
    await world.recovers()


async def test_a_server_that_stops_and_starts(world: World) -> None:
    await world.server.stop()
    await world.says(503, "cannot be looked up now: no Electrum server can be asked now", "asks again by itself")
    status, text = await world.page(f"/tx/{world.txid}")
    assert (status, "0.0123 BTC" in text) == (200, True), "what the node knows is shown meanwhile"
    async with world.session.get(f"/api/address/{world.address}") as response:
        assert response.status == 503
        assert "no Electrum server" in await response.text()
    await world.server.start()
    await world.recovers()


async def test_a_server_that_is_silent(world: World) -> None:
    world.server.line = lambda request: b"" if request["method"] == HISTORY else None
    await world.says(202, "It is being looked up. This page asks again by itself.")
    world.server.line = lambda request: None
    await world.recovers()


async def test_a_server_that_cuts_the_connection(world: World) -> None:
    def cut(request: dict[str, Any]) -> bytes | None:
        if request["method"] == HISTORY:
            world.server.cut()
            return b""
        return None

    world.server.line = cut
    await world.says(503, "the server cut the connection", "asks again by itself")


@pytest.mark.parametrize(
    ("result", "named"),
    [
        ('{"confirmed":-1,"unconfirmed":0}', "the answer to blockchain.scripthash.get_balance"),
        ("[]", "the answer to blockchain.scripthash.get_balance"),
    ],
)
async def test_a_server_that_answers_nonsense(world: World, result: str, named: str) -> None:
    world.server.line = lambda request: (
        f'{{"jsonrpc":"2.0","id":{request["id"]},"result":{result}}}\n'.encode()
        if request["method"] == BALANCE
        else None
    )
    await world.says(503, named, "asks again by itself")


async def test_the_page_of_a_wallet_says_so_as_well(world: World) -> None:
    described = next(
        one["desc"]
        for one in (await world.chain.node.rpc("listdescriptors", wallet=WALLET))["descriptors"]
        if one["desc"].startswith("wpkh") and not one["internal"]
    )
    await world.server.stop()
    async with world.session.post("/wallet", data={"wallet": described}) as response:
        assert response.status in (202, 503)
        path = response.url.path
    for _ in range(60):
        async with world.session.get(path) as response:
            text = words(await response.text())
            if response.status == 503:
                assert "no Electrum server can be asked now" in text
                break
        await asyncio.sleep(0.1)
    else:
        pytest.fail(text)
    await world.server.start()
