"""A node that loads its mempool, downloads the chain, is whole but quiet, blocksonly, or has another clock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from chain_ingest import condition
from chain_ingest.answers import ChainInfo, NetworkInfo
from chain_ingest.nodeclock import NodeClock
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.rpc import RpcClient
from shared.tasks import end
from support.feed import KEYS, feeding, mempool, tip
from support.spending import chain, fan_out, mine, mined_coins, send
from support.stack import until

DAY = 86_400


# --- loading its mempool -----------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def full_node(tmp_path: Path) -> AsyncIterator[RegtestNode]:
    """4,000 transactions wait, and each start checks the whole mempool again at each that it reads."""
    async with RegtestNode(tmp_path / "node") as it:
        coins = await fan_out(it, await mined_coins(it, 1), 200)
        await send(it, [built for coin in coins for built in chain(coin, 20, [3, 20, 7])])
        it.extra = ("-checkmempool=1",)
        yield it


@contextlib.asynccontextmanager
async def slowly(node: RegtestNode) -> AsyncIterator[None]:
    """The node gets a twentieth of the time only, as on a very busy disk: so its loading lasts for some seconds."""

    async def alternate() -> None:
        while True:
            os.kill(node.pid, signal.SIGSTOP)
            await asyncio.sleep(0.3)
            os.kill(node.pid, signal.SIGCONT)
            await asyncio.sleep(0.015)

    task = asyncio.create_task(alternate())
    try:
        yield
    finally:
        await end(task)
        os.kill(node.pid, signal.SIGCONT)


async def test_a_node_that_restarts_leaves_what_was_published(
    full_node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    async with feeding(full_node, valkey) as feed:
        await feed.agrees()
        before = len(await feed.entries(KEYS.stream(domains.TXS)))
        expected = mempool(await feed.entries(KEYS.stream(domains.TXS)))
        assert len(expected) == 4_000
        await full_node.restart()
        async with slowly(full_node):
            await feed.says("node main is loading its mempool: ")
            assert "transactions loaded" in str(feed.health.details["progress"])
            was = await feed.confirmed("mempool")
            while True:
                found, confirmed = len(await feed.entries(KEYS.stream(domains.TXS))), await feed.confirmed("mempool")
                if (await full_node.rpc("getmempoolinfo"))["loaded"]:
                    break
                assert (found, confirmed) == (before, was)
        await feed.agrees()
        since = await feed.kinds(KEYS.stream(domains.TXS), before)
        assert set(since) == {"mempool.synced"}
        assert mempool(await feed.entries(KEYS.stream(domains.TXS))) == expected
        assert feed.health.state == "ok"
        assert feed.health.details["progress"] is None


async def test_a_first_start_publishes_no_half_mempool(
    full_node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    await full_node.restart()
    async with slowly(full_node), feeding(full_node, valkey) as feed:
        await feed.says("node main is loading its mempool: ")
        while True:
            found = await feed.entries(KEYS.stream(domains.TXS))
            if (await full_node.rpc("getmempoolinfo"))["loaded"]:
                break
            assert found == []
        await feed.agrees(limit=60)
        synced = [
            data["tx_count"]
            for _, kind, data in await feed.entries(KEYS.stream(domains.TXS))
            if kind == "mempool.synced"
        ]
        assert synced[0] == 4_000


async def test_the_chain_begins_anew_while_the_mempool_is_loaded(
    full_node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fold of the chain that lost its place is not kept waiting by what it does not read."""
    monkeypatch.setattr("chain_ingest.follow.COMPARE_SECONDS", 0.1)
    async with feeding(full_node, valkey) as feed:
        await feed.agrees()
        await full_node.restart()
        async with slowly(full_node):
            await feed.says("node main is loading its mempool: ")
            await client.set(KEYS.resync(domains.BLOCKS), "a test asks")

            async def begun() -> bool:
                return (await feed.kinds(KEYS.stream(domains.BLOCKS))).count("headers.loaded") == 2

            await until(begun, 15, "the chain begins anew")
            assert not (await full_node.rpc("getmempoolinfo"))["loaded"]
        assert not await client.exists(KEYS.resync(domains.BLOCKS))


# --- its chain ---------------------------------------------------------------------------------------------


async def test_downloading_is_told_from_quiet(tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client) -> None:
    """Both call themselves `initialblockdownload`: one lacks blocks that it has the headers of, the other nothing."""
    past = int(time.time()) - 90 * DAY
    async with RegtestNode(tmp_path / "old", mocktime=past) as source, RegtestNode(tmp_path / "new") as node:
        hashes = await mine(source, 20)
        for block_hash in hashes:
            await node.rpc("submitheader", await source.rpc("getblockheader", block_hash, False))
        blocks = [await source.rpc("getblock", block_hash, 0) for block_hash in hashes]
        async with feeding(node, valkey) as feed:
            await feed.says("node main is downloading the chain: 0 of 20 blocks")
            for block in blocks[:12]:
                await node.rpc("submitblock", block)
            await feed.says("node main is downloading the chain: 12 of 20 blocks")
            assert feed.health.details["progress"] == "12 of 20 blocks"
            for stream in (KEYS.stream(domains.BLOCKS), KEYS.stream(domains.TXS)):
                assert await feed.entries(stream) == []
            assert (await feed.confirmed("chain"), await feed.confirmed("mempool")) == ((0, 0, ""), (0, 0, ""))
            for block in blocks[12:]:
                await node.rpc("submitblock", block)
            await feed.agrees()
            assert (await node.rpc("getblockchaininfo"))["initialblockdownload"]
            assert tip(await feed.entries(KEYS.stream(domains.BLOCKS))) == hashes[-1]
            await feed.says("days: node main knows of none above 20")
            assert feed.health.reason.startswith("no block for ")
            await mine(node)
            await feed.agrees()
            assert feed.health.state == "ok"


