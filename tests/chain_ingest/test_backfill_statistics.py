"""Statistics of past blocks against what the node itself says of them, decoded; over REST and over RPC."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from chain_ingest.backfill.app import run
from chain_ingest.node import Node
from local_run import mining
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.bands import VALUE_BOUNDS
from shared.events.backfill import MeasuredBlock
from shared.events.blocks import LargestTx
from shared.keys import CLAIM_MS, Keys
from shared.networks import COIN
from support import spending
from support.each import each
from support.ledger import running
from support.oracle import value_band
from support.stack import until
from support.standin_history import StandInHistory

KEYS = Keys("regtest")
DESCRIPTOR = f"raw({spending.SCRIPT.hex()})"
MINER = b"\x00\x14" + bytes(range(20))
"""Where a pool's blocks pay to: a script that has an address."""

ENV = {"BACKFILL_LOAD": "100"}
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def mine_these(node: RegtestNode, transactions: list[spending.Built]) -> None:
    """A block of exactly these, whatever the mempool's rules are."""
    info = await node.rpc("getdescriptorinfo", DESCRIPTOR)
    await node.rpc("generateblock", info["descriptor"], [built.raw for built in transactions])


async def make_chain(node: RegtestNode) -> None:
    """Empty blocks, full ones, ties at the end of the largest, outputs of every value, tags of miners."""
    first, second, third = await spending.mined_coins(node, 3)
    coins = await spending.fan_out(node, [first], 80)
    alike = [spending.build([coin], [coin.value - 1_000]) for coin in coins]
    await mine_these(node, alike)  # eighty of the same value: thirty of them are none of the largest
    later = [built.outputs[0] for built in alike]
    some = [spending.build([coin], [coin.value - 500 * at - 300]) for at, coin in enumerate(later[:60])]
    many = [spending.build(later[60:80], [0, 1, 999, 1_000, 12_345, 150_000, 2_000_000, 30_000_000])]
    values = [bound for bound in VALUE_BOUNDS[1:] if bound <= 10 * COIN]
    wide = [spending.build([second], [*values, *(bound - 1 for bound in values)])]
    await mine_these(node, some + many + wide)
    await spending.mine(node, 3)
    for tag in ("/ViaBTC/", "/nobody/", "< OCEAN.XYZ >"):
        await mining.mine(node, spending.SCRIPT, tag)
    await mining.mine(node, MINER, "/nobody/")
    chained = spending.chain(third, 20, [1, 30, 5])
    await mine_these(node, chained)
    await spending.mine(node, 30)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["rest", "rpc"])
async def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    extra = () if request.param == "rest" else ("-rest=0",)
    async with RegtestNode(tmp_path_factory.mktemp("node"), extra=extra) as it:
        await make_chain(it)
        yield it


class Output(msgspec.Struct):
    value: Decimal


class Decoded(msgspec.Struct):
    txid: str
    size: int
    vin: list[Any]
    vout: list[Output]

    @property
    def values(self) -> list[int]:
        return [int(out.value * COIN) for out in self.vout]


class Verbose(msgspec.Struct):
    hash: str
    height: int
    time: int
    size: int
    weight: int
    nTx: int
    tx: list[Decoded]


async def expected(node: RegtestNode, block_hash: str, pool: str | None) -> MeasuredBlock:
    """The same statistics from `getblock HASH 2`, and from `getblockstats` what needs spent outputs."""
    block: Verbose = await node.rpc("getblock", block_hash, 2, kind=Verbose)
    stats: dict[str, Any] = {"totalfee": 0, "feerate_percentiles": [0] * 5, "avgfeerate": 0}
    if block.height:
        stats = await node.rpc("getblockstats", block_hash)
    bands = [0] * len(VALUE_BOUNDS)
    others = block.tx[1:]
    for value in (value for one in others for value in one.values):
        bands[value_band(value)] += 1
    values = sorted((-sum(one.values), one.txid) for one in others)[:50]
    return MeasuredBlock(
        height=block.height,
        hash=block.hash,
        time=block.time,
        tx_count=block.nTx,
        size=block.size,
        weight=block.weight,
        inputs=sum(len(one.vin) for one in others),
        outputs=sum(len(one.vout) for one in block.tx),
        output_value=sum(sum(one.values) for one in others),
        fees=stats["totalfee"],
        fee_rate_percentiles=stats["feerate_percentiles"],
        fee_rate_avg=stats["avgfeerate"],
        output_bands=bands,
        pool=pool,
        largest=[LargestTx(txid=txid, value=-value) for value, txid in values],
    )


