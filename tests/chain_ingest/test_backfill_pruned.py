"""A pruned node: what it has no more is said once, what it has is measured."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chain_ingest.backfill.app import run
from chain_ingest.backfill.live import LivePath
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.keys import Keys
from support import spending
from support.ledger import running
from support.standin_history import StandInHistory

KEYS = Keys("regtest")
HEIGHT = 1_000
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    # -fastprune makes files of 64 KiB, so that there is one to delete; -prune=1 leaves pruning to the call.
    async with RegtestNode(tmp_path_factory.mktemp("node"), extra=["-fastprune", "-prune=1"]) as it:
        await spending.mine(it, HEIGHT)
        await it.rpc("pruneblockchain", 600)
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def connected(valkey: EmbeddedValkey) -> AsyncIterator[redis.Client]:
    it = redis.connect(valkey.url)
    await it.flushall()
    yield it
    await it.aclose()


async def test_what_is_pruned_is_said_once(node: RegtestNode, valkey: EmbeddedValkey, connected: redis.Client) -> None:
    lowest = (await node.rpc("getblockchaininfo"))["pruneheight"]
    assert 0 < lowest <= 601
    history = StandInHistory(connected, node, KEYS)
    await history.begin(first_header=900)
    async with running(valkey.url, run, "backfill", **node.env(), BACKFILL_LOAD="100") as it:
        await history.finish()
        assert it.health.state == "ok"
    assert history.unavailable == [(0, lowest - 1)]
    assert sorted(history.measured) == list(range(lowest, HEIGHT + 1))
    assert len(history.chunks[-1].headers) == 900  # the headers stay


async def test_what_is_pruned_meanwhile_is_found_out_by_asking(
    node: RegtestNode, valkey: EmbeddedValkey, connected: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LivePath, "pruned_below", property(lambda self: 0, lambda self, value: None), raising=False)
    lowest = (await node.rpc("getblockchaininfo"))["pruneheight"]
    history = StandInHistory(connected, node, KEYS)
    await history.begin(measured_from=lowest + 30)
    async with running(valkey.url, run, "backfill", **node.env(), BACKFILL_LOAD="100"):
        await history.finish()
    assert sorted(history.measured) == list(range(lowest, lowest + 30))
    gone = [height for first, last in history.unavailable for height in range(first, last + 1)]
    # Genesis has no statistics to ask for; its bytes are gone too.
    assert sorted(gone) == list(range(lowest))
