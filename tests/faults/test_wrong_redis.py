"""States of Redis: it refuses writes, evicts, loses a key, holds well-formed nonsense. Nothing ends, all comes back."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis.exceptions import RedisError

from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.events.base import Event, Family
from support import absurd, check
from support.each import each
from support.spending import chain, fan_out, mine, mined_coins, send
from support.stack import SERVICES, Stack, until
from support.states import Table, wrong

Refusal = Callable[[redis.Client, Path], "contextlib.AbstractAsyncContextManager[None]"]


async def moving(stack: Stack) -> None:
    """All services on a chain with some transactions, the history fetched."""
    coins = await fan_out(stack.node, await mined_coins(stack.node, 1), 40)
    await send(stack.node, [built for coin in coins[:20] for built in chain(coin, 5, [5, 30])])
    await mine(stack.node)
    await send(stack.node, [built for coin in coins[20:] for built in chain(coin, 5, [2, 9])])
    await stack.start()
    await stack.synced()
    await check.history_complete(stack)


def pids(stack: Stack) -> dict[str, int]:
    return {name: stack.pid(name) for name in SERVICES if stack.runs(name)}


# --- writes are refused ------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def misconf(client: redis.Client, folder: Path) -> AsyncIterator[None]:
    """A snapshot that cannot be written."""
    obstacle = folder / "dump.rdb"
    obstacle.mkdir()
    await client.config_set("save", "3600 1")
    await client.bgsave()

    async def failed() -> bool:
        return bool((await client.info("persistence"))["rdb_last_bgsave_status"] == "err")

    await until(failed, 10, "the snapshot failed")
    yield
    obstacle.rmdir()
    await client.config_set("save", "")


def configured(name: str, value: str, before: str) -> Refusal:
    @contextlib.asynccontextmanager
    async def refusal(client: redis.Client, folder: Path) -> AsyncIterator[None]:
        del folder
        await client.config_set(name, value)
        yield
        await client.config_set(name, before)

    return refusal


@contextlib.asynccontextmanager
async def readonly(client: redis.Client, folder: Path) -> AsyncIterator[None]:
    """A replica of nothing that answers."""
    del folder
    await client.replicaof("127.0.0.1", "1")
    yield
    await client.replicaof("NO", "ONE")


@contextlib.asynccontextmanager
async def noperm(client: redis.Client, folder: Path) -> AsyncIterator[None]:
    del folder
    await client.execute_command("ACL", "SETUSER", "default", "-@write", "-eval", "-evalsha")
    yield
    await client.execute_command("ACL", "SETUSER", "default", "+@all")


REFUSALS: dict[str, tuple[Refusal, str]] = {
    "MISCONF": (misconf, "cannot save to its disk"),
    "NOREPLICAS": (configured("min-replicas-to-write", "1", "0"), "fewer replicas follow it"),
    "OOM": (configured("maxmemory", "1mb", "0"), "has no memory left"),
    "READONLY": (readonly, "takes no writes"),
    "NOPERM": (noperm, "too few permissions"),
}


@pytest.mark.parametrize(
    "reason",
    [pytest.param(one, marks=[pytest.mark.full] if one in {"MISCONF", "NOREPLICAS"} else []) for one in REFUSALS],
)
async def test_redis_refuses_writes(stack: Stack, tmp_path: Path, states: Table, full: bool, reason: str) -> None:
    """For a minute: every service waits, says why, and goes on where it was."""
    await moving(stack)
    before = pids(stack)
    refusal, words = REFUSALS[reason]
    async with wrong(stack, states, f"Redis refuses writes: {reason}") as state:
        async with refusal(stack.redis, stack.valkey.folder):
            await mine(stack.node)
            await state.shows(lambda seen: seen.ready == 503 and seen.page == 200, 60, "not ready, but shown")
            if full:
                await asyncio.sleep(45)  # to be refused for long is what is tested
                await state.shows(lambda seen: seen.ready == 503 and seen.page == 200, 10, "still not ready, but shown")

            async def said() -> bool:
                silent = [name for name in check.LIVE if words not in stack.log(name)]
                print(f"silent so far: {silent}")
                return not silent

            await until(said, 30, f"every service says that Redis {words}")
        await state.well(60)
    assert pids(stack) == before
    await check.equals_node(stack)


# --- keys go ----------------------------------------------------------------------------------------------


async def well_again(stack: Stack, views: dict[str, Any], history: dict[str, Any]) -> bool:
    """Everything is what it was before. What is not, is printed: pytest shows it where this never comes true."""
    try:
        now = {**await check.every_view(stack), **await check.history(stack)}
    except (AssertionError, KeyError, TypeError) as error:
        print(f"not yet: {error!r}")
        return False
    before = {**views, **history}
    other = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    if other:
        print("not yet:", *(f"{name}: {before.get(name)!r:.300} was, {now.get(name)!r:.300} is" for name in other))
    return not other


async def names(client: redis.Client) -> list[str]:
    return sorted([key.decode() async for key in client.scan_iter(count=1_000)])


async def test_redis_loses_any_one_key(stack: Stack, states: Table, full: bool) -> None:
    """Whichever is drawn: noticed, told, made again."""
    await moving(stack)
    views, history = await check.every_view(stack), await check.history(stack)
    draw = random.Random(7)
    lost: list[str] = []
    for _ in range(1_000):
        left = [name for name in await names(stack.redis) if _kind(name) not in {_kind(gone) for gone in lost}]
        if not left or (not full and len(lost) == 3):
            break
        lost.append(draw.choice(left))
        async with wrong(stack, states, f"Redis loses `{_kind(lost[-1])}`") as state:
            await stack.redis.delete(lost[-1])
            state.mended()

            async def made_again() -> bool:
                back = _passing(lost[-1]) or bool(await stack.redis.exists(lost[-1]))
                return back and await well_again(stack, views, history)

            await state.well(120, made_again)
    assert len(lost) > 2


async def test_redis_lost_any_one_key_while_nobody_ran(stack: Stack, states: Table, full: bool) -> None:
    """The same at the start: nothing incomplete is taken for the state."""
    await moving(stack)
    views, history = await check.every_view(stack), await check.history(stack)
    draw = random.Random(11)
    lost: list[str] = []
    for _ in range(1_000):
        kinds = {_kind(gone) for gone in lost}
        left = [name for name in await names(stack.redis) if _kind(name) not in kinds and "mempool}:series" not in name]
        if not left or (not full and len(lost) == 2):
            break
        lost.append(draw.choice(left))
        await stack.stop_services()
        await stack.redis.delete(lost[-1])
        await stack.start()
        async with wrong(stack, states, f"Redis lost `{_kind(lost[-1])}` before the start") as state:
            await state.well(120, lambda: well_again(stack, views, history))
            untrue = [
                seen
                for seen in state.looks
                if seen.ready == 200 and seen.count not in (None, views["MempoolView"]["count"])
            ]
            assert not untrue, f"after {lost[-1]} was lost, a part was shown as the whole: {untrue[0]}"


def _kind(key: str) -> str:
    """A key without the number of its segment."""
    return key.rstrip("0123456789").rstrip(":")


def _passing(key: str) -> bool:
    """What comes again with the next event, claim or holder, whenever that is."""
    return key.endswith((":backfill", ":metrics", ":series-updates", ":fees", ":events")) or bool(
        {"claim", "fence"} & set(key.split(":"))
    )


async def test_redis_evicts(tmp_path: Path, states: Table) -> None:
    """A policy that lets keys go is said, and what went is made again."""
    valkey = EmbeddedValkey(tmp_path / "valkey", extra=["--maxmemory-policy", "allkeys-random"])
    async with Stack(tmp_path, valkey=valkey) as stack:
        await moving(stack)
        views, history = await check.every_view(stack), await check.history(stack)
        async with wrong(stack, states, "Redis evicts keys") as state:
            evicted = "evicted_keys"
            await stack.redis.config_set("maxmemory", str((await stack.redis.info("memory"))["used_memory"] - 50_000))

            async def went() -> bool:
                with contextlib.suppress(RedisError):
                    return bool((await stack.redis.info("stats"))[evicted] >= 3)
                return False

            await until(went, 30, "keys were evicted")
            await stack.redis.config_set("maxmemory", "0")
            state.mended()

            async def policy_is_told() -> bool:
                async with aiohttp.ClientSession() as session, session.get(f"{stack.url}/status") as response:
                    return "allkeys-random" in await response.text()

            await until(policy_is_told, 20, "the page names the policy")
            await state.well(120, lambda: well_again(stack, views, history))


# --- nonsense ---------------------------------------------------------------------------------------------


_READERS = {"prices": ("marketcap",), "txs": ("explorer",), "changes": ("explorer",)}
"""Who reads a stream and is none of those that the stack starts by itself."""

_ALWAYS = ("blocks", "txs", "prices")


@pytest.mark.parametrize(
    "stream",
    [pytest.param(name, marks=() if name in _ALWAYS else pytest.mark.full) for name in absurd.STREAMS],
)
async def test_absurd_entries(stack: Stack, states: Table, stream: str) -> None:
    """Well-formed entries whose numbers cannot be: put aside, shown on the status page, and the rest goes on."""
    await moving(stack)
    if stream in _READERS:
        await stack.start(*_READERS[stream])
    before = pids(stack)
    key, family = absurd.STREAMS[stream](stack.keys)
    async with wrong(stack, states, f"absurd entries in `{stream}`") as state:
        for kind in absurd.kinds(family):
            await absurd.add(stack.redis, key, kind)
        state.mended()
        await mine(stack.node)
        await state.well(90)
    assert pids(stack) == before
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/mempool", "/blocks", "/charts", "/status"):
            async with session.get(f"{stack.url}{path}") as response:
                assert response.status == 200, path


def test_every_family_has_its_absurd_events() -> None:
    """So that a new event is not left out."""
    for family in absurd.families():
        assert isinstance(family, Family)
        assert each(issubclass(kind, Event) for kind in absurd.kinds(family))
