"""The RPC client against a real node, and against a server that answers as nodes do on a bad day."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from local_run.node import RegtestNode
from local_run.ports import pick
from shared import rpc as rpc_module
from shared.errors import (
    RpcError,
    RpcForbidden,
    RpcMalformed,
    RpcOverloaded,
    RpcRefused,
    RpcUnauthorized,
    RpcUnreachable,
    RpcWarmingUp,
)
from shared.networks import COIN
from shared.rpc import BATCH, CONCURRENCY, NOT_FOUND, RpcClient, satoshi
from shared.settings import NodeSettings

SECRET = "correct-horse-battery"  # noqa: S105 - must show nowhere


# --- amounts -----------------------------------------------------------------------------------------------


def as_the_node_writes_it(amount: int) -> str:
    """ValueFromAmount of bitcoin/src/core_io.cpp."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // COIN}.{abs(amount) % COIN:08d}"


@given(st.integers(min_value=-21_000_000 * COIN, max_value=21_000_000 * COIN))
def test_amounts_are_exact(amount: int) -> None:
    decoded = msgspec.json.decode(as_the_node_writes_it(amount).encode(), type=Decimal)
    assert satoshi(decoded) == amount


@pytest.mark.parametrize("amount", [0, 1, 29, 58, 1_001, 20_999_999_97690000, 2**53 - 1, 21_000_000 * COIN])
def test_amounts_at_the_edges_are_exact(amount: int) -> None:
    assert satoshi(msgspec.json.decode(as_the_node_writes_it(amount).encode(), type=Decimal)) == amount


# --- a real node -------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path_factory.mktemp("node"), extra=[rpcauth()]) as it:
        yield it


def rpcauth() -> str:
    """A login beside the cookie (bitcoin/share/rpcauth)."""
    salt = "00112233445566778899aabbccddeeff"
    return f"-rpcauth=alice:{salt}${hmac.new(salt.encode(), SECRET.encode(), 'sha256').hexdigest()}"


def settings(url: str, **changes: Any) -> NodeSettings:
    values = {
        "name": "node-2",
        "rpc_url": url,
        "rpc_user": "alice",
        "rpc_password": SECRET,
        "rpc_cookie_file": None,
        "zmq_urls": (),
    }
    return NodeSettings(**{**values, **changes})


@pytest.mark.asyncio(loop_scope="module")
async def test_calls_and_batches_of_a_real_node(node: RegtestNode) -> None:
    class Info(msgspec.Struct):
        chain: str
        blocks: int

    async with RpcClient(settings(node.rpc_url)) as client:
        await client.call("generatetodescriptor", 1, (await client.call("getdescriptorinfo", "raw(51)"))["descriptor"])
        info: Info = await client.call("getblockchaininfo", kind=Info)
        assert (info.chain, info.blocks) == ("regtest", 1)
        hashes = await client.batch([("getblockhash", (height,)) for height in (0, 1, 2, 0)], kind=str)
        assert hashes[0] == hashes[3] == "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"
        assert isinstance(hashes[2], RpcRefused)
        assert hashes[2].code == -8
        assert "getblockhash" in str(hashes[2])
        many = await client.batch([("getblockhash", (number % 2,)) for number in range(3 * BATCH + 7)], kind=str)
        assert many == [hashes[number % 2] for number in range(3 * BATCH + 7)]
        assert await client.batch([]) == []


@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_real_node_refuses(node: RegtestNode) -> None:
    async with RpcClient(settings(node.rpc_url)) as client:
        with pytest.raises(RpcRefused, match=r"getrawtransaction: .* \(code -5\)") as raised:
            await client.call("getrawtransaction", "00" * 32)
        assert raised.value.code == NOT_FOUND
        with pytest.raises(RpcRefused, match="Method not found") as raised:
            await client.call("nosuchmethod")
        assert raised.value.code == -32601
    async with RpcClient(settings(node.rpc_url, rpc_password="wrong" + SECRET)) as client:
        with pytest.raises(RpcUnauthorized, match=r"NODE_2_RPC_USER and NODE_2_RPC_PASSWORD \(401\)") as unauthorized:
            await client.call("getblockcount")
        assert SECRET not in str(unauthorized.value)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_call_that_the_whitelist_lacks_is_named(tmp_path: Path) -> None:
    allowed = [rpcauth(), "-rpcwhitelist=alice:getblockcount,getblockchaininfo", "-rpcwhitelistdefault=0"]
    async with RegtestNode(tmp_path / "node", extra=allowed) as it, RpcClient(settings(it.rpc_url)) as client:
        said = r"forbids `getmempoolinfo` \(403\): add it to rpcwhitelist of user alice"
        with pytest.raises(RpcForbidden, match=f"{said}, and this machine to rpcallowip$"):
            await client.call("getmempoolinfo")  # as far as we know, nothing is allowed from here
        assert await client.call("getblockcount", kind=int) == 0
        with pytest.raises(RpcForbidden, match=f"{said}$"):
            await client.call("getmempoolinfo")
        with pytest.raises(RpcForbidden, match=r"forbids `getblockhash` \(403\)"):
            await client.batch([("getblockhash", (0,))] * 3)
        with pytest.raises(RpcForbidden, match="forbids `getblockhash`, `getblock`"):
            await client.batch([("getblockhash", (0,)), ("getblock", ("00",)), ("getblockhash", (1,))])


