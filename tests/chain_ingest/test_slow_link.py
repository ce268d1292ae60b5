"""Blocks over a slow line: they come as fast as their bytes do, and what arrived is not fetched again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from chain_ingest import fetch
from chain_ingest.answers import HeaderInfo
from chain_ingest.app import run
from chain_ingest.fetch import Fetcher, Unavailable
from chain_ingest.node import Node
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared import rpc as rpc_module
from shared.errors import RpcUnreachable
from shared.networks import NETWORKS
from shared.pool_tags import Pools
from shared.rpc import RpcClient
from support import spending
from support.feed import KEYS, newest
from support.ledger import running
from support.slow_link import SlowLink
from support.stack import until

BLOCKS = 6
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    """The newest six blocks have 190 kB each, twice that as they come over RPC."""
    async with RegtestNode(tmp_path_factory.mktemp("node"), extra=["-rest=0"]) as it:
        coins = await spending.mined_coins(it, 2 * BLOCKS)
        for place in range(BLOCKS):
            part = coins[2 * place : 2 * place + 2]
            await spending.send(
                it, [spending.build([coin], [(coin.value - 300_000) // 2_200] * 2_200) for coin in part]
            )
            await spending.mine(it)
        yield it


async def test_blocks_advance_although_each_takes_longer_than_silence_may_last(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc_module, "SILENCE_SECONDS", 0.8, raising=False)
    monkeypatch.setattr(rpc_module, "TIMEOUT", 0.8, raising=False)
    best = await node.rpc("getblockcount")
    seen: set[str] = set()
    async with (
        SlowLink(node.rpc_port, 400_000) as link,
        running(server.url, run, "chain-ingest", **{**node.env(), "MAIN_RPC_URL": link.url}) as it,
    ):
        began = time.monotonic()

        async def arrived() -> bool:
            seen.add(str(it.health.details.get("progress")))
            return await newest(connected) == int(best)

        await until(arrived, 40, "every block is published")
        seconds = time.monotonic() - began

        async def told() -> bool:
            return it.health.state == "ok" and it.health.details["progress"] is None

        await until(told, 10, "it is up to date")
    print(f"{BLOCKS} blocks of 190 kB over 400 kB/s in {seconds:.1f} s")
    assert any(text.startswith("blocks published: ") and text.endswith(" s left") for text in seen)


async def test_it_stops_in_time_while_blocks_come_in(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    async with SlowLink(node.rpc_port, 60_000) as link:
        async with running(server.url, run, "chain-ingest", **{**node.env(), "MAIN_RPC_URL": link.url}):

            async def begun() -> bool:
                return bool(await connected.exists(KEYS.stream(domains.BLOCKS)))

            await until(begun, 40, "the first headers are published")
            began = time.monotonic()
        assert time.monotonic() - began < 6
    assert not await connected.exists(KEYS.lease("chain", "chain-ingest"))


def under_way() -> int:
    """Blocks that are being fetched."""
    return len([task for task in asyncio.all_tasks() if task.get_name() == "block"])


class Counting(Node):
    """Counts the blocks that are asked for, and fails where it is told to."""

    def __init__(self, rpc: RpcClient, failing: str = "") -> None:
        super().__init__(rpc)
        self.asked: list[str] = []
        self.failing = failing
        self.most = 0

    async def raw_block(self, block_hash: str) -> bytes:
        self.asked.append(block_hash)
        self.most = max(self.most, under_way())
        if block_hash == self.failing:
            self.failing = ""
            raise RpcUnreachable("the line is cut")
        return await super().raw_block(block_hash)


async def path(node: RegtestNode, rpc: RpcClient, count: int) -> list[HeaderInfo]:
    tip = await Node(rpc).header(await node.rpc("getbestblockhash"))
    return (await Node(rpc).branch(tip.height - count + 1, tip))[-count:]


async def all_of(
    fetcher: Fetcher, node: Node, headers: list[HeaderInfo], published: list[str] | None = None
) -> list[str]:
    published = [] if published is None else published
    async for fetched in fetcher.blocks(node, headers):
        assert not isinstance(fetched, Unavailable)
        published.append(fetched[0].hash)
    return published


@pytest.mark.parametrize("place", [0, 1, 3])
async def test_what_arrived_is_kept_when_another_block_fails(node: RegtestNode, place: int) -> None:
    async with RpcClient(node.settings()) as rpc:
        headers = await path(node, rpc, 6)
        hashes = [header.hash for header in headers]
        reader, fetcher = Counting(rpc, failing=hashes[place]), Fetcher(Pools(None), NETWORKS["regtest"])
        published: list[str] = []
        with pytest.raises(RpcUnreachable):
            await all_of(fetcher, reader, headers, published)
        assert published == hashes[:place]
        assert await all_of(fetcher, reader, headers[place:]) == hashes[place:]
        asked: dict[str, int] = {one: reader.asked.count(one) for one in hashes}
        assert asked == {one: 1 + (one == hashes[place]) for one in hashes}


async def test_fewer_at_once_while_they_are_slow_and_more_again(
    node: RegtestNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RpcClient(node.settings()) as rpc:
        headers = await path(node, rpc, 12)
        reader, fetcher = Counting(rpc), Fetcher(Pools(None), NETWORKS["regtest"])
        await all_of(fetcher, reader, headers)
        assert reader.most == fetch.AT_ONCE
        monkeypatch.setattr(fetch, "SLOW_SECONDS", 0.0)
        await all_of(fetcher, reader, headers)
        reader.most = 0
        await all_of(fetcher, reader, headers)
        assert reader.most == 1
        monkeypatch.setattr(fetch, "SLOW_SECONDS", 5.0)
        await all_of(fetcher, reader, headers)
        assert reader.most == fetch.AT_ONCE


async def test_a_failure_is_told_at_once_and_what_is_on_its_way_goes_on(node: RegtestNode) -> None:
    """The others may take long over a slow line: neither does the failure wait for them, nor do they begin again."""
    async with (
        SlowLink(node.rpc_port, 1_000_000) as link,
        RpcClient(dataclasses.replace(node.settings(), rpc_url=link.url)) as rpc,
    ):
        headers = await path(node, rpc, 4)
        hashes = [header.hash for header in headers]
        reader, fetcher = Counting(rpc, failing=hashes[0]), Fetcher(Pools(None), NETWORKS["regtest"])
        link.rate = 100_000
        began = time.monotonic()
        with pytest.raises(RpcUnreachable):
            await all_of(fetcher, reader, headers)
        assert time.monotonic() - began < 1
        assert under_way() == 3
        link.rate = 10_000_000
        assert await all_of(fetcher, reader, headers) == hashes
        assert [reader.asked.count(one) for one in hashes] == [2, 1, 1, 1]


async def test_what_is_on_its_way_goes_on_when_the_caller_fails(node: RegtestNode) -> None:
    """As where the node cannot answer what the mempool asks of it: the next attempt finds what was fetched."""
    async with RpcClient(node.settings()) as rpc:
        headers = await path(node, rpc, 6)
        hashes = [header.hash for header in headers]
        reader, fetcher = Counting(rpc), Fetcher(Pools(None), NETWORKS["regtest"])
        async with contextlib.aclosing(fetcher.blocks(reader, headers)) as blocks:
            await anext(blocks)
        assert await all_of(fetcher, reader, headers) == hashes
        assert [reader.asked.count(one) for one in hashes] == [1] * 6


@pytest.mark.parametrize("by", ["the end", "another node", "another path"])
async def test_nothing_is_fetched_on_when_nobody_wants_it_any_more(node: RegtestNode, by: str) -> None:
    other = dataclasses.replace(node.settings(), name="spare")
    async with RpcClient(node.settings()) as rpc, RpcClient(other) as spare:
        headers = await path(node, rpc, 6)
        reader, fetcher = Counting(rpc), Fetcher(Pools(None), NETWORKS["regtest"])
        blocks: Any = fetcher.blocks(reader, headers)
        await anext(blocks)
        await blocks.aclose()
        if by == "the end":
            await fetcher.end()
        elif by == "another node":
            assert len(await all_of(fetcher, Counting(spare), headers)) == 6
        else:
            assert len(await all_of(fetcher, reader, headers[5:])) == 1
        assert under_way() == 0