# --- its mempool is not the network's ----------------------------------------------------------------------


async def test_a_node_that_takes_no_transactions(tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with RegtestNode(tmp_path / "node", extra=["-blocksonly"]) as node:
        await mine(node)
        async with feeding(node, valkey) as feed:
            await feed.agrees()
            words = "node main takes no transactions from others (-blocksonly)"
            await feed.says(words)
            assert words in (await feed.confirmed("mempool"))[2]
            assert (await feed.confirmed("chain"))[2] == ""


async def test_a_node_whose_network_is_off_is_named(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain_ingest.follow.COMPARE_SECONDS", 0.5)
    async with RegtestNode(tmp_path / "node") as node:
        await mine(node)
        async with feeding(node, valkey) as feed:
            await feed.agrees()
            assert feed.health.state == "ok"  # no peers: as usual on regtest
            await node.rpc("setnetworkactive", False)
            await feed.says("node main has its network switched off")
            assert (await feed.confirmed("mempool"))[2] == ""
            await node.rpc("setnetworkactive", True)
            await feed.agrees()

            async def well() -> bool:
                return feed.health.state == "ok"

            await until(well, 10, "nothing is left to say")


# --- its clock ---------------------------------------------------------------------------------------------


async def test_the_node_tells_its_clock(tmp_path: Path) -> None:
    """By the date of its answers: nearer than a second, from nothing but what is asked anyway."""
    async with RegtestNode(tmp_path / "node") as node, RpcClient(node.settings()) as rpc:
        clock = NodeClock()
        assert clock.now_ms(0) is None

        async def near() -> bool:
            await rpc.call("uptime")
            steady, wall = time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000
            clock.dated(rpc.date, steady)
            return -300 < (clock.now_ms(steady) or 0) - wall <= 1

        await until(near, 10, "the node's clock is known to 0.3 s")


@pytest.mark.parametrize("hours", [2, -2])
async def test_entry_times_and_comparisons_are_of_one_clock(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client, hours: int
) -> None:
    """`setmocktime` shifts the clock that transactions are dated by, and not the date of the node's answers."""
    async with RegtestNode(tmp_path / "node") as node:
        coins = await fan_out(node, await mined_coins(node, 1), 2)
        async with feeding(node, valkey) as feed:
            await feed.agrees()
            [synced] = [
                data for _, kind, data in await feed.entries(KEYS.stream(domains.TXS)) if kind == "mempool.synced"
            ]
            assert abs(synced["node_time_ms"] - synced["time_ms"]) < 2_000
            ahead = hours * 3_600
            await node.rpc("setmocktime", int(time.time()) + ahead)
            await send(node, chain(coins[0], 3, [5]))
            how = "ahead of" if hours > 0 else "behind"
            await feed.says("the clock of node main is ")
            assert f"{how} Redis' clock" in feed.health.reason

            async def counted_by_it() -> bool:
                last = [
                    data for _, kind, data in await feed.entries(KEYS.stream(domains.TXS)) if kind == "mempool.synced"
                ][-1]
                return bool(abs(last["node_time_ms"] - last["time_ms"] - ahead * 1000) < 5_000)

            await until(counted_by_it, 20, "the comparison tells the node's clock")
            await node.rpc("setmocktime", 0)


# --- words -------------------------------------------------------------------------------------------------


def chain_info(**changes: object) -> ChainInfo:
    told = {
        "chain": "main", "blocks": 800_000, "headers": 800_000, "bestblockhash": "00" * 32,
        "initialblockdownload": False, "verificationprogress": 1.0, "time": 1_700_000_000,
    }  # fmt: skip
    return msgspec.convert(told | changes, ChainInfo)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"initialblockdownload": True}, ""),  # whole, and quiet
        ({"initialblockdownload": True, "blocks": 799_999}, "is downloading the chain: 799999 of 800000 blocks"),
        ({"initialblockdownload": True, "blocks": 0, "headers": 0}, "is downloading the chain: 0 of 0 blocks"),
        ({"initialblockdownload": True, "verificationprogress": 0.5}, "50.0% verified"),
        ({"blocks": 799_999}, ""),  # the newest is on its way
        ({"blocks": 799_000}, "is catching up: 799000 of 800000 blocks"),
    ],
)
def test_which_node_is_whole(changes: dict[str, object], words: str) -> None:
    found = condition.not_whole("main", chain_info(**changes))
    assert (words in found) if words else not found


@pytest.mark.parametrize(
    ("chain_changes", "network", "later", "words"),
    [
        ({}, NetworkInfo(1, ""), 600, ["node main has no peers"]),
        ({"chain": "regtest"}, NetworkInfo(1, ""), 600, []),
        ({}, NetworkInfo(1, "", connections=8), 3 * DAY + 60, ["no block for 3 days"]),
        ({}, NetworkInfo(1, "", connections=8), -3 * 3_600, ["block 800000 is dated 3 hours ahead of Redis' clock"]),
        ({}, NetworkInfo(1, "", networkactive=False), 600, ["has its network switched off"]),
        ({"time": 0}, NetworkInfo(1, "", connections=8), 3 * DAY, []),  # a node that does not tell it
    ],
)
def test_what_is_odd_is_said(
    chain_changes: dict[str, object], network: NetworkInfo, later: int, words: list[str]
) -> None:
    now_ms = (1_700_000_000 + later) * 1000
    found = condition.remarks("main", chain_info(**chain_changes), network, now_ms, now_ms + 30_000)
    assert len(found) == len(words)
    assert [said for said, text in zip(words, found, strict=True) if said not in text] == []
