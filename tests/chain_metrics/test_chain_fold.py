"""Blocks up and down: the views are those of a fresh build, from memory and from Redis; rates are the node's."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chain_metrics.fold import ChainFold
from local_run.node import RegtestNode
from shared import domains, redis
from shared.errors import StreamGap
from shared.events.blocks import BlockConnected, BlockDisconnected, HeadersLoaded, LargestTx
from shared.fold import Changes
from shared.keys import Keys
from shared.views import TipView
from support.folding import at
from support.spending import mine
from support.stack import Stack, until

KEYS = Keys("main")
BITS = 0x17021EC5


def loaded(count: int = 400, first: int = 800_000) -> HeadersLoaded:
    return HeadersLoaded(
        height=first,
        headers=[(1_700_000_000 + 600 * one, BITS) for one in range(count)],
        tip_hash="base",
        chainwork=f"{1 << 94:064x}",
        median_time=0,
        node="main",
    )


def block(height: int, name: str, prev: str, time: int) -> BlockConnected:
    return BlockConnected(
        height=height, hash=name, prev_hash=prev, time=time, median_time=time, bits=f"{BITS:08x}", difficulty=1.0,
        chainwork="00", tx_count=2, size=500, weight=2_000, inputs=1, outputs=3, output_value=7, subsidy=312_500_000,
        fees=height % 977, fee_rate_percentiles=[1, 2, 3, 4, 5], fee_rate_avg=3, coinbase_tag="/x/", pool=None,
        largest=[LargestTx(txid="aa", value=7)], node="main",
    )  # fmt: skip


def shown(changes: Changes) -> dict[str, Any]:
    """Views among the commands, by name."""
    arguments = changes.commands.arguments
    key = changes.commands.keys.index(KEYS.views(domains.CHAIN)) + 3
    found: dict[str, Any] = {}
    at = 0
    while at < len(arguments):
        length = int(arguments[at])
        if arguments[at + 1] == "HSET" and arguments[at + 2] == key:
            found[str(arguments[at + 3])] = msgspec.json.decode(arguments[at + 4])  # type: ignore[arg-type]
        at += length + 1
    return found


async def carry_out(client: redis.Client, changes: Changes) -> None:
    arguments, at = changes.commands.arguments, 0
    while at < len(arguments):
        length = int(arguments[at])
        name, key, *rest = arguments[at + 1 : at + 1 + length]
        await client.execute_command(name, changes.commands.keys[int(key) - 3], *rest)
        at += length + 1


@pytest.mark.parametrize("seed", range(6))
async def test_any_way_up_and_down_leaves_what_a_fresh_build_has(client: redis.Client, seed: int) -> None:
    chance = random.Random(seed)
    fold = ChainFold(KEYS)
    fold.apply(loaded())
    branch: list[BlockConnected] = []
    for step in range(300):
        if branch and chance.random() < 0.3:
            for _ in range(chance.randint(1, min(len(branch), 30))):
                top = branch.pop()
                fold.apply(BlockDisconnected(height=top.height, hash=top.hash, prev_hash=top.prev_hash, node="main"))
        height = 800_400 + len(branch)
        prev = branch[-1].hash if branch else "base"
        made = block(height, f"{step}-{height}", prev, 1_700_240_000 + 600 * len(branch) + chance.randint(-900, 900))
        branch.append(made)
        fold.apply(made)
        if chance.random() < 0.3:
            await carry_out(client, fold.flush(at(0)))
    fresh = ChainFold(KEYS)
    fresh.apply(loaded())
    for made in branch:
        fresh.apply(made)
    await carry_out(client, fold.flush(at(0)))
    restored = ChainFold(KEYS)
    await restored.restore(client)
    final = block(800_400 + len(branch), "final", branch[-1].hash, 1_700_900_000)
    expected = None
    for one in (fresh, fold, restored):
        one.apply(final)
        views = shown(one.flush(at(0)))
        assert set(views) == {"tip", "halving", "retarget", "blocks"}
        expected = expected or views
        assert views == expected


async def test_a_long_run_forgets_what_a_fresh_start_would_not_know(client: redis.Client) -> None:
    """State stays bounded, and the views stay those of a start at the tip."""
    fold = ChainFold(KEYS)
    fold.apply(loaded(count=4_032, first=800_000))
    prev = "base"
    for one in range(2_500):
        height = 804_032 + one
        fold.apply(block(height, str(height), prev, 1_702_419_200 + 600 * one))
        prev = str(height)
    long = shown(fold.flush(at(0)))
    await carry_out(client, fold.flush(at(0)))
    start = ChainFold(KEYS)
    base = 804_032 + 2_500 - 144
    headers = HeadersLoaded(
        height=base - 4_032,
        headers=[(1_700_000_000 + 600 * (height - 800_000), BITS) for height in range(base - 4_032, base)],
        tip_hash=str(base - 1),
        chainwork=f"{fold._headers.works[base - 1 - fold._headers.first]:064x}",
        median_time=0,
        node="main",
    )
    start.apply(headers)
    for height in range(base, base + 144):
        start.apply(block(height, str(height), str(height - 1), 1_700_000_000 + 600 * (height - 800_000)))
    assert shown(start.flush(at(0))) == long
    assert len(long["blocks"]["blocks"]) == 144
    assert len(fold._headers) <= 6_048
    assert len(fold._rows) <= 1_152


def test_what_does_not_stand_on_the_tip_is_a_gap() -> None:
    fold = ChainFold(KEYS)
    with pytest.raises(StreamGap):
        fold.apply(block(800_400, "a", "base", 1_700_240_000))
    fold.apply(loaded())
    with pytest.raises(StreamGap):
        fold.apply(block(800_400, "a", "another", 1_700_240_000))
    with pytest.raises(StreamGap):
        fold.apply(block(800_401, "a", "base", 1_700_240_000))
    fold.apply(block(800_400, "a", "base", 1_700_240_000))
    with pytest.raises(StreamGap):
        fold.apply(BlockDisconnected(height=800_400, hash="b", prev_hash="base", node="main"))


async def test_rates_are_the_nodes(tmp_path: Path) -> None:
    """getnetworkhashps, getdifficulty and chainwork, exactly."""
    node = RegtestNode(tmp_path / "node")
    async with Stack(tmp_path, node=node) as stack:
        clock = 1_790_000_000
        for one in range(160):
            await node.rpc("setmocktime", clock + 600 * one + (one * 7_919) % 500)
            await mine(node)
        await stack.start("chain-ingest", "chain-metrics")

        async def view() -> TipView | None:
            tip = await stack.view(TipView)
            return tip if tip is not None and tip.height == 160 else None

        tip = await until(view, 15, "the tip is shown")
        assert tip is not None
        assert tip.hashrate == await node.rpc("getnetworkhashps", 144)
        assert tip.hashrate_7d == await node.rpc("getnetworkhashps", 160)
        info = await node.rpc("getblockchaininfo")
        assert float(f"{tip.difficulty:.16g}") == info["difficulty"]  # the node writes 16 digits
        assert (tip.chainwork, tip.median_time) == (info["chainwork"], info["mediantime"])
        block_stats = await node.rpc("getblockstats", 160)
        assert tip.subsidy == block_stats["subsidy"]