@pytest.mark.asyncio(loop_scope="module")
async def test_a_node_that_starts_is_told_from_one_that_is_broken(tmp_path: Path) -> None:
    """Whatever moment it is asked at: before its port is open, before its cookie is there, while it loads."""
    async with RegtestNode(tmp_path / "node") as it:
        await it.rpc("generatetodescriptor", 50, (await it.rpc("getdescriptorinfo", "raw(51)"))["descriptor"])
        config = settings(it.rpc_url, rpc_user="", rpc_password="", rpc_cookie_file=it.cookie_file)
        await it.stop()
        said = set()
        async with RpcClient(config) as client:
            starting = asyncio.create_task(it.start())
            while True:
                try:
                    assert await client.call("getblockcount", kind=int) == 50
                    break
                except RpcError as error:
                    said.add(str(error))
                await asyncio.sleep(0.001)
            await starting
    phrases = ("the node is starting: ", "or is still starting", "which it writes as it starts")
    assert said
    assert [one for one in said if not any(phrase in one for phrase in phrases)] == []


@pytest.mark.asyncio(loop_scope="module")
async def test_a_restarted_node_has_another_cookie(tmp_path: Path) -> None:
    async with RegtestNode(tmp_path / "node") as it:
        config = settings(it.rpc_url, rpc_user="", rpc_password="", rpc_cookie_file=it.cookie_file)
        async with RpcClient(config) as client:
            assert await client.call("getblockcount", kind=int) == 0
            before = it.cookie_file.read_text()
            await it.stop()
            with pytest.raises(RpcUnreachable, match="nothing listens at http://127"):
                await client.call("getblockcount")
            await it.start()
            assert it.cookie_file.read_text() != before
            assert await client.call("getblockcount", kind=int) == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_a_short_work_queue_is_waited_for(tmp_path: Path) -> None:
    async with RegtestNode(tmp_path / "node", extra=["-rpcworkqueue=1", "-rpcthreads=1"]) as it:
        clients = [RpcClient(it.settings()) for _ in range(2)]
        async with clients[0], clients[1]:
            calls = [client.call("getblockcount", kind=int) for client in clients for _ in range(10)]
            assert await asyncio.gather(*calls) == [0] * 20


