"""Redis' users: each service does all of its work with the rights that are made for it; all else is refused."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from local_run.valkey import EmbeddedValkey
from shared import access, domains, rebuild, redis
from shared.keys import Keys
from support import check, servers
from support.each import each
from support.spending import chain, fan_out, mine, mined_coins, send
from support.stack import SERVICES, Stack, until

KEYS = Keys("regtest")
WALLET = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
HARNESS = "user default on nopass ~* &* +@all"
"""The tests themselves; in place of the line that lets nobody in."""


def url_of(folder: Path, user: str, port: int) -> str:
    return (folder / f"redis-{user}").read_text().strip().replace("redis:6379", f"127.0.0.1:{port}")


@pytest_asyncio.fixture(params=["valkey", "redis-7"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    """A server with these users, and the harness besides."""
    binary = await servers.binary_or_skip(request.param)
    folder = tmp_path / "secrets"
    access.make(folder, "regtest", "redis:6379")
    users = [line for line in (folder / "users.acl").read_text().splitlines() if not line.startswith("user default")]
    (tmp_path / "harness.acl").write_text("\n".join([*users, HARNESS, ""]))
    extra = ["--aclfile", str(tmp_path / "harness.acl")]
    async with EmbeddedValkey(tmp_path / "valkey", binary=binary, extra=extra) as made:
        yield made


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[redis.Client]:
    client = redis.connect(url)
    try:
        yield client
    finally:
        await client.aclose()


async def refused(client: redis.Client) -> list[str]:
    """What Redis refused to whom, as it keeps it itself."""
    return [
        f"{entry['username']}: {entry['reason']} {entry['object']} ({entry['context']})"
        for entry in await client.acl_log()
    ]


async def look_up(stack: Stack, paths: list[str]) -> None:
    """Every page is answered, and so is what a wallet holds."""
    await stack.serves(60)
    async with aiohttp.ClientSession(stack.url) as session:
        for path in ("/", "/status", "/charts", "/mempool", "/market-cap", *paths):

            async def answers(path: str = path) -> bool:
                async with session.get(path) as response:
                    return response.status == 200

            await until(answers, 30, f"{path} is answered")
        async with session.post("/api/v1/wallet", json={"wallet": WALLET, "form": "", "gap": 20}) as response:
            assert response.status == 202, await response.text()
            about = await response.json()

        async def known() -> bool:
            async with session.get(f"/api/v1/wallet/{about['handle']}") as response:
                return response.status == 200

        await until(known, 60, "what the wallet holds is known")


async def test_every_service_works_with_its_own_user(server: EmbeddedValkey, tmp_path: Path) -> None:
    """Two replicas of each, a block, a mempool, look-ups, a fold that is replaced, and everything made anew."""
    stack = Stack(tmp_path, valkey=server)

    async def start(name: str) -> None:
        user = name.removesuffix("-2")
        url = url_of(tmp_path / "secrets", user, server.port)
        await stack.start(name, REDIS_URL=url, BACKFILL_LOAD="100", WALLET_SECRET="0123456789abcdef" * 2)

    await stack.node.start()
    stack.redis = redis.connect(server.url)
    try:
        await fan_out(stack.node, await mined_coins(stack.node, 1), 10)
        for name in SERVICES:
            await start(name)
        await asyncio.gather(*(start(f"{name}-2") for name in SERVICES if name != "web"))
        await stack.synced()
        await check.history_complete(stack)
        coins = await mined_coins(stack.node, 1)
        spread = await fan_out(stack.node, coins, 2)
        await send(stack.node, chain(spread[0], 3, [5, 9]))
        await mine(stack.node)
        await send(stack.node, chain(spread[1], 3, [5, 9]))
        best = await stack.node.rpc("getbestblockhash")
        txid = (await stack.node.rpc("getblock", best))["tx"][0]
        [waiting, *_] = await stack.node.rpc("getrawmempool")
        await stack.synced()
        await look_up(stack, [f"/tx/{txid}", f"/tx/{waiting}", f"/block/{best}"])
        await stack.kill("mempool")
        await stack.kill("chain-metrics")
        await mine(stack.node)
        await stack.synced()
        await rebuild.request(
            url_of(tmp_path / "secrets", access.OPERATOR, server.port), KEYS, [domains.CHAIN, domains.HISTORY]
        )
        await mine(stack.node)
        await stack.synced()
        await check.history_complete(stack)
        states = {beat.service: beat.state for beat in await stack.heartbeats()}
        assert states.keys() >= SERVICES.keys() - {"market"}
        assert await refused(stack.redis) == []
        for name in SERVICES:
            assert "NOPERM" not in stack.log(name), name
    finally:
        print(*(f"--- {name}\n{stack.log(name)[-1500:]}" for name in SERVICES), sep="\n")
        await stack.stop_services()
        await stack.redis.aclose()
        await stack.node.stop()


async def test_what_is_not_granted_is_refused(server: EmbeddedValkey, tmp_path: Path) -> None:
    """Also to write what a service only reads, to list keys, and to change the server."""
    secrets = tmp_path / "secrets"
    foreign = {
        "chain-ingest": "{regtest:market}:state", "chain-metrics": "{regtest:mempool}:state",
        "chain-history": "{regtest:mempool}:state", "backfill": "{regtest:chain}:blocks",
        "mempool": "{regtest:chain}:blocks", "market": "{regtest:chain}:views", "marketcap": "{regtest:chain}:blocks",
        "explorer": "{regtest:chain}:views", "web": "{regtest:chain}:views", "streams": "{regtest:chain}:blocks",
    }  # fmt: skip
    assert foreign.keys() == {one.name for one in access.users("regtest")} - {access.OPERATOR}
    for name, key in foreign.items():
        async with connected(url_of(secrets, name, server.port)) as client:
            assert await client.ping()
            for command in (
                ("DEL", key), ("SET", key, "x"), ("SET", "elsewhere", "x"), ("GET", "{main:chain}:views"),
                ("KEYS", "*"), ("SCAN", "0"), ("FLUSHALL",), ("CONFIG", "GET", "*"), ("ACL", "LIST"),
                ("SHUTDOWN", "NOSAVE"), ("SCRIPT", "FLUSH"), ("PUBLISH", "any", "x"),
                ("EVAL", "return redis.call('SET', KEYS[1], 'x')", "1", key),
                ("EVAL", f"return redis.call('SET', '{key}', 'x')", "0"),
            ):  # fmt: skip
                with pytest.raises((NoPermissionError, ResponseError), match=r"(?i)perm|acl|can't access"):
                    await client.execute_command(*command)
    async with connected(url_of(secrets, "streams", server.port)) as client:
        for key in (KEYS.stream(domains.OPS), KEYS.stream(domains.CHANGES), KEYS.views(domains.CHAIN)):
            with pytest.raises(NoPermissionError):
                await client.execute_command("XRANGE", key, "-", "+")
        for key in domains.streams_of(KEYS, private=False).values():
            assert await client.xrange(key) == []
            assert await client.xread({key: "0"}) == {}
            with pytest.raises(NoPermissionError):
                await client.xadd(key, {"type": "block.connected"})
    async with connected(f"redis://{access.HEALTH}:any@127.0.0.1:{server.port}/0") as client:
        assert await client.ping()
        with pytest.raises(NoPermissionError):
            await client.execute_command("GET", "x")


async def test_nobody_is_let_in_without_a_user(tmp_path: Path) -> None:
    """As the file is made, with the configuration that the container gets."""
    access.make(tmp_path / "secrets", "regtest", "redis:6379")
    server = EmbeddedValkey(tmp_path / "valkey", extra=["--aclfile", str(tmp_path / "secrets" / "users.acl")])
    login = url_of(tmp_path / "secrets", access.OPERATOR, 0).partition("@")[0].rpartition(":")[2]
    starting = asyncio.create_task(server.start(limit=60))  # it asks without a user, so it never finds it ready
    try:

        async def up() -> bool:
            async with connected(f"redis://{access.OPERATOR}:{login}@127.0.0.1:{server.port}/0") as client:
                try:
                    return bool(await client.ping())
                except redis.TROUBLE:
                    return False

        await until(up, 20, "the operator is let in")
        for user in ("", "default:", "default:x", f"{access.OPERATOR}:x", "web:"):
            async with connected(f"redis://{user}{'@' if user else ''}127.0.0.1:{server.port}/0") as client:
                with pytest.raises(AuthenticationError):
                    await client.execute_command("GET", "x")
    finally:
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        await server.kill()


def test_passwords_are_made_once_and_stand_in_no_list_of_users(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    command = [sys.executable, "-m", "shared.access", str(folder), "--network", "regtest"]
    subprocess.run(command, check=True)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    subprocess.run([*command, "--at", "other:7000"], check=True)
    after = {path.name: path.read_text() for path in folder.iterdir()}
    assert before["users.acl"] == after["users.acl"]
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in before.keys() - {"users.acl"}:
        password = before[name].rpartition("@")[0].rpartition(":")[2]
        assert len(password) == 48
        assert after[name] == before[name].replace("redis:6379", "other:7000")
        assert password not in before["users.acl"]
    assert each(f"user {one.name} on #" in before["users.acl"] for one in access.users("regtest"))
    shutil.rmtree(folder)
    subprocess.run(command, check=True)
    assert (folder / "users.acl").read_text() != before["users.acl"]
