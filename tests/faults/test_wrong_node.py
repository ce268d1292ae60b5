"""States of the node that are no fault of ours: it restarts, lags, is slow, pruned, silent, or knows no fees."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local_run.node import RegtestNode
from shared import domains
from shared.views import HistoryView, MempoolView
from support import check
from support.slow_link import SlowLink
from support.spending import OTHER_SCRIPT, Built, chain, fan_out, give, mine, mined_coins, send
from support.stack import Stack, until
from support.states import Look, Table, wrong


async def filled(stack: Stack, count: int) -> list[Built]:
    """This many transactions in the node's mempool."""
    coins = await fan_out(stack.node, await mined_coins(stack.node, max(1, count // 5_000)), min(count, 5_000) // 10)
    transactions = [built for coin in coins for built in chain(coin, 10, [3, 20, 1.5, 60])]
    await send(stack.node, transactions)
    return transactions


def stale(seen: Look) -> bool:
    """Web says that it is not ready, and how old what it shows is."""
    return seen.ready == 503 and seen.age is not None and seen.age >= 20


def whole(seen: Look) -> bool:
    return seen.ready == 200 and seen.recommended == 200


async def shown(stack: Stack) -> MempoolView:
    view = await stack.view(MempoolView)
    assert view is not None
    return view


async def test_a_node_that_restarts_with_a_full_mempool(stack: Stack, states: Table, full: bool) -> None:
    """What was shown stays until the node has read its mempool again; nothing is published as removed."""
    count = 20_000 if full else 3_000
    transactions = await filled(stack, count)
    await stack.start()
    await stack.synced(60)
    before = await stack.redis.xlen(stack.keys.stream(domains.TXS))
    counts: set[int] = set()
    async with wrong(stack, states, f"the node restarts with {len(transactions):,} transactions") as state:
        await stack.node.stop()
        await state.shows(stale, 60, "stale while the node is away")
        await stack.node.start()
        state.mended()

        async def loaded() -> bool:
            counts.add((await shown(stack)).count)
            return bool((await stack.node.rpc("getmempoolinfo"))["loaded"])

        await until(loaded, 60, "the node has read its mempool")
        await state.well(60)
    assert counts == {len(transactions)}
    kinds = [kind for _, _, kind, _ in (await stack.entries(stack.keys.stream(domains.TXS)))[before:]]
    assert set(kinds) <= {"mempool.synced"}


async def test_a_preferred_node_that_comes_back_behind(tmp_path: Path, states: Table) -> None:
    """No block is disconnected for a node that has only not heard of the newest ones."""
    first, second = RegtestNode(tmp_path / "first"), RegtestNode(tmp_path / "second")
    async with second, Stack(tmp_path, node=first) as stack:
        await give(await mine(first, 3), first, second)
        stack.extra_env |= {**second.env("SPARE"), "NODES": "main,spare"}
        await stack.start()
        await stack.synced()
        async with wrong(stack, states, "the preferred node is 5 blocks behind, another is not") as state:
            await first.stop()
            missing = await mine(second, 5)

            async def followed() -> bool:
                entries = await stack.entries(stack.keys.stream(domains.BLOCKS))
                return bool(entries[-1][3]["hash"] == missing[-1])

            await until(followed, 30, "the spare node's blocks are published")
            await first.start()

            async def said() -> bool:
                health = await stack.health("chain-ingest")
                return health is not None and "5 blocks behind" in str(health.details.get("passed_over"))

            await until(said, 40, "the heartbeat says that the preferred node is behind")
            await state.shows(whole, 20, "the spare node serves meanwhile")
            await give(missing, second, first)
            state.mended()

            async def used() -> bool:
                health = await stack.health("chain-ingest")
                return health is not None and health.details.get("node") == "main"

            await state.well(60, used)
        kinds = [kind for _, _, kind, _ in await stack.entries(stack.keys.stream(domains.BLOCKS))]
        assert "block.disconnected" not in kinds


async def test_a_slow_link(stack: Stack, states: Table, full: bool) -> None:
    """Each block takes longer than any deadline on the whole: what has arrived is kept, and the chain advances."""
    coins = await fan_out(stack.node, await mined_coins(stack.node, 1), 400)
    await stack.start()
    await stack.synced()
    async with SlowLink(stack.node.rpc_port, 1e9) as link, wrong(stack, states, "a slow link to the node") as state:
        await stack.stop("chain-ingest")
        await stack.start("chain-ingest", MAIN_RPC_URL=link.url)
        await stack.synced()
        transactions = [built for coin in coins for built in chain(coin, 5, [3, 20])]
        link.rate = 20_000 if full else 100_000
        for part in range(8):
            await send(stack.node, transactions[part * 250 : (part + 1) * 250])
            await mine(stack.node)
        heights: list[int] = []

        async def advances() -> bool:
            height = int((await stack.entries(stack.keys.stream(domains.BLOCKS)))[-1][3]["height"])
            if not heights or height > heights[-1]:
                heights.append(height)
            return len(heights) >= 4

        await until(advances, 180, "blocks come one after the other")
        link.rate = 1e9
        await state.well(60)


async def test_a_node_that_pruned_while_we_were_away(tmp_path: Path, states: Table) -> None:
    """What nobody can give any more is named and left out; the rest goes on."""
    node = RegtestNode(tmp_path / "node", extra=["-fastprune", "-prune=1"])
    async with Stack(tmp_path, node=node) as stack:
        await mine(node, 500)
        await stack.start()
        await check.history_complete(stack)
        async with wrong(stack, states, "the node pruned blocks that we never saw") as state:
            await stack.stop("chain-ingest")
            await stack.stop("backfill")
            await mine(node, 700)
            await node.rpc("pruneblockchain", 900)
            await stack.start("chain-ingest", "backfill")
            state.mended()

            async def named() -> bool:
                view = await stack.view(HistoryView)
                return view is not None and view.complete and view.unavailable > 0

            await state.well(90, named)


@pytest.mark.parametrize("silent", [pytest.param("the node", marks=pytest.mark.full), "chain-ingest"])
async def test_what_freezes_is_not_called_live(stack: Stack, states: Table, silent: str) -> None:
    """A process that is stopped, not dead: its connections stand, and nothing comes.

    In its short form that of the node is looked at by tests/e2e/test_truth.py.
    """
    await mine(stack.node)
    await stack.start()
    await stack.synced()
    pid = stack.node.pid if silent == "the node" else stack.pid(silent)
    async with wrong(stack, states, f"{silent} is frozen") as state:
        os.kill(pid, signal.SIGSTOP)
        try:
            await state.shows(stale, 60, "not ready, and ageing")
        finally:
            os.kill(pid, signal.SIGCONT)
        await state.well(60)


async def test_a_node_that_takes_no_transactions(tmp_path: Path, states: Table) -> None:
    """Its mempool is empty, and that says nothing about the network's."""
    node = RegtestNode(tmp_path / "node", extra=["-blocksonly"])
    async with Stack(tmp_path, node=node) as stack:
        await mine(node, 3)
        await stack.start()
        async with wrong(stack, states, "the node runs with -blocksonly") as state:
            seen = await state.shows(
                lambda seen: seen.ready == 200 and seen.as_of is not None and seen.recommended == 503, 30, "no fees"
            )
            assert seen.precise == 503
            health = await stack.health("chain-ingest")
            assert health is not None
            assert "-blocksonly" in health.reason
            await state.well(30)


async def test_a_first_start_without_a_node(stack: Stack, states: Table) -> None:
    """Nothing is known: nothing is told, least of all zero or one satoshi a byte."""
    await mine(stack.node)
    cookie = stack.folder / "cookie"  # the node removes its own when it stops
    cookie.symlink_to(stack.node.cookie_file)
    stack.extra_env["MAIN_RPC_COOKIE_FILE"] = str(cookie)
    await stack.node.stop()
    await stack.start()
    async with wrong(stack, states, "a first start, the node is away") as state:
        seen = await state.shows(lambda seen: seen.recommended == 503 and seen.precise == 503, 20, "no fees")
        assert seen.as_of is None
        await stack.node.start()
        await state.well(60)


async def test_a_reorganisation_is_no_lag(stack: Stack, states: Table) -> None:
    """A branch with more work is followed at once."""
    await mine(stack.node, 10)
    await stack.start()
    await stack.synced()
    async with wrong(stack, states, "a reorganisation of 3 blocks") as state:
        await stack.node.rpc("invalidateblock", await stack.node.rpc("getblockhash", 8))
        await mine(stack.node, 4, script=OTHER_SCRIPT)
        await state.well(30)
    kinds = [kind for _, _, kind, _ in await stack.entries(stack.keys.stream(domains.BLOCKS))]
    assert kinds.count("block.disconnected") == 3


@pytest.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[Stack]:
    """A whole chain whose newest block is months old."""
    past = int(time.time()) - 90 * 86_400
    node = RegtestNode(tmp_path / "node", mocktime=past)
    async with Stack(tmp_path, node=node) as stack:
        await mine(node, 20)
        node.mocktime = None
        await node.restart()
        yield stack


async def test_a_whole_chain_without_a_new_block_for_months(quiet: Stack, states: Table) -> None:
    """`initialblockdownload` stays true, yet nothing is missing: it is shown, with its age."""
    await quiet.start()
    async with wrong(quiet, states, "no new block for 90 days, nothing missing") as state:
        await state.shows(lambda seen: seen.ready == 200 and seen.page == 200, 30, "shown")
        await state.well(30)
