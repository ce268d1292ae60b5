"""Several workers, killed, held up, without room, without a node: what is missing is fetched all the same."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from chain_ingest.backfill.app import run
from chain_ingest.source import ReadBlock, Source
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.errors import RpcUnreachable
from shared.keys import BACKFILL_CAP, CLAIM_MS, Keys
from shared.service import Service
from support import spending
from support.each import each
from support.ledger import running, service
from support.stack import Stack, until
from support.standin_history import StandInHistory

KEYS = Keys("regtest")
HEIGHT = 600
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path_factory.mktemp("node")) as it:
        await spending.mine(it, HEIGHT)
        await it.rpc("gettxoutsetinfo")  # flushed: one test kills the node
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def history(connected: redis.Client, node: RegtestNode) -> StandInHistory:
    it = StandInHistory(connected, node, KEYS)
    await it.begin(first_header=550)
    return it


Env = dict[str, str]


@pytest.fixture
def env(node: RegtestNode) -> Env:
    return {**node.env(), "BACKFILL_LOAD": "100"}


def paused(it: Service) -> Callable[[], Awaitable[str]]:
    """What the heartbeat says it waits for."""

    async def look() -> str:
        return str(it.health.details.get("paused") or "")

    return look


async def claims(client: redis.Client) -> set[str]:
    """The claims that stand."""
    return {key.decode() async for key in client.scan_iter(KEYS.claim("*"))}


# --- together ----------------------------------------------------------------------------------------------


async def test_two_workers_share_the_work_and_do_nothing_twice(
    server: EmbeddedValkey, history: StandInHistory, env: Env
) -> None:
    async with (
        running(server.url, run, "backfill", **env, INSTANCE="one") as one,
        running(server.url, run, "backfill", **env, INSTANCE="two") as two,
        history.folding(),
    ):

        async def done() -> bool:
            return history.complete

        await until(done, 60, "nothing is missing")
        rates = [it.health.details["blocks_per_second"] for it in (one, two)]
    assert sorted(history.measured) == list(range(HEIGHT + 1))
    assert set(history.published.values()) == {1}
    assert sum(len(chunk.headers) for chunk in history.chunks) == 550
    assert each(isinstance(rate, float) and rate > 0 for rate in rates), "both did a part"


async def test_what_is_not_folded_in_time_is_not_repeated_at_once(
    server: EmbeddedValkey, connected: redis.Client, history: StandInHistory, env: Env
) -> None:
    """The fold is slow: every batch is published, and the view still lacks all of them."""
    await history.begin(first_header=24)
    await connected.set(KEYS.claim("headers"), "somebody else")
    batches = HEIGHT // 24 + 1

    async def published(count: int) -> bool:
        return bool(await connected.xlen(KEYS.stream(domains.BACKFILL)) == count)

    async with running(server.url, run, "backfill", **env):
        await until(partial(published, batches - 1), 30, "all batches but the lowest")
        for number in range(batches):
            await connected.delete(KEYS.claim(f"blocks:{number}"))  # as if their time had run out
        history.first_header = 0
        await history.show()
        await until(partial(published, batches), 30, "the lowest, which comes behind all others")
        await history.fold()
    assert history.complete
    assert set(history.published.values()) == {1}


async def test_what_is_measured_is_kept_where_the_rest_of_its_batch_fails(
    server: EmbeddedValkey, history: StandInHistory, env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link breaks at the last block of a batch: the others are not fetched again."""
    asked: Counter[str] = Counter()
    fetch = Source.read
    last = history.hashes[23]

    async def breaking(self: Source, block_hash: str, kind: type[msgspec.Struct]) -> ReadBlock:
        asked[block_hash] += 1
        if block_hash == last and asked[last] < 3:
            raise RpcUnreachable("the link is broken")
        return await fetch(self, block_hash, kind)

    monkeypatch.setattr(Source, "read", breaking)
    async with running(server.url, run, "backfill", **env), history.folding():

        async def done() -> bool:
            return history.complete

        await until(done, 60, "nothing is missing")
    assert asked.pop(last) == 3
    assert set(asked.values()) == {1}
    assert set(history.published.values()) == {1}


# --- killed ------------------------------------------------------------------------------------------------