# --- a server with bad days --------------------------------------------------------------------------------

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[str]:
    runner = web.AppRunner(_app(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _app(handler: Handler) -> web.Application:
    app = web.Application()
    app.router.add_post("/", handler)
    return app


def result(value: Any, number: int = 0) -> web.Response:
    return web.json_response({"result": value, "error": None, "id": number})


async def test_a_full_queue_is_asked_again_and_then_told() -> None:
    left = 3

    async def busy(request: web.Request) -> web.StreamResponse:
        nonlocal left
        if left:
            left -= 1
            return web.Response(status=503, text="Work queue depth exceeded")
        return result(7)

    async with answering(busy) as url, RpcClient(settings(url)) as client:
        assert await client.call("getblockcount", kind=int) == 7
        left = 1_000
        with pytest.raises(RpcOverloaded, match=r"Work queue depth exceeded \(503\)"):
            await client.call("getblockcount")


async def test_a_cookie_that_changed_is_read_again(tmp_path: Path) -> None:
    cookie = tmp_path / ".cookie"
    cookie.write_text("__cookie__:first")
    valid, seen = "first", []

    async def guarded(request: web.Request) -> web.StreamResponse:
        login = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        seen.append(login)
        return result(1) if login == f"__cookie__:{valid}" else web.Response(status=401)

    async with answering(guarded) as url:
        config = settings(url, rpc_user="", rpc_password="", rpc_cookie_file=cookie)
        async with RpcClient(config) as client:
            assert await client.call("x", kind=int) == 1
            valid = "second"
            cookie.write_text("__cookie__:second\n")
            assert await client.call("x", kind=int) == 1
            assert seen == ["__cookie__:first", "__cookie__:first", "__cookie__:second"]
            valid = "third"
            with pytest.raises(RpcUnauthorized, match=r"refuses the cookie in NODE_2_RPC_COOKIE_FILE \(401\)"):
                await client.call("x")
            cookie.unlink()
            with pytest.raises(RpcUnreachable, match=r"NODE_2_RPC_COOKIE_FILE=.*cannot be read"):
                await client.call("x")


async def test_a_node_that_is_starting_says_so() -> None:
    error = {"code": -28, "message": "Loading block index…"}

    async def starting(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if isinstance(asked, list):
            return web.json_response([{"result": None, "error": error, "id": item["id"]} for item in asked])
        return web.json_response({"result": None, "error": error, "id": asked["id"]}, status=500)

    async with answering(starting) as url, RpcClient(settings(url)) as client:
        for call in (client.call("getblockcount"), client.batch([("getblockcount", ())] * (BATCH + 1))):
            with pytest.raises(RpcWarmingUp, match="the node is starting: Loading block index"):
                await call


async def test_a_connection_that_is_cut_is_unreachable() -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with answering(cut) as url, RpcClient(settings(url)) as client:
        with pytest.raises(RpcUnreachable, match=f"no answer from the node at {url}"):
            await client.call("getblockcount")
        with pytest.raises(RpcUnreachable):  # one error, not a group of them
            await client.batch([("getblockcount", ())] * (3 * BATCH))


async def test_nobody_there_is_unreachable() -> None:
    async with RpcClient(settings(f"http://127.0.0.1:{pick()[0]}")) as client:
        with pytest.raises(RpcUnreachable, match=r"nothing listens at .*: the node is not running, or is still start"):
            await client.call("getblockcount")


async def test_an_answer_that_takes_as_long_as_its_bytes_need_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_module, "SILENCE_SECONDS", 0.4)
    text = "x" * 10_000

    async def slow(request: web.Request) -> web.StreamResponse:
        return await dripped(request, f'{{"result": "{text}", "error": null, "id": 0}}', 1_000, 0.1)

    async with answering(slow) as url, RpcClient(settings(url)) as client:
        assert await client.call("x", kind=str) == text


async def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never silent, and yet it would not end."""
    monkeypatch.setattr(rpc_module, "SILENCE_SECONDS", 0.4)

    async def dripping(request: web.Request) -> web.StreamResponse:
        return await dripped(request, " " * 100, 1, 0.1)

    async with answering(dripping) as url, RpcClient(settings(url)) as client:
        with pytest.raises(RpcUnreachable, match=r"only \d+ bytes came in"):
            await client.call("x")


async def dripped(request: web.Request, text: str, size: int, seconds: float) -> web.StreamResponse:
    """An answer in pieces of this size, with a pause before each."""
    response = web.StreamResponse()
    await response.prepare(request)
    for start in range(0, len(text), size):
        await asyncio.sleep(seconds)
        await response.write(text[start : start + size].encode())
    return response


async def test_a_node_that_sends_nothing_for_too_long_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_module, "SILENCE_SECONDS", 0.3)

    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3)
        return result(1)

    async with answering(slow) as url, RpcClient(settings(url)) as client:
        began = time.monotonic()
        with pytest.raises(RpcUnreachable, match=r"nothing came for 0\.3 s"):
            await client.call("getblockcount")
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (200, "<html>", "it begins b'<html>'"),
        (502, "Bad Gateway", "it begins b'Bad Gateway'"),
        (404, "", "not what was asked for"),
        (200, '{"result": "seven", "error": null, "id": 0}', "Expected `int"),
        (200, "[]", "not what was asked for"),
    ],
)
async def test_an_answer_that_is_none_is_told_with_its_beginning(status: int, text: str, said: str) -> None:
    async def odd(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text)

    async with answering(odd) as url, RpcClient(settings(url)) as client:
        with pytest.raises(RpcMalformed) as raised:
            await client.call("getblockcount", kind=int)
        assert said in str(raised.value)


async def test_access_that_is_forbidden_is_told() -> None:
    async def forbidden(request: web.Request) -> web.StreamResponse:
        return web.Response(status=403)

    async with answering(forbidden) as url, RpcClient(settings(url)) as client:
        with pytest.raises(RpcForbidden, match="rpcwhitelist of user alice, and this machine to rpcallowip"):
            await client.call("getblockcount")


async def test_answers_in_another_order_are_put_in_place() -> None:
    async def reversed_(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        return web.json_response([{"result": i["params"][0], "error": None, "id": i["id"]} for i in asked[::-1]])

    async with answering(reversed_) as url, RpcClient(settings(url)) as client:
        assert await client.batch([("echo", (n,)) for n in range(500)], kind=int) == list(range(500))


async def test_not_more_requests_at_once_than_the_node_takes() -> None:
    now = most = 0

    async def counting(request: web.Request) -> web.StreamResponse:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return result(1)

    async with answering(counting) as url, RpcClient(settings(url)) as client:
        await asyncio.gather(*(client.call("x") for _ in range(5 * CONCURRENCY)))
    assert 1 < most <= CONCURRENCY


async def test_outside_of_its_context_it_is_of_no_use() -> None:
    with pytest.raises(RuntimeError, match="outside of its context"):
        await RpcClient(settings("http://127.0.0.1:1")).call("x")


def test_a_password_does_not_show() -> None:
    assert SECRET not in repr(settings("http://127.0.0.1:1"))
