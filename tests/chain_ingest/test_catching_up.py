"""After a long pause: a new beginning instead of every block that was missed, in few calls, with streams kept short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chain_ingest import app
from chain_ingest import chain as chain_module
from chain_ingest.app import run
from chain_ingest.chain import FIRST_BLOCKS
from chain_ingest.follow import Follower
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.rpc import RpcClient
from shared.views import BlocksView, HistoryView, TipView
from support import check
from support.feed import KEYS, entries, published
from support.ledger import running
from support.spending import mine
from support.stack import Stack, until


@pytest.mark.parametrize(
    ("missed", "begins"), [(60, False), (FIRST_BLOCKS, False), (FIRST_BLOCKS + 1, True), (400, True)]
)
async def test_what_was_missed_takes_few_calls_and_few_blocks(
    tmp_path: Path,
    valkey: EmbeddedValkey,
    client: redis.Client,
    monkeypatch: pytest.MonkeyPatch,
    missed: int,
    begins: bool,
) -> None:
    requests = 0
    post = RpcClient._post

    async def counted(self: RpcClient, body: bytes, *rest: Any) -> bytes:
        nonlocal requests
        requests += b"getblockheader" in body or b"getblockhash" in body
        return await post(self, body, *rest)

    async with RegtestNode(tmp_path / "node") as node:
        await mine(node, 20)
        async with running(valkey.url, run, "chain-ingest", **node.env()):
            await published(client, 20)
        before = len(await entries(client, KEYS.stream(domains.BLOCKS)))
        await mine(node, missed)
        monkeypatch.setattr(RpcClient, "_post", counted)
        async with running(valkey.url, run, "chain-ingest", **node.env()):
            await published(client, 20 + missed)
        new = await entries(client, KEYS.stream(domains.BLOCKS), before)
    assert requests <= 12
    heights = [data["height"] for _, kind, data in new if kind == "block.connected"]
    if begins:
        assert new[0][1] == "headers.loaded"
        assert heights == list(range(20 + missed - FIRST_BLOCKS + 1, 20 + missed + 1))
    else:
        assert heights == list(range(21, 20 + missed + 1))
    assert len(new) == len(heights) + begins


async def test_a_beginning_reaches_down_to_what_was_published_before(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the pause: readers that know those blocks need not forget them."""
    monkeypatch.setattr(chain_module, "FIRST_BLOCKS", 4)
    monkeypatch.setattr(chain_module, "FIRST_HEADERS", 6)
    async with RegtestNode(tmp_path / "node") as node:
        for height, first in ((20, 11), (40, 20), (43, None)):
            await mine(node, height - await node.rpc("getblockcount"))
            before = len(await entries(client, KEYS.stream(domains.BLOCKS)))
            async with running(valkey.url, run, "chain-ingest", **node.env()):
                await published(client, height)
            _, kind, data = (await entries(client, KEYS.stream(domains.BLOCKS)))[before]
            assert (kind, data["height"]) == (("headers.loaded", first) if first else ("block.connected", 41))
        monkeypatch.setattr(chain_module, "JOINED", 10)
        await mine(node, 30)
        before = len(await entries(client, KEYS.stream(domains.BLOCKS)))
        async with running(valkey.url, run, "chain-ingest", **node.env()):
            await published(client, 73)
        assert (await entries(client, KEYS.stream(domains.BLOCKS)))[before][2]["height"] == 64  # too far below


async def test_streams_are_cut_although_the_mempool_never_equals_the_nodes(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def differs(self: Follower, *seen: object) -> str:
        return ""

    monkeypatch.setattr(Follower, "_compare", differs)
    monkeypatch.setattr(app, "BLOCKS_KEEP", 10, raising=False)
    monkeypatch.setattr(app, "TRIM_SECONDS", 0.2, raising=False)
    async with RegtestNode(tmp_path / "node") as node:
        await mine(node, 144)
        async with running(valkey.url, run, "chain-ingest", **node.env()):
            await published(client, 144)

            async def short() -> bool:
                return int(await client.xlen(KEYS.stream(domains.BLOCKS))) <= 30

            await until(short, 10, "the stream is short")


async def test_the_folds_take_such_a_beginning_well(tmp_path: Path) -> None:
    """chain-history keeps what it has below, chain-metrics shows what a fresh build shows."""
    async with Stack(tmp_path) as stack:
        await mine(stack.node, 200)
        await stack.start(*check.LIVE, "backfill", BACKFILL_LOAD="100")
        await check.history_complete(stack)
        await stack.stop("backfill")
        await stack.stop("chain-ingest")
        await mine(stack.node, 300)
        await stack.start("chain-ingest")
        await stack.synced()

        async def folded() -> HistoryView | None:
            view = await stack.view(HistoryView)
            return view if view is not None and view.height == 500 and view.measured >= 201 + FIRST_BLOCKS else None

        view = await until(folded, 20, "the history stands on the new beginning")
        assert view is not None
        assert (view.first_header, view.measured) == (0, 201 + FIRST_BLOCKS)
        assert list(view.missing) == [(201, 500 - FIRST_BLOCKS)]
        assert (await stack.view(TipView)).height == 500  # type: ignore[union-attr]
        assert len((await stack.view(BlocksView)).blocks) == 144  # type: ignore[union-attr]
        await check.equals_fresh_build(stack, tmp_path / "fresh")
