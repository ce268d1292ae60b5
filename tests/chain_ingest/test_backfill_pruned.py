"""A pruned node: what it has no more is said once, what it has is measured."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chain_ingest.backfill import others
from chain_ingest.backfill.app import run
from chain_ingest.backfill.live import LivePath
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.keys import Keys
from support import spending
from support.ledger import running
from support.stack import until
from support.standin_history import StandInHistory

KEYS = Keys("regtest")
HEIGHT = 1_000
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    """A node that has every block."""
    async with RegtestNode(tmp_path_factory.mktemp("whole")) as it:
        await spending.mine(it, HEIGHT)
        yield it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory, whole: RegtestNode) -> AsyncIterator[RegtestNode]:
    """A pruned node of the same chain."""
    hashes = await whole.batch([("getblockhash", (height,)) for height in range(1, HEIGHT + 1)], kind=str)
    blocks = await whole.batch([("getblock", (one, 0)) for one in hashes], kind=str)
    # -fastprune makes files of 64 KiB, so that there is one to delete; -prune=1 leaves pruning to the call.
    async with RegtestNode(tmp_path_factory.mktemp("node"), extra=["-fastprune", "-prune=1"]) as it:
        for block in blocks:
            await it.rpc("submitblock", block)
        await it.rpc("pruneblockchain", 600)
        yield it


def two_nodes(first: RegtestNode, second: RegtestNode) -> dict[str, str]:
    return {**first.env("FIRST"), **second.env("SECOND"), "NODES": "first,second"}


async def test_what_is_pruned_is_said_once(node: RegtestNode, server: EmbeddedValkey, connected: redis.Client) -> None:
    lowest = (await node.rpc("getblockchaininfo"))["pruneheight"]
    assert 0 < lowest <= 601
    history = StandInHistory(connected, node, KEYS)
    await history.begin(first_header=900)
    async with running(server.url, run, "backfill", **node.env(), BACKFILL_LOAD="100") as it:
        await history.finish()
        assert it.health.state == "ok"
    assert history.unavailable == [(0, lowest - 1)]
    assert sorted(history.measured) == list(range(lowest, HEIGHT + 1))
    assert len(history.chunks[-1].headers) == 900  # the headers stay


async def test_what_is_pruned_meanwhile_is_found_out_by_asking(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LivePath, "pruned_below", property(lambda self: 0, lambda self, value: None), raising=False)
    lowest = (await node.rpc("getblockchaininfo"))["pruneheight"]
    history = StandInHistory(connected, node, KEYS)
    await history.begin(measured_from=lowest + 30)
    async with running(server.url, run, "backfill", **node.env(), BACKFILL_LOAD="100"):
        await history.finish()
    assert sorted(history.measured) == list(range(lowest, lowest + 30))
    gone = [height for first, last in history.unavailable for height in range(first, last + 1)]
    # Genesis has no statistics to ask for; its bytes are gone too.
    assert sorted(gone) == list(range(lowest))


async def test_another_node_is_asked_for_what_the_preferred_one_has_pruned(
    node: RegtestNode, whole: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    """The second has everything: nothing is given up, whatever the preferred one has pruned."""
    history = StandInHistory(connected, node, KEYS)
    await history.begin(first_header=900)
    async with running(server.url, run, "backfill", **two_nodes(node, whole), BACKFILL_LOAD="100"):
        await history.finish()
    assert history.unavailable == []
    assert sorted(history.measured) == list(range(HEIGHT + 1))
    assert set(history.published.values()) == {1}


async def test_a_silent_node_is_waited_for_before_anything_is_given_up(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    lowest = (await node.rpc("getblockchaininfo"))["pruneheight"]
    history = StandInHistory(connected, node, KEYS)
    await history.begin()
    silent = {**two_nodes(node, node), "SECOND_RPC_URL": "http://127.0.0.1:9"}
    async with running(server.url, run, "backfill", **silent, BACKFILL_LOAD="100") as it, history.folding():

        async def waits() -> bool:
            return len(history.missing) == lowest and "node second" in str(it.health.details.get("awaited"))

        await until(waits, 30, "all is measured but what the silent node may have")
        assert history.unavailable == []
        monkeypatch.setattr(others, "PATIENCE_SECONDS", 0.0)

        async def given_up() -> bool:
            return history.complete

        await until(given_up, 10, "nobody is waited for any more")
    assert history.unavailable == [(0, lowest - 1)]
