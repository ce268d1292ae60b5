"""Why transactions leave: what a real node does, and what the stream says of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from chain_ingest.app import run
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.events.mempool import TxRemoved
from shared.keys import Keys
from shared.service import Service
from support import spending
from support.ledger import running
from support.spending import Built, Coin, build
from support.stack import until

KEYS = Keys("regtest")
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Parts:
    """A node with few and short-lived places in its mempool, chain-ingest beside it, and coins to spend."""

    def __init__(self, node: RegtestNode, client: redis.Client, service: Service, coins: list[Coin]) -> None:
        self.node = node
        self.redis = client
        self.service = service
        self.coins = coins

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        found = await self.redis.xrange(KEYS.stream(domains.TXS))
        return [(fields[b"type"].decode(), msgspec.json.decode(fields[b"data"])) for _, fields in found]

    async def added(self, txid: str) -> dict[str, Any]:
        """The event of a transaction's arrival, awaited; the newest one."""
        return await self._event("tx.added", lambda data: bool(data["txid"] == txid))

    async def removed(self, txid: str) -> TxRemoved:
        return msgspec.convert(await self._event("tx.removed", lambda data: bool(data["txid"] == txid)), TxRemoved)

    async def _event(self, kind: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            found = [data for name, data in await self.events() if name == kind and wanted(data)]
            return found[-1] if found else None

        data = await until(look, 10, f"a {kind}")
        assert data is not None
        return data

    async def send(self, built: Built) -> str:
        """Send and wait until the stream has it."""
        await spending.send(self.node, [built])
        await self.added(built.txid)
        return built.txid


@contextlib.asynccontextmanager
async def following(folder: Path) -> AsyncIterator[Parts]:
    node = RegtestNode(folder / "node", extra=["-maxmempool=5", "-mempoolexpiry=1"])
    async with node, EmbeddedValkey(folder / "valkey") as valkey:
        client = redis.connect(valkey.url)
        try:
            coins = await spending.fan_out(node, await spending.mined_coins(node, 3), 50)
            async with running(valkey.url, run, "chain-ingest", **node.env()) as service:
                await until(lambda: client.exists(KEYS.stream(domains.TXS)), 20, "the stream has begun")
                yield Parts(node, client, service, coins)
        finally:
            await client.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parts]:
    async with following(tmp_path_factory.mktemp("parts")) as made:
        yield made


async def test_a_replacement_names_what_replaced_it_and_takes_the_descendants_along(parts: Parts) -> None:
    coin = parts.coins.pop()
    parent = build([coin], [coin.value - 1_000])
    child = build([parent.outputs[0]], [parent.outputs[0].value - 1_000])
    for built in (parent, child):
        await parts.send(built)
    better = build([coin], [coin.value - 20_000])
    await parts.send(better)
    for built in (parent, child):
        gone = await parts.removed(built.txid)
        assert (gone.reason, gone.replaced_by, gone.block) == ("replaced", better.txid, None)


async def test_what_a_block_confirms_names_the_block(parts: Parts) -> None:
    coin = parts.coins.pop()
    built = build([coin], [coin.value - 1_000])
    await parts.send(built)
    [block_hash] = await spending.mine(parts.node)
    gone = await parts.removed(built.txid)
    assert (gone.reason, gone.block, gone.replaced_by) == ("block", block_hash, None)


async def test_what_a_block_contradicts_is_a_conflict(parts: Parts) -> None:
    coin = parts.coins.pop()
    ours = build([coin], [coin.value - 1_000])
    child = build([ours.outputs[0]], [ours.outputs[0].value - 1_000])
    for built in (ours, child):
        await parts.send(built)
    theirs = build([coin], [coin.value - 2_000])
    block_hash = await generate(parts.node, theirs.raw)
    for built in (ours, child):
        gone = await parts.removed(built.txid)
        assert (gone.reason, gone.block, gone.conflicts_with) == ("conflict", block_hash, theirs.txid)


async def test_each_conflict_names_who_took_its_own_coins(parts: Parts) -> None:
    coins = [parts.coins.pop() for _ in range(2)]
    ours = [build([coin], [coin.value - 1_000]) for coin in coins]
    outputs = [one.outputs[0] for one in ours]
    child = build(outputs, [sum(one.value for one in outputs) - 1_000])
    for built in (*ours, child):
        await parts.send(built)
    theirs = [build([coin], [coin.value - 2_000]) for coin in coins]
    await generate(parts.node, *[one.raw for one in theirs])
    for built, taker in zip(ours, theirs, strict=True):
        assert (await parts.removed(built.txid)).conflicts_with == taker.txid
    gone = await parts.removed(child.txid)
    assert (gone.reason, gone.conflicts_with) == ("conflict", None), "it lost two parents, to two transactions"


