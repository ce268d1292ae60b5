"""The page of a wallet on a real node and a real Electrum server: entered, shown, followed, over; nothing leaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from explorer.app import run
from local_run import child
from local_run.node import RegtestNode
from local_run.ports import pick
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.lookups.address import Working
from shared.sealed import Seal
from support.each import each
from support.electrumx import served
from support.explored import KEYS
from support.leaks import Secret, in_files, in_redis, in_urls
from support.ledger import running
from support.processes import started
from support.stack import until
from support.wallet_samples import BIP_84
from support.wallets import SECRET, descriptors
from support.web_harness import Running, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINE = "looked-at"


class World(NamedTuple):
    node: RegtestNode
    client: redis.Client
    site: Running
    electrum: str
    text: str  # the wallet's descriptors
    folder: Path  # what Redis writes to disk


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("valkey")
    async with served(tmp_path_factory.mktemp("world")) as (node, server), EmbeddedValkey(folder) as valkey:
        await node.rpc("createwallet", MINE)
        mining = await node.rpc("getnewaddress", wallet="w")
        await node.rpc("generatetoaddress", 20, mining)
        for _ in range(30):
            await node.rpc("sendtoaddress", await node.rpc("getnewaddress", wallet=MINE), 0.2, wallet="w")
        await node.rpc("generatetoaddress", 2, mining)
        env = {**node.env(), "MAIN_ELECTRUM_URL": server.url(), "WALLET_SECRET": SECRET}
        async with (
            running(valkey.url, run, "explorer", **env),
            serving(
                valkey.url, network="regtest", wallet_secret=SECRET, demo=True, wallet_example=lambda: "wpkh(x)"
            ) as site,
        ):
            client = redis.connect(valkey.url)
            yield World(node, client, site, server.url(), await descriptors(node, MINE), folder)
            await client.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(world: World) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(world.site.url, timeout=aiohttp.ClientTimeout(total=20)) as it:
        yield it


async def entered(visitor: aiohttp.ClientSession, text: str, **more: str) -> str:
    """Where the page of the wallet is."""
    async with visitor.post("/wallet", data={"wallet": text, **more}, allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.headers["Location"]


async def shown(visitor: aiohttp.ClientSession, path: str) -> str:
    """The page, once all is known."""

    async def whole() -> str:
        async with visitor.get(path) as answer:
            assert answer.status in (200, 202), await answer.text()
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            page = await answer.text()
            assert ("data-pending" in page) == (answer.status == 202)
            return page if answer.status == 200 else ""

    return await until(whole, 30, "the wallet is shown")


async def test_a_wallet_is_shown_and_changes(world: World, visitor: aiohttp.ClientSession) -> None:
    path = await entered(visitor, world.text)
    assert re.fullmatch(r"/wallet/[A-Za-z0-9_-]{24}", path)
    page = await shown(visitor, path)
    assert re.search(r'class="big">\s*(?:<[^>]*>)*6\b', page)
    used = await world.node.rpc("listreceivedbyaddress", 1, wallet=MINE)
    second = await shown(visitor, f"{path}?page=1&used=1")
    assert each(f'href="/address/{one["address"]}"' in page + second for one in used)
    assert "?gap=20&amp;page=1" in page
    assert "?gap=20&amp;used=1" in page
    history = {one["txid"] for one in await world.node.rpc("listtransactions", "*", 100, wallet=MINE)}
    assert {txid for txid in history if f'data-key="{txid}"' in page + second} == history
    name = re.search(r'data-lookup="([0-9a-f]{32})"', page)
    assert name is not None
    txid = await world.node.rpc("sendtoaddress", await world.node.rpc("getnewaddress", wallet=MINE), 0.3, wallet="w")

    async with visitor.get(f"/live/lookup?about={name[1]}") as stream:
        while b"event: changed" not in await asyncio.wait_for(stream.content.readline(), 20):
            pass
    assert txid in await shown(visitor, path)


async def test_the_api_says_the_same(world: World, visitor: aiohttp.ClientSession) -> None:
    async with visitor.post("/api/v1/wallet", json={"wallet": world.text, "gap": 30}) as answer:
        assert answer.status == 202
        assert "Access-Control-Allow-Origin" not in answer.headers
        status_url = (await answer.json())["status_url"]

    async def whole() -> Any:
        async with visitor.get(status_url) as answer:
            assert answer.status in (200, 202), await answer.text()
            assert answer.headers["Cache-Control"] == "no-store"
            return await answer.json() if answer.status == 200 else None

    told = await until(whole, 30, "the wallet is told")
    assert told["state"] == "complete"
    assert told["wallet"]["gap"] == 30
    balances = (await world.node.rpc("getbalances", wallet=MINE))["mine"]
    ours = told["wallet"]["confirmed"] + told["wallet"]["unconfirmed"]
    assert ours == round((balances["trusted"] + balances["untrusted_pending"]) * 10**8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Enter an extended public key"),
        ("cVpF924EspNh8KjYsfhgY96mmxvT6DgdWiTYMtMjuM74hJaU5psW", "This is a private key"),
        ("zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong", "These are the words of a seed"),
        ("x" * 20_001, "too long"),
        ("x" * 150_000, "too long"),
    ],
)
async def test_what_must_not_be_entered_is_refused_at_once(
    world: World, visitor: aiohttp.ClientSession, text: str, words: str
) -> None:
    before = await world.client.keys(KEYS.wallet("*"))
    async with visitor.post("/wallet", data={"wallet": text}) as answer:
        page = await answer.text()
        assert answer.status in (413, 422)
    assert words in page
    assert not text or text[:30] not in page
    assert await world.client.keys(KEYS.wallet("*")) == before


async def test_what_is_no_wallet_is_said_on_its_page(world: World, visitor: aiohttp.ClientSession) -> None:
    path = await entered(visitor, "wpkh(nothing/that/is/known)")
    async with visitor.get(path) as answer:
        page = await answer.text()
        assert answer.status == 422, page
    assert "nothing/that" not in page
    async with visitor.get(path, headers={"Accept-Language": "de"}) as answer:
        assert "Descriptor" in await answer.text() or "Schlüssel" in await answer.text()


async def test_other_websites_are_refused(world: World, visitor: aiohttp.ClientSession) -> None:
    for headers in (
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": world.site.url, "Sec-Fetch-Site": "cross-site"},
        {"Origin": world.site.url, "Sec-Fetch-Site": "same-site"},
    ):
        for path in ("/wallet", "/api/v1/wallet"):
            async with visitor.post(path, data={"wallet": BIP_84}, headers=headers, allow_redirects=False) as answer:
                assert answer.status == 403, headers
    for headers in ({"Origin": world.site.url}, {"Origin": "null", "Sec-Fetch-Site": "same-origin"}):
        async with visitor.post("/wallet", data={"wallet": BIP_84}, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 303, headers
    async with aiohttp.ClientSession() as operator, operator.get(f"{world.site.admin}/metrics") as answer:
        counted = await answer.text()
    assert re.search(r'web_posts_total\{path="/wallet",status="403"\} [1-9]', counted)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/wallet", "GET, HEAD, POST"),
        ("POST", "/mempool", "GET, HEAD"),
        ("POST", "/wallet/x", "GET, HEAD"),
        ("GET", "/api/v1/wallet", "POST"),
    ],
)
async def test_nothing_else_is_taken(visitor: aiohttp.ClientSession, method: str, path: str, allowed: str) -> None:
    async with visitor.request(method, path) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"{", b"\xff", b'{"wallet":"x","gap":0}', b'{"wallet":1}'])
async def test_a_body_that_is_not_understood(visitor: aiohttp.ClientSession, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with visitor.post("/api/v1/wallet", data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "bad_body")
    async with visitor.post("/api/v1/wallet", data=body, headers={"Content-Type": "text/plain"}) as answer:
        assert answer.status == 415


async def test_its_time_is_over(world: World, visitor: aiohttp.ClientSession) -> None:
    path = await entered(visitor, world.text)
    await shown(visitor, path)
    for key in await world.client.keys(KEYS.wallet("*")):
        await world.client.delete(key)
    async with visitor.get(path) as answer:
        assert answer.status == 410
        assert "This wallet&#39;s time is over" in await answer.text()
    async with visitor.get(path.replace("/wallet", "/api/v1/wallet")) as answer:
        assert answer.status == 410
    for unknown in ("/wallet/" + "A" * 24, "/wallet/x"):
        async with visitor.get(unknown) as answer:
            assert answer.status == 410


async def answers(visitor: aiohttp.ClientSession) -> bool:
    try:
        async with visitor.get("/healthz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def test_nothing_of_a_key_is_anywhere(world: World, tmp_path: Path) -> None:
    """In no line of a log, in no key or value of Redis or its files, and in no address: services as they really run,
    with all that they say; wallets that are shown, that are refused here and there, and that nobody can look up.
    """
    secret, urls = Secret(world.text), list[str]()
    mistyped = next(line for line in world.text.splitlines() if "tpub" in line).replace("#", "x#")
    unreadable = world.text.splitlines()[0].partition("#")[0].replace("/*", "/<0;1;2>/*/*")
    [port, admin] = pick(2)
    async with EmbeddedValkey(tmp_path / "valkey") as valkey, contextlib.AsyncExitStack() as stack:
        env = {
            **world.node.env(), "REDIS_URL": valkey.url, "WALLET_SECRET": SECRET, "LOG_LEVEL": "debug",
            "WEB_PORT": str(port), "ADMIN_PORT": str(admin), "OUTSIDE": "off",
        }  # fmt: skip
        logs = [tmp_path / "explorer.log", tmp_path / "web.log"]
        explorer = await stack.enter_async_context(
            started("explorer", logs[0], MAIN_ELECTRUM_URL=world.electrum, **env)
        )
        await stack.enter_async_context(started("web", logs[1], **env))
        client = redis.connect(valkey.url)
        stack.push_async_callback(client.aclose)
        visitor = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}"))
        await until(lambda: answers(visitor), 30, "web answers")
        for text in (world.text, mistyped, unreadable):
            path = await entered(visitor, text)
            async with visitor.get(path) as answer:
                page = await answer.text()
                assert not secret.parts_in(page.encode())
                urls += [path, str(answer.url), *re.findall(r'(?:href|action|src)="([^"]*)"', page)]
            assert await in_redis(secret, client) == {}
        await shown(visitor, urls[0])
        for body in ({"wallet": world.text}, {"wallet": 1, "also": world.text}, {"wallet": mistyped, "gap": -1}):
            async with visitor.post("/api/v1/wallet", json=body) as answer:
                assert not secret.parts_in(await answer.read())
        async with visitor.post("/wallet", data={"wallet": world.text.replace("tpub", "tprv")}) as answer:
            assert answer.status == 422
            assert not secret.parts_in(await answer.read())
        assert explorer.process is not None
        await child.kill(explorer.process)  # what waits for nobody is read below
        path = await entered(visitor, world.text)
        async with visitor.get(path) as answer:
            assert answer.status == 202
        assert await in_redis(secret, client) == {}
        handles = Secret(path.removeprefix("/wallet/"))
        assert await in_redis(handles, client) == {}, "nor the name of the page"
        places = [*logs, tmp_path / "valkey"]
        assert each(log.stat().st_size for log in logs)
        assert in_files(secret, places) == {}
        assert in_files(handles, places) == {}
        assert in_urls(secret, urls) == {}
        # And what is planted is found, in each of them.
        key = re.search("tpub[0-9A-Za-z]{40}", world.text)
        assert key is not None
        await client.hset("planted", "field", json.dumps({"text": key[0]}))
        with logs[1].open("a") as log:
            log.write(f"planted {key[0]}\n")
        assert set(await in_redis(secret, client)) == {repr(b"planted")}
        assert str(logs[1]) in in_files(secret, places)
        assert list(in_urls(secret, [*urls, f"/wallet?text={key[0]}"])) == [f"/wallet?text={key[0]}"]


async def test_without_a_secret_the_page_says_what_to_set(world: World) -> None:
    async with (
        EmbeddedValkey(world.folder / "other") as valkey,
        serving(valkey.url, network="regtest") as site,
        aiohttp.ClientSession(site.url) as visitor,
    ):
        async with visitor.get("/wallet") as answer:
            assert "WALLET_SECRET" in await answer.text()
        async with visitor.post("/wallet", data={"wallet": BIP_84}) as answer:
            assert answer.status == 503
        async with visitor.post("/api/v1/wallet", json={"wallet": BIP_84}) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (503, "not_configured")


async def test_the_demonstrations_wallet_is_offered(visitor: aiohttp.ClientSession) -> None:
    async with visitor.get("/wallet") as answer:
        assert 'value="wpkh(x)"' in await answer.text()
        assert answer.headers["Referrer-Policy"] == "same-origin"
    async with visitor.get("/") as answer:
        assert "/wallet#demonstration" in await answer.text()


async def test_while_nobody_answers_the_page_asks_again(world: World, tmp_path: Path) -> None:
    """The Electrum server is away: the page says so, and goes on by itself."""
    async with EmbeddedValkey(tmp_path) as valkey:
        env = {**world.node.env(), "MAIN_ELECTRUM_URL": "tcp://127.0.0.1:1", "WALLET_SECRET": SECRET}
        async with (
            running(valkey.url, run, "explorer", **env),
            serving(valkey.url, network="regtest", wallet_secret=SECRET) as site,
            aiohttp.ClientSession(site.url) as visitor,
        ):
            path = await entered(visitor, world.text)

            async def away() -> str:
                async with visitor.get(path) as answer:
                    assert answer.headers["Cache-Control"] == "no-store"
                    return await answer.text() if answer.status == 503 else ""

            page = await until(away, 20, "the page says that nobody answers")
            assert '<meta http-equiv="refresh"' in page.partition("</noscript>")[2]
            assert "cannot be looked up now" in page


async def test_what_a_scan_waits_for_is_said(tmp_path: Path) -> None:
    async with (
        EmbeddedValkey(tmp_path) as valkey,
        serving(valkey.url, network="regtest", wallet_secret=SECRET) as site,
        aiohttp.ClientSession(site.url) as visitor,
    ):
        path = await entered(visitor, "wpkh(x)")
        key = KEYS.progress(Seal(SECRET).name(path.partition("/wallet/")[2]))
        client = redis.connect(valkey.url)
        for working, words in (
            (Working(progress=None, since_ms=1, queued=2, at="turn"), "2 other scans come before this one."),
            (Working(progress=None, since_ms=1, queued=1, at="turn"), "1 other scan comes before this one."),
            (Working(progress=None, since_ms=1, at="node"), "It waits until another scan of your node has ended"),
            (Working(progress=0.25, since_ms=1, at="coins"), "Your node scans its coins"),
        ):
            await client.set(key, msgspec.json.encode(working))
            async with visitor.get(path) as answer:
                assert answer.status == 202
                assert words in await answer.text()
        await client.aclose()