async def test_a_killed_worker_is_replaced_and_a_stopped_one_gives_its_claim_back(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        await spending.mine(stack.node, 300)
        history = StandInHistory(stack.redis, stack.node, KEYS)
        await history.begin()
        await stack.start("backfill", BACKFILL_LOAD="3", INSTANCE="first")

        async def working() -> bool:
            await history.fold()
            return bool(history.measured)

        await until(working, 60, "a batch is folded")

        async def between() -> set[str]:
            done = {KEYS.claim(f"blocks:{height // 24}") for height in history.measured}
            await history.fold()
            return await claims(stack.redis) - done

        held = await until(between, 60, "a batch is claimed that is not published")
        await stack.kill("backfill")
        await history.fold()
        assert not history.complete
        for key in held:
            assert 0 < await stack.redis.pttl(key) <= CLAIM_MS  # it ends by itself
            await stack.redis.delete(key)  # as if its time had run out
        await stack.start("backfill", BACKFILL_LOAD="3", INSTANCE="second")
        await until(between, 60, "the second one is in the middle of a batch")
        assert await stack.stop("backfill") == 0
        await history.fold()
        assert await between() == set(), "a worker that stops gives back what it did not finish"
        await stack.start("backfill", BACKFILL_LOAD="100", INSTANCE="third")
        await history.finish(limit=CLAIM_MS / 1000 + 30)
        assert sorted(history.measured) == list(range(301))
        assert await stack.stop("backfill") == 0


# --- held up -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stream", "limit"), [(KEYS.stream(domains.BLOCKS), 20), (KEYS.stream(domains.TXS), 20_000)])
async def test_it_waits_while_a_group_lags(
    server: EmbeddedValkey, connected: redis.Client, history: StandInHistory, env: Env, stream: str, limit: int
) -> None:
    for start in range(0, limit + 1, 1_000):
        pipeline = connected.pipeline(transaction=False)
        for number in range(start, min(start + 1_000, limit + 1)):
            pipeline.xadd(stream, {"number": number})
        await pipeline.execute()
    await connected.xgroup_create(stream, "chain-metrics", id="$")
    await connected.xgroup_create(stream, "somebody's tool", id="0-0", entries_read=0)  # nothing to wait for
    await connected.xgroup_create(stream, "mempool", id="0-0", entries_read=0)
    async with running(server.url, run, "backfill", **env) as it:
        reason = await until(paused(it), 10, "it says why it waits")
        assert reason == f"mempool is {limit + 1} entries behind on {stream}"
        assert it.health.state == "ok"
        assert not await connected.exists(KEYS.stream(domains.BACKFILL))
        await connected.xreadgroup("mempool", "consumer", {stream: ">"}, count=1)  # one less: as far as it may lag
        await history.finish()
        assert it.health.details["paused"] is None


async def test_it_waits_while_the_series_lag_behind_the_node(
    server: EmbeddedValkey, connected: redis.Client, history: StandInHistory, env: Env
) -> None:
    history.height = HEIGHT - 3
    await history.show()
    async with running(server.url, run, "backfill", **env) as it:
        reason = await until(paused(it), 10, "it says why it waits")
        assert reason == f"the series end at block {HEIGHT - 3}, node main is at {HEIGHT}"
        assert not await connected.exists(KEYS.stream(domains.BACKFILL))
        history.height = HEIGHT - 2
        await history.finish()
    assert sorted(history.measured) == list(range(HEIGHT - 1))


async def test_it_waits_while_the_node_downloads_the_chain(
    server: EmbeddedValkey, connected: redis.Client, tmp_path: Path
) -> None:
    """It knows of a newer block than those, years old, that it has."""
    async with (
        RegtestNode(tmp_path / "source", mocktime=1_700_000_000) as source,
        RegtestNode(tmp_path / "node") as node,
    ):
        old = await spending.mine(source, 5)
        await source.rpc("setmocktime", 0)
        *blocks, newest = [await source.rpc("getblock", one, 0) for one in [*old, *await spending.mine(source)]]
        for block in blocks:
            await node.rpc("submitblock", block)
        await node.rpc("submitheader", newest[:160])
        history = StandInHistory(connected, node, KEYS)
        await history.begin()
        async with running(server.url, run, "backfill", **node.env(), BACKFILL_LOAD="100") as it:
            reason = await until(paused(it), 10, "it says why it waits")
            assert reason.startswith("node main is downloading the chain: 5 of 6 blocks")
            assert not await connected.exists(KEYS.stream(domains.BACKFILL))
            await node.rpc("submitblock", newest)
            await history.finish()


async def test_without_chain_history_it_waits(
    server: EmbeddedValkey, connected: redis.Client, history: StandInHistory, env: Env
) -> None:
    await connected.delete(KEYS.views(domains.HISTORY))
    async with running(server.url, run, "backfill", **env) as it:
        assert await until(paused(it), 10, "it says why it waits") == "waiting for chain-history"
        await history.show()
        await history.finish()

        async def idle() -> bool:
            return it.health.details.get("paused") is None and it.health.details.get("done") == HEIGHT + 1

        await until(idle, 10, "it says that all is done")
        assert it.health.details["total"] == HEIGHT + 1


async def test_a_view_that_cannot_be_read_is_awaited(
    server: EmbeddedValkey, connected: redis.Client, history: StandInHistory, env: Env
) -> None:
    await connected.hset(KEYS.views(domains.HISTORY), "history", b'{"height": "of another version"}')
    async with running(server.url, run, "backfill", **env) as it:
        assert await until(paused(it), 10, "it says why it waits") == "waiting for chain-history"
        await history.show()
        await history.finish()


async def test_it_waits_for_room(
    server: EmbeddedValkey, connected: redis.Client, history: StandInHistory, env: Env
) -> None:
    for _ in range(BACKFILL_CAP):
        await connected.xadd(KEYS.stream(domains.BACKFILL), {"type": "unknown", "v": "1", "seq": "0", "data": "{}"})
    async with running(server.url, run, "backfill", **env) as it:
        reason = await until(paused(it), 10, "it says why it waits")
        assert reason == f"chain-history has {BACKFILL_CAP} entries to fold"
        assert await connected.xlen(KEYS.stream(domains.BACKFILL)) == BACKFILL_CAP
        [(oldest, _)] = await connected.xrange(KEYS.stream(domains.BACKFILL), count=1)
        await connected.xdel(KEYS.stream(domains.BACKFILL), oldest)

        async def full_again() -> bool:
            return bool(await connected.xlen(KEYS.stream(domains.BACKFILL)) == BACKFILL_CAP)

        await until(full_again, 10, "the room is taken, and no more than that")
        await until(paused(it), 10, "it waits again")
        assert await connected.xlen(KEYS.stream(domains.BACKFILL)) == BACKFILL_CAP
        await connected.xtrim(
            KEYS.stream(domains.BACKFILL), maxlen=1, approximate=False
        )  # what the others were is not ours to fold
        await history.finish()
        assert it.health.details["paused"] is None


async def test_switched_off_it_idles(
    server: EmbeddedValkey, connected: redis.Client, history: StandInHistory, env: Env
) -> None:
    async with running(server.url, run, "backfill", **{**env, "BACKFILL_LOAD": "0"}) as it:
        assert await until(paused(it), 10, "it says so") == "switched off by BACKFILL_LOAD=0"
        assert it.health.state == "ok"
    assert not await claims(connected)
    assert not await connected.exists(KEYS.stream(domains.BACKFILL))
    assert not history.measured


# --- nodes -------------------------------------------------------------------------------------------------


async def test_without_a_node_it_stops_at_once(server: EmbeddedValkey, no_env: Path) -> None:
    command = Stack.command("chain_ingest.backfill")
    environment = {"REDIS_URL": server.url, "BITCOIN_NETWORK": "regtest", "ENV_DIR": str(no_env)}
    ended = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2
    assert "backfill: no node is configured: expected MAIN_RPC_URL=http://HOST:PORT" in ended.stderr


async def test_the_first_node_that_answers_is_used(
    server: EmbeddedValkey, history: StandInHistory, node: RegtestNode
) -> None:
    env = {**node.env("SPARE"), "NODES": "main,spare", "BACKFILL_LOAD": "100"}
    absent = {"MAIN_RPC_URL": "http://127.0.0.1:1", "MAIN_RPC_USER": "u", "MAIN_RPC_PASSWORD": "p"}
    async with running(server.url, run, "backfill", **env, **absent) as it:
        await history.finish()
        assert it.health.details["node"] == "spare"


async def test_a_node_that_comes_back_is_used_again(
    server: EmbeddedValkey, history: StandInHistory, node: RegtestNode, env: Env
) -> None:
    await node.kill()
    try:
        async with running(server.url, run, "backfill", **env) as it:

            async def degraded() -> str:
                return it.health.reason

            assert (await until(degraded, 10, "it says what is wrong")).startswith("node main: ")
            await node.start()
            await history.finish()
            assert (it.health.state, it.health.reason) == ("ok", "")
    finally:
        if not node.running:
            await node.start()


async def test_a_node_of_another_network_is_not_used(server: EmbeddedValkey, history: StandInHistory, env: Env) -> None:
    wrong = service(server.url, "backfill", **{**env, "BITCOIN_NETWORK": "signet"})
    task = asyncio.ensure_future(run(wrong))
    try:

        async def degraded() -> str:
            return wrong.health.reason

        reason = await until(degraded, 10, "it says what is wrong")
        assert "is on network 'regtest': BITCOIN_NETWORK expects 'signet'" in reason
    finally:
        wrong.stopping.set()
        await asyncio.wait_for(task, 8)
        await wrong.close()