async def generate(node: RegtestNode, *transactions: str) -> str:
    """A block with just these."""
    info = await node.rpc("getdescriptorinfo", f"raw({spending.SCRIPT.hex()})")
    answer = await node.rpc("generateblock", info["descriptor"], transactions)
    return str(answer["hash"])


@pytest.mark.parametrize("after", ["a transaction", "a block"])
async def test_what_grew_too_old_has_expired(parts: Parts, after: str) -> None:
    now = max(int(time.time()), (await parts.node.rpc("getblockchaininfo"))["time"])
    try:
        await parts.node.rpc("setmocktime", now)
        coin = parts.coins.pop()
        old = build([coin], [coin.value - 1_000])
        await parts.send(old)
        if after == "a block":
            await generate(parts.node)
            height = await parts.node.rpc("getblockcount")
            await until(lambda: published(parts.redis, height), 10, "the block is published")
        await parts.node.rpc("setmocktime", now + 2 * 3_600)
        coin = parts.coins.pop()
        new = build([coin], [coin.value - 1_000])
        await parts.send(new)
        assert (await parts.removed(old.txid)).reason == "expired"
    finally:
        await parts.node.rpc("setmocktime", 0)
        await spending.mine(parts.node)


async def published(client: redis.Client, height: int) -> bool:
    return bool(await client.hexists(KEYS.published(domains.BLOCKS), height))


async def test_children_come_with_a_parent_that_a_reorganisation_brings_back(parts: Parts) -> None:
    coin = parts.coins.pop()
    parent = build([coin], [coin.value - 1_000])
    await parts.send(parent)
    [block_hash] = await spending.mine(parts.node)
    assert (await parts.removed(parent.txid)).reason == "block"
    child = build([parent.outputs[0]], [parent.outputs[0].value - 2_000])
    await parts.send(child)
    assert (await parts.added(child.txid))["parents"] == []
    before = len(await parts.events())
    await parts.node.rpc("invalidateblock", block_hash)

    async def back() -> dict[str, Any] | None:
        events = (await parts.events())[before:]
        return next((data for kind, data in events if kind == "tx.added" and data["txid"] == parent.txid), None)

    again = await until(back, 10, "the parent is back in the mempool")
    assert again is not None
    assert again["children"] == [child.txid]
    entry = await parts.node.rpc("getmempoolentry", child.txid)
    assert entry["depends"] == [parent.txid]
    await spending.mine(parts.node)


async def test_for_want_of_room_the_cheapest_are_evicted(tmp_path: Path) -> None:
    async with following(tmp_path) as parts:
        outputs = 2_200
        size = build([parts.coins[0]], [330] * outputs).vsize
        sent: list[Built] = []
        for number, coin in enumerate(list(parts.coins)):
            built = build([coin], [(coin.value - size * (2 + number)) // outputs] * outputs)
            await spending.send(parts.node, [built])
            sent.append(built)
            if (await parts.node.rpc("getmempoolinfo"))["mempoolminfee"] > 0.00001:
                break
        else:
            pytest.fail("the mempool was never full")
        present = set(await parts.node.rpc("getrawmempool"))
        gone = [built.txid for built in sent if built.txid not in present]
        assert gone
        for txid in gone:
            assert (await parts.removed(txid)).reason == "evicted"
        await adds_up(parts)


async def test_the_stream_adds_up_to_the_nodes_mempool(parts: Parts) -> None:
    coin = parts.coins.pop()
    await parts.send(build([coin], [coin.value - 1_000]))
    await adds_up(parts)


async def adds_up(parts: Parts) -> None:
    """Every transaction comes once and goes once, for a reason that is known."""

    async def same() -> bool:
        present: set[str] = set()
        for kind, data in await parts.events():
            if kind == "mempool.reset":
                present.clear()
            elif kind == "tx.added":
                assert data["txid"] not in present
                present.add(data["txid"])
            elif kind == "tx.removed":
                present.remove(data["txid"])
        return present == set(await parts.node.rpc("getrawmempool"))

    await until(same, 20, "the stream adds up")
    assert not [data for kind, data in await parts.events() if kind == "tx.removed" and data["reason"] == "unknown"]
