"""Headers of the past, over REST and over RPC, on a real node; the test plays chain-history's part."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio

from chain_ingest.backfill.app import run
from chain_ingest.backfill.headers import CHUNK, linked
from chain_ingest.node import Node
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.keys import CLAIM_MS, Keys
from support import spending
from support.ledger import running
from support.stack import until
from support.standin_history import StandInHistory

KEYS = Keys("regtest")
HEIGHT = 2_300
FIRST_HEADER = 2_250
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["rest", "rpc"])
async def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    extra = () if request.param == "rest" else ("-rest=0",)
    async with RegtestNode(tmp_path_factory.mktemp("node"), extra=extra) as it:
        await spending.mine(it, HEIGHT)
        yield it


@pytest.fixture
def over_rpc(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many headers each RPC request brought."""
    counts: list[int] = []
    original = Node.raw_headers

    async def counted(self: Node, hashes: list[str]) -> list[bytes]:
        counts.append(len(hashes))
        return await original(self, hashes)

    monkeypatch.setattr(Node, "raw_headers", counted)
    return counts


ENV = {"BACKFILL_LOAD": "100"}


async def test_chunks_link_down_to_genesis(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client, over_rpc: list[int]
) -> None:
    history = StandInHistory(connected, node, KEYS)
    await history.begin(first_header=FIRST_HEADER, measured_from=FIRST_HEADER)
    async with running(server.url, run, "backfill", **node.env(), **ENV):

        async def both() -> bool:
            return bool(await connected.xlen(KEYS.stream(domains.BACKFILL)) == 2)

        await until(both, 20, "both chunks are published, though nothing is folded")

        # so that nobody does the same again before it is folded
        assert 0 < await connected.pttl(KEYS.claim("headers")) <= CLAIM_MS
        await history.fold()
    assert history.first_header == 0
    assert history.floor_hash == ""
    assert [(chunk.height, len(chunk.headers)) for chunk in history.chunks] == [(250, CHUNK), (0, 250)]
    for upper, lower in pairwise(history.chunks):
        assert upper.prev_hash == lower.tip_hash
    found = [header for chunk in history.chunks[::-1] for header in chunk.headers]
    answers: list[dict[str, Any]] = await node.batch([("getblockheader", (one,)) for one in history.hashes])
    expected = [(one["time"], int(one["bits"], 16), one["hash"][-16:]) for one in answers[:FIRST_HEADER]]
    assert found == expected
    if "-rest=0" in node.extra:
        assert sum(over_rpc) == FIRST_HEADER
        assert max(over_rpc) <= 200
    else:
        assert not over_rpc


async def test_below_a_hash_that_the_node_does_not_have_nothing_is_published(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    history = StandInHistory(connected, node, KEYS)
    await history.begin(first_header=2_200, measured_from=2_290)
    history.floor_hash = "ab" * 32
    await history.show()
    async with running(server.url, run, "backfill", **node.env(), **ENV):

        async def measured() -> bool:
            await history.fold()
            return not history.missing

        await until(measured, 30, "statistics go on meanwhile")
        assert not history.chunks
        assert not await connected.exists(KEYS.claim("headers"))
        history.floor_hash = history.hashes[2_199]
        await history.show()

        async def down() -> bool:
            await history.fold()
            return history.first_header == 0

        await until(down, 30, "headers once the view fits the node")


async def test_while_another_worker_brings_headers_this_one_measures(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    history = StandInHistory(connected, node, KEYS)
    await history.begin(first_header=2_200)
    await connected.set(KEYS.claim("headers"), "somebody else")
    async with running(server.url, run, "backfill", **node.env(), **ENV):

        async def measured() -> bool:
            await history.fold()
            return not history.missing

        await until(measured, 30, "statistics of the blocks whose headers are known")
        assert history.first_header == 2_200
        assert not history.chunks
        assert await connected.get(KEYS.claim("headers")) == b"somebody else"
        await connected.delete(KEYS.claim("headers"))  # as if its time had run out

        async def down() -> bool:
            await history.fold()
            return history.first_header == 0

        await until(down, 30, "this worker brings the headers")


async def test_a_history_that_begins_anew_is_served_anew(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    history = StandInHistory(connected, node, KEYS)
    await history.begin(first_header=300, measured_from=300)
    async with running(server.url, run, "backfill", **node.env(), **ENV):

        async def down() -> bool:
            await history.fold()
            return history.first_header == 0

        await until(down, 20, "headers from 300 down")
        await history.begin(first_header=2_250, measured_from=2_250)
        await connected.delete(KEYS.claim("headers"))  # as if its time had run out
        await until(down, 20, "headers from 2,250 down")


async def test_only_what_links_is_an_event(node: RegtestNode) -> None:
    hashes = await node.batch([("getblockhash", (height,)) for height in range(20, 26)], kind=str)
    answers = await node.batch([("getblockheader", (one, False)) for one in hashes], kind=str)
    headers = [bytes.fromhex(answer) for answer in answers]
    whole = b"".join(headers)
    event = linked(20, whole, hashes[-1])
    assert event is not None
    assert (event.height, event.tip_hash, len(event.headers)) == (20, hashes[-1], 6)
    assert event.prev_hash == (await node.rpc("getblockheader", hashes[0]))["previousblockhash"]
    assert linked(20, whole, hashes[-2]) is None
    assert linked(20, b"", hashes[-1]) is None
    assert linked(20, b"".join([*headers[:2], *headers[3:]]), hashes[-1]) is None
    assert linked(20, whole[:-1], hashes[-1]) is None
    turned = bytearray(whole)
    turned[80 + 70] ^= 1  # a bit of a time
    assert linked(20, bytes(turned), hashes[-1]) is None