@pytest.fixture
def over_rpc(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Blocks whose bytes were asked for over RPC."""
    asked: list[str] = []
    original = Node.raw_block

    async def noted(self: Node, block_hash: str) -> bytes:
        asked.append(block_hash)
        return await original(self, block_hash)

    monkeypatch.setattr(Node, "raw_block", noted)
    return asked


async def test_every_block_says_what_the_node_says_of_it(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client, over_rpc: list[str]
) -> None:
    history = StandInHistory(connected, node, KEYS)
    await history.begin()
    async with running(server.url, run, "backfill", **node.env(), **ENV):
        await history.finish()
    assert sorted(history.measured) == list(range(history.height + 1))
    assert set(history.published.values()) == {1}
    pools = {"/ViaBTC/": "ViaBTC", "< OCEAN.XYZ >": "OCEAN"}
    named = 0
    for height, block_hash in enumerate(history.hashes):
        coinbase = (await node.rpc("getblock", block_hash, 2))["tx"][0]["vin"][0]["coinbase"]
        pool = next((name for tag, name in pools.items() if tag.encode().hex() in coinbase), None)
        named += pool is not None
        assert history.measured[height] == await expected(node, block_hash, pool), height
    assert named == 2
    ties = max(history.measured.values(), key=lambda block: sum(block.output_bands) if block.tx_count == 81 else 0)
    assert (len(ties.largest), len({one.value for one in ties.largest})) == (50, 1)  # else nothing was tied
    assert each(sum(block.output_bands[band] for block in history.measured.values()) for band in range(9))
    genesis = history.measured[0]
    assert (genesis.tx_count, genesis.size, genesis.weight, genesis.outputs) == (1, 285, 1140, 1)
    if "-rest=0" in node.extra:
        assert sorted(over_rpc) == sorted(history.hashes)
    else:
        assert not over_rpc


async def test_the_newest_come_first_and_a_claim_outlives_its_batch(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    history = StandInHistory(connected, node, KEYS)
    await history.begin(measured_from=100)
    async with running(server.url, run, "backfill", **node.env(), **ENV):
        await history.finish()
        for number in range(100 // 24 + 1):
            assert 0 < await connected.pttl(KEYS.claim(f"blocks:{number}")) <= CLAIM_MS
    order = [*range(96, 100), *range(72, 96), *range(48, 72), *range(24, 48), *range(24)]
    assert list(history.measured) == order


async def test_an_address_that_is_paid_names_the_pool(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client, tmp_path: Path
) -> None:
    address = (await node.rpc("decodescript", MINER.hex()))["address"]
    file = tmp_path / "pools.json"
    file.write_text(
        json.dumps([{"name": "By address", "addresses": [address]}, {"name": "By tag", "tags": ["nobody"]}])
    )
    history = StandInHistory(connected, node, KEYS)
    await history.begin()
    async with running(server.url, run, "backfill", **node.env(), **ENV, POOLS_FILE=str(file)):
        await history.finish()
    found = sorted(block.pool for block in history.measured.values() if block.pool)
    assert found == ["By address", "By tag"]


async def test_a_block_that_left_the_best_chain_is_not_missed(
    node: RegtestNode, server: EmbeddedValkey, connected: redis.Client
) -> None:
    """The view may be behind the node: heights that are gone, and hashes that are others now."""
    history = StandInHistory(connected, node, KEYS)
    await history.begin(measured_from=120)
    gone = history.hashes[-5]
    await node.rpc("invalidateblock", gone)
    try:
        assert await node.rpc("getblockcount") == history.height - 5
        history.known -= set(range(history.height - 40, history.height + 1))
        await history.show()
        async with running(server.url, run, "backfill", **node.env(), **ENV) as it:

            async def rest() -> bool:
                await history.fold()
                return all(height in history.measured for height in range(100))

            await until(rest, 30, "what the node has is measured")
            assert it.health.state == "ok"
        assert each(block.hash == history.hashes[block.height] for block in history.measured.values())
        assert max(history.measured) <= history.height - 5
    finally:
        await node.rpc("reconsiderblock", gone)
