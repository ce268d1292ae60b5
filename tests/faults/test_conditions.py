"""What a person reads when something is missing or wrong, and that the rest goes on."""

from __future__ import annotations

import asyncio
import hmac
import html
import json
import re
import time
from pathlib import Path

import aiohttp
from aiohttp import web

from local_run.node import RegtestNode
from local_run.ports import pick
from shared import domains
from shared.views import TipView
from support import check
from support.spending import build, fan_out, give, mine, mined_coins, send
from support.stack import Stack, until
from web.state.disclosure import masked


async def page(url: str) -> str:
    """The overview as a person reads it; empty while web does not answer."""
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert response.status == 200
            return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", await response.text())).split())
    except aiohttp.ClientError:
        return ""


async def says(stack: Stack, words: str, service: str = "chain-ingest", limit: float = 15) -> None:
    """The service's heartbeat and the operator's page say it, and the public page what of it is everybody's."""
    public = masked(words)

    async def heartbeat() -> bool:
        health = await stack.health(service)
        return health is not None and words in health.reason

    async def shown() -> bool:
        return words in await page(stack.admin_url) and public in await page(stack.url)

    await until(heartbeat, limit, f"the heartbeat of {service} says {words!r}")
    await until(shown, limit, f"the operator's page says {words!r}, the public one {public!r}")
    assert public == words or words not in await page(stack.url)


async def test_an_unreachable_node_is_named_and_found_again(stack: Stack, tmp_path: Path) -> None:
    await mine(stack.node)
    cookie, was = tmp_path / "cookie", stack.node.cookie_file.read_bytes()
    stack.extra_env["MAIN_RPC_COOKIE_FILE"] = str(cookie)
    await stack.node.stop()
    await stack.start()
    await says(stack, f"MAIN_RPC_COOKIE_FILE={str(cookie)!r} cannot be read (No such file or directory)")
    cookie.write_bytes(was)  # the node has removed its own when it stopped
    await says(stack, f"nothing listens at {stack.node.rpc_url}: the node is not running, or is still starting")
    cookie.unlink()
    cookie.symlink_to(stack.node.cookie_file)

    async def ready() -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"{stack.url}/readyz") as response:
            return response.status == 200

    assert not await ready()
    await stack.node.start()
    await stack.synced()
    await until(ready, 10, "web is ready")  # the node confirms every two seconds what the views are


async def test_a_wrong_password_is_named(stack: Stack) -> None:
    stack.extra_env |= {"MAIN_RPC_COOKIE_FILE": "", "MAIN_RPC_USER": "somebody", "MAIN_RPC_PASSWORD": "s3cret-word"}
    await stack.start()
    await says(stack, "refuses MAIN_RPC_USER and MAIN_RPC_PASSWORD (401)")
    assert "s3cret-word" not in stack.log("chain-ingest")
    assert "s3cret-word" not in await page(stack.url) + await page(stack.admin_url)


PASSWORD = "correct-horse-battery"  # noqa: S105 - of a node that lives as long as its test
DOCUMENTED = re.search(
    r"a `rpcwhitelist` must name them: (.*?)\n\n",
    (Path(__file__).parents[2] / "docs/configuration.md").read_text(),
    re.DOTALL,
)


def limited(folder: Path, calls: list[str]) -> RegtestNode:
    """A node that lets the user alice make these calls only."""
    salt = "00112233445566778899aabbccddeeff"
    login = f"alice:{salt}${hmac.new(salt.encode(), PASSWORD.encode(), 'sha256').hexdigest()}"
    allowed = [f"-rpcauth={login}", f"-rpcwhitelist=alice:{','.join(calls)}", "-rpcwhitelistdefault=0"]
    return RegtestNode(folder, extra=[*allowed, "-rest=0"])  # with it some calls need not be made


async def test_the_documented_calls_are_enough_and_one_that_lacks_is_named(tmp_path: Path) -> None:
    assert DOCUMENTED is not None
    calls = re.findall(r"`(get\w+|decodescript)`", DOCUMENTED[1])
    calls.remove("decodescript")  # with POOLS_FILE only
    for place, missing in enumerate(["", "getzmqnotifications", "getmempoolentry", "getblockstats"]):
        folder = tmp_path / str(place)
        node = limited(folder / "node", [call for call in calls if call != missing])
        async with Stack(folder, node=node) as stack:
            [coin] = (await fan_out(node, await mined_coins(node, 1), 1))[:1]
            await send(node, [build([coin], [coin.value - 500])])
            stack.extra_env |= {"MAIN_RPC_COOKIE_FILE": "", "MAIN_RPC_USER": "alice", "MAIN_RPC_PASSWORD": PASSWORD}
            await stack.start(*check.LIVE, "backfill", "web", BACKFILL_LOAD="100")
            if missing:
                await says(stack, f"forbids `{missing}` (403): add it to rpcwhitelist of user alice")
                assert PASSWORD not in stack.log("chain-ingest")
            else:
                await check.equals_node(stack)
                await check.history_complete(stack)


async def test_a_node_of_another_network_is_refused(stack: Stack) -> None:
    stack.extra_env["BITCOIN_NETWORK"] = "signet"
    stack.keys = type(stack.keys)("signet")
    await stack.start()
    await says(stack, "is on network 'regtest': BITCOIN_NETWORK expects 'signet'")


