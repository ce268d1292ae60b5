"""The timeline of a real node's transactions, as chain-ingest tells of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

import chain_ingest.app
import explorer.app
from explorer.timeline.reading import replacements, timeline
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.events.lookups import CHANGES, TxChanged
from shared.events.mempool import TxAdded, TxRemoved
from shared.explorer_views import TimelineView
from shared.keys import Keys
from shared.lookups.transaction import Step
from support import spending
from support.each import each
from support.ledger import running
from support.spending import Built, Coin, build
from support.stack import until

KEYS = Keys("regtest")
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Parts:
    """A node with few and short-lived places in its mempool, a Valkey, and coins; services as a test needs them."""

    def __init__(self, node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client, coins: list[Coin]) -> None:
        self.node = node
        self.url = valkey.url
        self.redis = client
        self.coins = coins

    @contextlib.asynccontextmanager
    async def ingesting(self) -> AsyncIterator[None]:
        async with running(self.url, chain_ingest.app.run, "chain-ingest", **self.node.env()):
            yield

    @contextlib.asynccontextmanager
    async def exploring(self) -> AsyncIterator[None]:
        async with running(self.url, explorer.app.run, "explorer"):
            yield

    def spend(self, fee: int = 1_000) -> tuple[Coin, Built]:
        coin = self.coins.pop()
        return coin, build([coin], [coin.value - fee])

    async def send(self, *built: Built) -> None:
        """Send, and wait until each is known here."""
        await spending.send(self.node, built)
        for one in built:
            await self.told(one, lambda steps: steps[-1].what == "seen")

    async def told(self, built: Built, wanted: Callable[[list[Step]], bool]) -> list[Step]:
        """The timeline, once it is as wanted."""

        async def look() -> list[Step] | None:
            steps = await timeline(self.redis, KEYS, built.txid)
            return steps if steps and wanted(steps) else None

        steps = await until(look, 15, f"the timeline of {built.txid}: {await timeline(self.redis, KEYS, built.txid)}")
        assert steps
        return steps

    async def added(self, built: Built) -> bool:
        return await self._in_stream(built, TxAdded.TYPE)

    async def removed(self, built: Built) -> bool:
        return await self._in_stream(built, TxRemoved.TYPE)

    async def _in_stream(self, built: Built, kind: str) -> bool:
        entries = await self.redis.xrange(KEYS.stream(domains.TXS))
        return any(one[b"type"] == kind.encode() and built.txid.encode() in one[b"data"] for _, one in entries)

    async def ends(self, built: Built, what: str) -> list[Step]:
        return await self.told(built, lambda steps: steps[-1].what == what)


@contextlib.asynccontextmanager
async def made(folder: Path) -> AsyncIterator[Parts]:
    node = RegtestNode(folder / "node", extra=["-maxmempool=5", "-mempoolexpiry=1"])
    async with node, EmbeddedValkey(folder / "valkey") as valkey:
        client = redis.connect(valkey.url)
        try:
            coins = await spending.fan_out(node, await spending.mined_coins(node, 3), 50)
            yield Parts(node, valkey, client, coins)
        finally:
            await client.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parts]:
    async with made(tmp_path_factory.mktemp("parts")) as it:
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def live(parts: Parts) -> AsyncIterator[Parts]:
    """The same with both services beside it."""
    async with parts.ingesting(), parts.exploring():
        await until(lambda: parts.redis.hexists(KEYS.state(domains.TIMELINE), "meta"), 20, "the fold has begun")
        yield parts


def kinds(steps: list[Step]) -> list[str]:
    return [step.what for step in steps]


async def redis_ms(client: redis.Client) -> int:
    seconds, micros = await client.time()
    return int(seconds) * 1000 + int(micros) // 1000


async def test_a_replacement_is_told_both_ways(live: Parts) -> None:
    before = await redis_ms(live.redis)
    coin, first = live.spend()
    child = build([first.outputs[0]], [first.outputs[0].value - 1_000])
    second, third = build([coin], [coin.value - 20_000]), build([coin], [coin.value - 60_000])
    await live.send(first, child)
    await live.send(second)
    await live.send(third)
    for built, by in ((first, second), (child, second), (second, third)):
        steps = await live.ends(built, "replaced")
        assert kinds(steps) == ["seen", "replaced"]
        assert steps[-1].by == by.txid
        assert each(before <= step.time_ms for step in steps)
        assert steps[0].accepted is None
    [seen] = await live.told(third, lambda steps: True)
    assert seen.replaces == [second.txid]
    assert set((await timeline(live.redis, KEYS, second.txid))[0].replaces) == {first.txid, child.txid}
    for built in (first, child, second, third):
        tree = await replacements(live.redis, KEYS, built.txid)
        assert tree.complete
        assert {(one.txid, one.by) for one in tree.edges} == {
            (first.txid, second.txid), (child.txid, second.txid), (second.txid, third.txid)
        }  # fmt: skip
    await spending.mine(live.node)


async def test_what_came_and_went_before_anybody_looked_is_known(parts: Parts) -> None:
    """Added and removed are folded in one batch, and committed as one."""
    async with parts.ingesting():
        coin, first = parts.spend()
        second = build([coin], [coin.value - 20_000])
        for one in (first, second):
            await spending.send(parts.node, [one])
            await until(partial(parts.added, one), 15, "chain-ingest has told of it")
        await until(partial(parts.removed, first), 15, "chain-ingest has told that it left")
        async with parts.exploring():
            steps = await parts.ends(first, "replaced")
            assert kinds(steps) == ["seen", "replaced"]
            assert steps[-1].by == second.txid
            [seen] = await parts.told(second, lambda steps: True)
            assert seen.replaces == [first.txid]
        await spending.mine(parts.node)


async def test_mined_disconnected_and_mined_again(live: Parts) -> None:
    _, built = live.spend()
    await live.send(built)
    [first] = await spending.mine(live.node)
    height = await live.node.rpc("getblockcount")
    steps = await live.told(built, lambda steps: steps[-1].what == "mined" and steps[-1].height is not None)
    assert [(one.what, one.block, one.height) for one in steps] == [("seen", None, None), ("mined", first, height)]
    await live.node.rpc("invalidateblock", first)
    assert kinds(await live.ends(built, "disconnected")) == ["seen", "mined", "disconnected"]
    await until(lambda: live.redis.hexists(KEYS.timeline_waiting, bytes.fromhex(built.txid)), 10, "it waits again")
    [second] = await spending.mine(live.node, script=spending.OTHER_SCRIPT)
    steps = await live.told(built, lambda steps: len(steps) == 4 and steps[-1].height is not None)
    assert [(one.what, one.block, one.height) for one in steps[1:]] == [
        ("mined", first, height), ("disconnected", first, height), ("mined", second, height)
    ]  # fmt: skip
    assert [one.time_ms for one in steps] == sorted(one.time_ms for one in steps)


async def test_a_conflict_names_its_block(live: Parts) -> None:
    coin, ours = live.spend()
    await live.send(ours)
    theirs = build([coin], [coin.value - 2_000])
    info = await live.node.rpc("getdescriptorinfo", f"raw({spending.SCRIPT.hex()})")
    answer = await live.node.rpc("generateblock", info["descriptor"], [theirs.raw])
    steps = await live.told(ours, lambda steps: steps[-1].what == "conflict" and steps[-1].height is not None)
    assert (kinds(steps), steps[-1].block) == (["seen", "conflict"], answer["hash"])
    assert steps[-1].by == theirs.txid
    assert await timeline(live.redis, KEYS, theirs.txid) == [], "it was never seen waiting here"


async def test_what_grew_too_old_has_expired(live: Parts) -> None:
    now = max(int(time.time()), (await live.node.rpc("getblockchaininfo"))["time"])
    try:
        await live.node.rpc("setmocktime", now)
        _, old = live.spend()
        await live.send(old)
        await live.node.rpc("setmocktime", now + 2 * 3_600)
        _, new = live.spend()
        await live.send(new)
        assert kinds(await live.ends(old, "expired")) == ["seen", "expired"]
    finally:
        await live.node.rpc("setmocktime", 0)
        await spending.mine(live.node)


async def test_what_happens_while_nobody_folds_is_told_afterwards(parts: Parts) -> None:
    async with parts.ingesting():
        async with parts.exploring():
            coin, first = parts.spend()
            await parts.send(first)
        second = build([coin], [coin.value - 20_000])
        await spending.send(parts.node, [second])
        # what is mined before it could be asked for is never told of
        await until(lambda: parts.added(second), 10, "it is published")
        [block] = await spending.mine(parts.node)
        await until(lambda: mined(parts, block), 10, "the block is published")
        async with parts.exploring():
            assert kinds(await parts.ends(first, "replaced")) == ["seen", "replaced"]
            steps = await parts.told(second, lambda steps: steps[-1].height is not None)
            assert kinds(steps) == ["seen", "mined"]
            assert steps[-1].block == block


async def mined(parts: Parts, block: str) -> bool:
    return block.encode() in await parts.redis.hvals(KEYS.published(domains.BLOCKS))


async def test_a_new_beginning_tells_of_nothing_twice_and_of_what_left_meanwhile(parts: Parts) -> None:
    async with parts.exploring():
        (coin, leaves), (_, stays) = parts.spend(), parts.spend()
        async with parts.ingesting():
            await parts.send(leaves, stays)

            async def agreed() -> bool:
                meta = msgspec.json.decode(await parts.redis.hget(KEYS.state(domains.TIMELINE), "meta"))
                return int(meta["agreed_ms"]) > (await timeline(parts.redis, KEYS, stays.txid))[0].time_ms

            await until(agreed, 40, "the fold has what the node has")
        away_ms = await redis_ms(parts.redis)
        await spending.send(parts.node, [build([coin], [coin.value - 20_000])])
        await parts.redis.set(KEYS.resync(domains.TXS), "a test asks for it")
        async with parts.ingesting():
            steps = await parts.ends(leaves, "gone")
            assert kinds(steps) == ["seen", "gone"]
            assert steps[-1].after_ms is not None
            assert steps[0].time_ms <= steps[-1].after_ms <= away_ms < steps[-1].time_ms
            assert kinds(await timeline(parts.redis, KEYS, stays.txid)) == ["seen"]
            await spending.mine(parts.node)
            assert kinds(await parts.ends(stays, "mined")) == ["seen", "mined"]


async def changes(client: redis.Client, built: Built) -> list[str]:
    found = await client.xrange(KEYS.stream(domains.CHANGES))
    events = [CHANGES.decode(fields[b"type"], fields[b"data"]) for _, fields in found]
    return [one.status for one in events if isinstance(one, TxChanged) and one.key == built.txid]


async def test_whoever_looks_at_a_transaction_is_told_each_change_once(live: Parts) -> None:
    _, parent = live.spend()
    watched = build([parent.outputs[0]], [parent.outputs[0].value - 1_000])
    child = build([watched.outputs[0]], [watched.outputs[0].value - 1_000])
    until_ms = await redis_ms(live.redis) + 60_000
    await live.redis.zadd(KEYS.watched, {watched.txid: until_ms, parent.txid: 1, "no txid": until_ms})
    await live.send(parent, watched)
    await live.send(child)
    [block] = await spending.mine(live.node)
    await live.ends(child, "mined")
    await live.node.rpc("invalidateblock", block)

    async def all_told() -> bool:
        found = await changes(live.redis, watched)
        return found.count("added") == 2 and "disconnected" in found

    await until(all_told, 15, "all of it is told")
    await live.told(child, lambda steps: steps[-1].what == "disconnected")
    found = await changes(live.redis, watched)
    assert found[:4] == ["added", "near", "near", "mined"]
    # the chain's stream and the mempool's have no order to each other, nor has what comes back
    assert [found.count(one) for one in ("added", "mined", "disconnected")] == [2, 1, 1]
    assert await changes(live.redis, parent) == [], "nobody looks at it any more"
    await spending.mine(live.node, script=spending.OTHER_SCRIPT)  # another block than the one before


async def test_the_view_says_what_is_kept(live: Parts) -> None:
    async def shown() -> TimelineView | None:
        raw = await live.redis.hget(KEYS.views(domains.TIMELINE), "timeline")
        return msgspec.json.decode(raw, type=TimelineView) if raw else None

    view = await until(shown, 15, "the view is there")
    assert view is not None
    assert view.since_ms <= await redis_ms(live.redis)
    assert (view.days, view.memory) == (30, 1_024)
    assert await timeline(live.redis, KEYS, "00" * 32) == []
    with pytest.raises(ValueError, match="is no txid"):
        await timeline(live.redis, KEYS, "ff")


async def test_for_want_of_room_the_cheapest_are_evicted(tmp_path: Path) -> None:
    async with made(tmp_path) as parts, parts.ingesting(), parts.exploring():
        _, first = parts.spend()
        await parts.send(first)  # from now on each is told of as it comes
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
        gone = [built for built in sent if built.txid not in present]
        assert gone
        for built in gone:
            assert kinds(await parts.ends(built, "evicted"))[-1] == "evicted"
