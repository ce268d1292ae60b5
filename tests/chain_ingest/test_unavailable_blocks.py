"""Blocks that a node cannot give any more: named, stepped over, and nothing waits behind them."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from chain_ingest import fetch, follow
from chain_ingest.app import run
from chain_ingest.backfill import batches, claims
from chain_ingest.backfill.app import run as run_backfill
from chain_ingest.source import ReadBlock, Source
from chain_metrics.app import run as run_metrics
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.errors import RpcRefused
from shared.views import BlocksView, HistoryView
from support import check
from support.damage import damage_block, damage_undo
from support.feed import KEYS, entries, kinds, newest
from support.ledger import running
from support.spending import build, fan_out, give, mine, mined_coins, send
from support.stack import Stack, until
from support.standin_history import StandInHistory


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(follow, "COMPARE_SECONDS", 0.5)
    monkeypatch.setattr(claims, "CLAIM_MS", 600)
    monkeypatch.setattr(batches, "REMEMBERED_SECONDS", 0.3)


async def hash_at(node: RegtestNode, height: int) -> str:
    block_hash: str = await node.rpc("getblockhash", height)
    return block_hash


async def synced(client: redis.Client, height: int) -> None:
    """Return once this block is the newest that is published, and the mempool was compared with the node's."""

    async def there() -> bool:
        return await newest(client) == height and "mempool.synced" in await kinds(client, KEYS.stream(domains.TXS))

    await until(there, 20, f"block {height} is published and the mempool is equal")


async def story(client: redis.Client) -> list[tuple[str, int]]:
    """Type and height of each entry; of `headers.loaded` the height of its last header."""
    return [
        (kind, data["height"] + len(data.get("headers", " ")) - 1)
        for _, kind, data in await entries(client, KEYS.stream(domains.BLOCKS))
    ]


async def told(client: redis.Client) -> list[str]:
    details = [
        data["detail"] for _, kind, data in await entries(client, KEYS.stream(domains.OPS)) if kind == "gap.detected"
    ]
    return [detail for detail in details if "cannot be had" in detail]


def blocks(first: int, last: int) -> list[tuple[str, int]]:
    return [("block.connected", height) for height in range(first, last + 1)]


