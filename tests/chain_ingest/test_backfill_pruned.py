"""A pruned node: what it has no more is said once, what it has is measured."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from chain_history.app import run as run_history
from chain_ingest.app import run as run_ingest
from chain_ingest.backfill import app, batches, blocks, claims, others
from chain_ingest.backfill.app import run
from chain_ingest.backfill.live import LivePath
from chain_ingest.source import Source
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.keys import Keys
from shared.service import Service
from shared.views import HistoryView
from support import spending
from support.damage import damage_block
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
    # -fastprune makes files of 64 KiB, so that there is one to delete; -prune=1 leaves pruning to the call.
    async with RegtestNode(tmp_path_factory.mktemp("node"), extra=["-fastprune", "-prune=1"]) as it:
        await copy(whole, it)
        await it.rpc("pruneblockchain", 600)
        yield it


async def copy(source: RegtestNode, to: RegtestNode) -> None:
    """Every block of one node to another."""
    hashes = await source.batch([("getblockhash", (height,)) for height in range(1, HEIGHT + 1)], kind=str)
    for block in await source.batch([("getblock", (one, 0)) for one in hashes], kind=str):
        await to.rpc("submitblock", block)


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


# --- what was given up, or not yet, and a node that has it comes ------------------------------------------


@pytest.fixture
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(app, "LOOK_SECONDS", 0.3, raising=False)
    monkeypatch.setattr(others, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(others, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(batches, "REMEMBERED_SECONDS", 0.5)
    monkeypatch.setattr(claims, "CLAIM_MS", 600)


@contextlib.asynccontextmanager
async def dashboard(url: str, node: RegtestNode, **env: str) -> AsyncIterator[Service]:
    """The real chain-ingest and chain-history of this node, and the backfill with these nodes."""
    async with (
        running(url, run_ingest, "chain-ingest", **node.env()),
        running(url, run_history, "chain-history", BITCOIN_NETWORK="regtest"),
        running(url, run, "backfill", **env, BACKFILL_LOAD="100") as it,
    ):
        yield it


async def shown(client: redis.Client) -> HistoryView | None:
    raw = await client.hget(KEYS.views(domains.HISTORY), "history")
    return msgspec.json.decode(raw, type=HistoryView) if raw else None


async def is_whole(client: redis.Client) -> None:
    """Return once every block is measured, and nothing is called unavailable."""

    async def whole() -> bool:
        view = await shown(client)
        return view is not None and view.complete and (view.measured, view.unavailable) == (HEIGHT + 1, 0)

    await until(whole, 40, "every block is measured")
    view = await shown(client)
    assert view is not None
    assert (view.missing, view.given_up, view.measured_from) == ([], [], 0)


@pytest.mark.usefixtures("swift")
@pytest.mark.parametrize("order", ["pruned,archive", "archive,pruned"])
async def test_what_was_given_up_is_fetched_from_a_node_that_comes_back(
    order: str,
    tmp_path: Path,
    node: RegtestNode,
    whole: RegtestNode,
    server: EmbeddedValkey,
    connected: redis.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "BETTER_SECONDS", 1.0)
    lowest = (await node.rpc("getblockchaininfo"))["pruneheight"]
    archive = RegtestNode(tmp_path / "archive")
    async with archive:
        await copy(whole, archive)
    env = {**node.env("PRUNED"), **archive.env("ARCHIVE"), "NODES": order}
    async with dashboard(server.url, node, **env):

        async def given_up() -> bool:
            view = await shown(connected)
            return view is not None and view.complete and view.unavailable > 0

        await until(given_up, 40, "what only the stopped node has is given up")
        view = await shown(connected)
        assert view is not None
        assert (view.unavailable, view.given_up) == (lowest, [(0, lowest - 1)])
        assert view.measured == HEIGHT + 1 - lowest
        async with archive:
            await is_whole(connected)


@pytest.mark.usefixtures("swift")
@pytest.mark.parametrize("order", ["pruned,archive", "archive,pruned"])
async def test_a_node_that_downloads_the_chain_is_waited_for_without_limit(
    order: str, tmp_path: Path, node: RegtestNode, whole: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    """Whatever patience there is with silent ones; and what the other node has is not held up by it."""
    lowest = (await node.rpc("getblockchaininfo"))["pruneheight"]
    async with RegtestNode(tmp_path / "archive") as archive:
        env = {**node.env("PRUNED"), **archive.env("ARCHIVE"), "NODES": order}
        async with dashboard(server.url, node, **env) as it:

            async def waits() -> bool:
                view = await shown(connected)
                asked = "node archive is downloading the chain" in str(it.health.details.get("awaited"))
                return view is not None and view.missing == [(0, lowest - 1)] and asked

            await until(waits, 40, "all is measured but what only the node that downloads will have")
            view = await shown(connected)
            assert view is not None
            assert view.unavailable == 0
            await copy(whole, archive)
            await is_whole(connected)


@pytest.mark.usefixtures("swift")
async def test_what_cannot_be_read_is_given_up_once_and_fetched_where_a_node_can(
    tmp_path: Path,
    whole: RegtestNode,
    server: EmbeddedValkey,
    connected: redis.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blocks, "AGAIN_SECONDS", 1.0)
    hashes_of, tries = Source.hashes, 0

    async def counted(self: Source, first: int, last: int) -> list[str]:
        nonlocal tries
        tries += first <= 500 <= last
        return await hashes_of(self, first, last)

    monkeypatch.setattr(Source, "hashes", counted)
    spare = RegtestNode(tmp_path / "spare")
    async with spare:
        await copy(whole, spare)
    async with RegtestNode(tmp_path / "damaged") as damaged:
        await copy(whole, damaged)
        await damage_block(damaged, await damaged.rpc("getblockhash", 500))
        history = StandInHistory(connected, damaged, KEYS)
        await history.begin(measured_from=600)
        async with (
            running(server.url, run, "backfill", **two_nodes(damaged, spare), BACKFILL_LOAD="100"),
            history.folding(),
        ):

            async def given_up() -> bool:
                return history.complete

            await until(given_up, 40, "the block is given up")
            tries = 0

            async def tried_again() -> bool:
                return tries >= 2

            await until(tried_again, 20, "it is tried again")
            assert history.unavailable == [(500, 500)]
            async with spare:

                async def measured() -> bool:
                    return not history.gone

                await until(measured, 20, "the block is measured")
        assert history.unavailable == [(500, 500)]
        assert history.published[500] == 1


async def test_a_node_that_is_gone_is_not_asked_for_every_batch(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    """Some 17 batches, none of which waits for it."""
    lowest = (await node.rpc("getblockchaininfo"))["pruneheight"]
    asked = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.close()

    history = StandInHistory(connected, node, KEYS)
    await history.begin()
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as gone:
        port = gone.sockets[0].getsockname()[1]
        env = {**two_nodes(node, node), "SECOND_RPC_URL": f"http://127.0.0.1:{port}"}
        async with running(server.url, run, "backfill", **env, BACKFILL_LOAD="100"), history.folding():

            async def measured() -> bool:
                return bool(len(history.missing) == lowest)

            await until(measured, 30, "all is measured that the first node has")
    assert len(history.measured) > 300
    assert 1 <= asked <= 3  # a request may be sent once more