async def test_an_old_node_is_refused(stack: Stack) -> None:
    answers = {
        "getblockchaininfo": {
            "chain": "regtest", "blocks": 0, "headers": 0, "bestblockhash": "00" * 32,
            "initialblockdownload": False, "verificationprogress": 1,
        },
        "getnetworkinfo": {"version": 210200, "subversion": "/Satoshi:0.21.2/"},
    }  # fmt: skip

    async def answer(request: web.Request) -> web.Response:
        call = await request.json()
        return web.json_response({"id": call["id"], "result": answers[call["method"]], "error": None})

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = pick()[0]
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        stack.extra_env |= {
            "MAIN_RPC_URL": f"http://127.0.0.1:{port}", "MAIN_RPC_COOKIE_FILE": "",
            "MAIN_RPC_USER": "a", "MAIN_RPC_PASSWORD": "b",
        }  # fmt: skip
        await stack.start()
        await says(stack, "is version 210200 /Satoshi:0.21.2/: expected 220000 (Bitcoin Core 22.0) or later")
        await stack.stop_services()
    finally:
        await runner.cleanup()


async def test_without_zmq_the_node_is_asked(stack: Stack) -> None:
    stack.extra_env["MAIN_ZMQ_URLS"] = ""
    await mine(stack.node)
    await stack.start()
    await says(stack, "MAIN_ZMQ_URLS is not set")
    await mine(stack.node, 2)
    await check.equals_node(stack, 10)


async def test_no_redis_at_the_start_and_later(stack: Stack) -> None:
    await mine(stack.node)
    await stack.valkey.stop()
    await stack.start()

    async def told() -> bool:
        return "Redis" in await page(stack.url) and all("redis_failed" in stack.log(name) for name in check.LIVE)

    await until(told, 15, "the page and the logs say that Redis does not answer")
    await stack.valkey.start()
    await stack.synced()
    await stack.valkey.kill()

    async def told_again() -> bool:
        text = await page(stack.url)
        return "Redis" in text and "does not answer" in text

    await until(told_again, 15, "the page says that Redis went away")
    await stack.valkey.start()
    await mine(stack.node)
    await stack.synced()


async def test_silence_while_the_node_downloads_the_chain(tmp_path: Path) -> None:
    """Until it is whole; that its newest block is months old then is no reason to show nothing."""
    past = int(time.time()) - 90 * 86_400
    source = RegtestNode(tmp_path / "source", mocktime=past)
    async with source, Stack(tmp_path) as stack:
        hashes = await mine(source, 30)
        for block_hash in hashes:
            await stack.node.rpc("submitheader", await source.rpc("getblockheader", block_hash, False))
        await stack.start()
        await says(stack, "is downloading the chain: 0 of 30 blocks")
        assert await stack.entries(stack.keys.stream(domains.BLOCKS)) == []
        assert await stack.entries(stack.keys.stream(domains.TXS)) == []
        await give(hashes, source, stack.node)
        await check.equals_node(stack)
        await check.history_complete(stack)
        await says(stack, "days: node main knows of none above 30")
        await mine(stack.node)
        await check.equals_node(stack)


async def test_a_better_node_is_used_again(tmp_path: Path) -> None:
    """The second node serves while the first is away."""
    first, second = RegtestNode(tmp_path / "first"), RegtestNode(tmp_path / "second")
    async with second, Stack(tmp_path, node=first) as stack:
        await give(await mine(first, 3), first, second)
        stack.extra_env |= {**second.env("SPARE"), "NODES": "main,spare"}
        await stack.start(*check.LIVE)
        await stack.synced()
        await first.stop()
        await mine(second)

        async def follows() -> bool:
            tip = await stack.view(TipView)
            return tip is not None and tip.hash == await second.rpc("getbestblockhash")

        await until(follows, 15, "the spare node's block is shown")
        await first.start()
        await give([await second.rpc("getbestblockhash")], second, first)

        async def used() -> list[str]:
            events = await stack.entries(stack.keys.stream(domains.OPS))
            return [data["detail"].split()[0] for _, _, kind, data in events if kind == "node.changed"]

        async def returned() -> bool:
            return await used() == ["main", "spare", "main"]

        await until(returned, 25, "the preferred node is used again")


async def test_a_wrong_value_stops_the_service_at_once(stack: Stack) -> None:
    await stack.start("mempool", LOG_FORMAT="xml")
    assert await stack.wait("mempool") == 2
    assert "LOG_FORMAT='xml': expected one of json, console" in stack.log("mempool")


async def test_rebuild_makes_everything_anew(stack: Stack, tmp_path: Path) -> None:
    await mined_coins(stack.node, 1)
    await stack.start(*check.LIVE)
    await stack.synced()
    before = await check.every_view(stack)
    for key in (stack.keys.views(domains.CHAIN), stack.keys.views(domains.MEMPOOL)):
        await stack.redis.delete(key)
    process = await asyncio.create_subprocess_exec(
        *stack.command("shared.rebuild"), env=stack.environment(), stdout=asyncio.subprocess.DEVNULL
    )
    assert await asyncio.wait_for(process.wait(), 10) == 0

    async def back() -> bool:
        try:
            return await check.every_view(stack) == before
        except AssertionError:
            return False

    await until(back, 25, "every view is there again")


async def test_the_status_page_shows_every_service(stack: Stack) -> None:
    await mine(stack.node)
    await stack.start()
    await stack.synced()

    async def complete() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{stack.url}/api/v1/status") as response:
                text = json.dumps(await response.json())
        except aiohttp.ClientError:  # web is not up yet
            return False
        return all(f'"{name}"' in text for name in ("chain-ingest", "chain-metrics", "mempool", "web"))

    await until(complete, 10, "/api/v1/status names every service")