async def test_a_block_that_cannot_be_read_is_stepped_over(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    async with RegtestNode(tmp_path / "node") as node:
        await mine(node, 30)
        gone = await hash_at(node, 20)
        await damage_block(node, gone)
        async with (
            running(valkey.url, run, "chain-ingest", **node.env()),
            running(valkey.url, run_metrics, "chain-metrics"),
        ):
            await synced(client, 30)
            assert await story(client) == [
                ("headers.loaded", 0), *blocks(1, 19), ("headers.loaded", 20), *blocks(21, 30)
            ]  # fmt: skip
            [said] = await told(client)
            assert said == (
                f"block 20 {gone} cannot be had, what node main answers cannot be read "
                "(these are the bytes of another block): without statistics, the chain goes on above"
            )

            async def rows() -> list[int]:
                raw = await client.hget(KEYS.views(domains.CHAIN), "blocks")
                heights = [row.height for row in msgspec.json.decode(raw, type=BlocksView).blocks] if raw else []
                return heights if heights[:1] == [30] else []

            expected = [height for height in range(30, 0, -1) if height != 20]
            assert await until(rows, 10, "the last blocks are shown") == expected


async def test_blocks_without_undo_data_are_stepped_over_together(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    """But for those that have nothing but a coinbase: their bytes say all."""
    async with RegtestNode(tmp_path / "node") as node:
        coins = await fan_out(node, await mined_coins(node, 1), 2)
        for coin in coins:
            await send(node, [build([coin], [coin.value - 500])])
            await mine(node)
        damage_undo(node)
        last = await node.rpc("getblockcount")
        async with running(valkey.url, run, "chain-ingest", **node.env()):
            await synced(client, last)
            await mine(node)
            await synced(client, last + 1)
        first = last - 2  # that has a transaction
        assert await story(client) == [
            ("headers.loaded", 0), *blocks(1, first - 1), ("headers.loaded", last), *blocks(last + 1, last + 1)
        ]  # fmt: skip
        [said] = await told(client)
        assert said.startswith(
            f"blocks {first} to {last} cannot be had, node main answers getblockstats: Can't read undo data"
        )


async def test_what_one_node_cannot_read_is_asked_from_another(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    async with RegtestNode(tmp_path / "node") as node, RegtestNode(tmp_path / "spare") as spare:
        await give(await mine(node, 10), node, spare)
        await damage_block(node, await hash_at(node, 5))
        env = {**node.env(), **spare.env("SPARE"), "NODES": "main,spare"}
        async with running(valkey.url, run, "chain-ingest", **env):
            await synced(client, 10)
        assert await story(client) == [("headers.loaded", 0), *blocks(1, 10)]
        assert await told(client) == []
        nodes = [data["node"] for _, _, data in await entries(client, KEYS.stream(domains.BLOCKS))]
        assert nodes == ["main"] * 5 + ["spare"] + ["main"] * 5


async def test_a_failure_that_passes_costs_nothing(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, failures = Source.read, 0

    async def failing(self: Source, block_hash: str, kind: type[msgspec.Struct]) -> ReadBlock:
        nonlocal failures
        if failures < fetch.TRIES - 1:
            failures += 1
            raise RpcRefused("getblock", -1, "Block not available (not fully downloaded)")
        return await read(self, block_hash, kind)

    monkeypatch.setattr(Source, "read", failing)
    async with RegtestNode(tmp_path / "node") as node:
        await mine(node)
        async with running(valkey.url, run, "chain-ingest", **node.env()):
            await synced(client, 1)
        assert failures == fetch.TRIES - 1
        assert await story(client) == [("headers.loaded", 0), ("block.connected", 1)]


async def test_transactions_of_a_block_that_cannot_be_read_leave_the_mempool(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RegtestNode(tmp_path / "node") as node:
        [coin] = (await fan_out(node, await mined_coins(node, 1), 1))[:1]
        async with running(valkey.url, run, "chain-ingest", **node.env()):
            height = await node.rpc("getblockcount")
            await synced(client, height)
            [sent] = [build([coin], [coin.value - 500])]
            await send(node, [sent])

            async def known() -> bool:
                return bool(await client.hexists(KEYS.published(domains.TXS), bytes.fromhex(sent.txid)))

            await until(known, 10, "the transaction is published")

            async def lost(self: Source, block_hash: str, kind: type[msgspec.Struct]) -> ReadBlock:
                raise RpcRefused("getblockstats", -1, "Can't read undo data from disk")

            monkeypatch.setattr(Source, "read", lost)
            await mine(node)

            async def gone() -> bool:
                return not await known()

            await until(gone, 25, "the transaction has left")
            await synced(client, height + 1)


async def test_the_backfill_gives_up_by_name_and_goes_on(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    async with RegtestNode(tmp_path / "node") as node:
        await mine(node, 60)
        await damage_block(node, await hash_at(node, 20))
        history = StandInHistory(client, node, KEYS)
        await history.begin(first_header=60)
        async with running(valkey.url, run_backfill, "backfill", **node.env(), BACKFILL_LOAD="100"):
            await history.finish()
        assert history.unavailable == [(20, 20)]
        assert sorted(history.measured) == [height for height in range(61) if height != 20]


async def test_the_charts_are_whole_but_for_what_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stack(tmp_path) as stack:
        await mine(stack.node, 40)
        await damage_block(stack.node, await hash_at(stack.node, 30))
        await stack.start(*check.LIVE)
        await stack.synced()
        async with running(stack.valkey.url, run_backfill, "backfill", **stack.node.env(), BACKFILL_LOAD="100"):

            async def complete() -> HistoryView | None:
                view = await stack.view(HistoryView)
                return view if view is not None and view.complete else None

            view = await until(complete, 30, "the history is complete")
        assert view is not None
        assert (view.height, view.measured, view.unavailable) == (40, 40, 1)


async def test_what_was_pruned_while_we_were_away_holds_nothing_up(tmp_path: Path) -> None:
    """The stream begins anew, and what lies between is given up by name."""
    # -fastprune makes files of 64 KiB, so that there is one to delete; -prune=1 leaves pruning to the call.
    node = RegtestNode(tmp_path / "node", extra=["-fastprune", "-prune=1"])
    async with Stack(tmp_path, node=node) as stack:
        await mine(node, 20)
        await stack.start(*check.LIVE)
        await stack.synced()
        for name in check.LIVE:
            await stack.stop(name)
        await mine(node, 980)
        await node.rpc("pruneblockchain", 600)
        lowest = (await node.rpc("getblockchaininfo"))["pruneheight"]
        assert 20 < lowest < 1_000
        began = time.monotonic()
        await stack.start(*check.LIVE)
        await check.equals_node(stack)
        print(f"equal to the node after {time.monotonic() - began:.1f} s")
        async with running(stack.valkey.url, run_backfill, "backfill", **node.env(), BACKFILL_LOAD="100"):

            async def complete() -> HistoryView | None:
                view = await stack.view(HistoryView)
                return view if view is not None and view.complete else None

            view = await until(complete, 60, "the history is complete")
        print(f"history complete after {time.monotonic() - began:.1f} s")
        assert view is not None
        assert view.height == 1_000
        kept = 20  # measured before, and kept
        assert view.measured == kept + 1_000 - lowest + 1
        assert view.unavailable == 1 + lowest - 1 - kept  # the genesis block's bytes are gone, too
