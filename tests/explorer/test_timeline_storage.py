"""What the timeline takes of a real server's memory, what a killed service leaves, and what is made again."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

import explorer.app
from explorer.timeline.chance import chance
from explorer.timeline.chapters import Chapters
from explorer.timeline.odds import odds
from explorer.timeline.reading import replacements, timeline
from explorer.timeline.records import Stay, Went
from local_run import child
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.bands import FEERATE_BOUNDS
from shared.bus import Producer
from shared.checkpoint import Position
from shared.domains import TIMELINE
from shared.events.base import Event
from shared.events.lookups import CHANGES, TxChanged
from shared.explorer_views import InflowView
from shared.fold import Changes
from shared.lease import Lease
from shared.lookups.transaction import Step
from shared.views import FeeBand
from support.folding import Committer
from support.ledger import running
from support.stack import until
from support.timelines import KEYS, START_MS, Hashes, busy, fold, folded, moment
from support.topologies import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedValkey]:
    async with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as it:
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: EmbeddedValkey) -> AsyncIterator[redis.Client]:
    it = redis.connect(server.url)
    await it.flushall()
    yield it
    await it.aclose()


async def test_a_transaction_costs_some_thirty_bytes(client: redis.Client) -> None:
    """A quarter of a mainnet day in a chapter that is made for a quarter as many: one in twenty is replaced."""
    chapters, rng, committer = Chapters(KEYS, 30, 1_024), random.Random(5), Committer(client, "{regtest:explorer}:test")
    chapters._bits = 10
    before = int((await client.info("memory"))["used_memory"])
    now_ms, count = START_MS, 60_000
    for number in range(count):
        now_ms += 170
        tx, seen_ms = rng.randbytes(32), now_ms - int(rng.expovariate(1 / 1_200_000))
        if number % 20:
            chapters.stay(tx, Stay("mined", now_ms, seen_ms, ref=rng.randbytes(5)))
        else:
            new = rng.randbytes(32)
            chapters.stay(tx, Stay("replaced", now_ms, seen_ms, ref=new))
            chapters.went(new, Went(now_ms, tx))
        if number % 1_000 == 999:
            changes = Changes()
            chapters.flush(changes.commands)
            await committer.commit(changes)
    keys = [key async for key in client.scan_iter(match="{regtest:explorer}:t:*", count=1_000)]
    assert len(keys) == 1_024
    assert {await client.object("ENCODING", key) for key in keys} == {b"listpack"}
    taken = sum([int(await client.memory_usage(key, samples=0)) for key in keys])
    grown = int((await client.info("memory"))["used_memory"]) - before
    assert 25 < taken / count < 40, taken / count
    assert chapters.total == pytest.approx(grown, rel=0.2), "what the view says it takes, and what bounds it"


@pytest.mark.parametrize("special", [b"*", b"?", b"[a]", b"\\", b"^-]", b"\x00\xff", b"[", b"a\\*"])
async def test_any_bytes_of_a_txid_find_their_own_records_alone(client: redis.Client, special: bytes) -> None:
    committer, it = Committer(client, "{regtest:explorer}:test"), Chapters(KEYS, 30, 1_024)
    start = bytes(2) + special
    wanted, others = (start + b"[*?\\]---")[:10].ljust(32, b"x"), [start[:2] + bytes((one,)) * 30 for one in range(256)]
    for tx in (wanted, *others):
        it.stay(tx, Stay("evicted", START_MS, START_MS - 5))
    changes = Changes()
    it.flush(changes.commands)
    await committer.commit(changes)
    for tx in (wanted, *others):
        steps = await timeline(client, KEYS, tx.hex())
        assert [(one.what, one.time_ms) for one in steps] == [("seen", START_MS - 5), ("evicted", START_MS)], tx


async def test_a_bucket_that_somebody_filled_on_purpose_is_read_to_its_end(client: redis.Client) -> None:
    committer, it = Committer(client, "{regtest:explorer}:test"), Chapters(KEYS, 30, 1_024)
    made = [bytes(4) + number.to_bytes(28, "little") for number in range(12_000)]
    for tx in made:
        it.stay(tx, Stay("evicted", START_MS, START_MS - 5))
    changes = Changes()
    it.flush(changes.commands)
    await committer.commit(changes)
    for tx in made[::3_000]:
        assert len(await timeline(client, KEYS, tx.hex())) == 2


# --- a killed service --------------------------------------------------------------------------------------


class Writers:
    """Publishes as chain-ingest does."""

    def __init__(self, client: redis.Client) -> None:
        self._made = {}
        self._client = client
        for slot, stream in (("mempool", domains.TXS), ("chain", domains.BLOCKS)):
            lease = Lease(client, KEYS.lease(slot, "test"), KEYS.fence(slot, "test"))
            cursor = KEYS.producer(stream)
            self._made[slot] = lease, Producer(client, lease, KEYS.stream(stream), cursor, KEYS.confirmed(slot))

    async def tell(self, slot: str, events: list[Event]) -> None:
        lease, producer = self._made[slot]
        await self._client.delete(lease.key)
        assert await lease.try_acquire()
        await producer.load()
        await producer.publish(events)


async def stream(client: redis.Client, which: domains.Stream) -> list[tuple[int, Event]]:
    found = []
    for entry_id, fields in await client.xrange(KEYS.stream(which)):
        event = which.family.decode(fields[b"type"], fields[b"data"])
        assert event is not None
        found.append((int(entry_id.partition(b"-")[0]), event))
    return found


async def expected(
    client: redis.Client, txids: list[str], watched: list[str]
) -> tuple[dict[str, list[Step]], dict[str, list[str]], dict[bytes, bytes]]:
    """What the entries that are in the streams add up to, folded at once and never interrupted."""
    it, store = fold(), Hashes()
    it._watching.watch([one.encode() for one in watched])
    for time_ms, event in [*await stream(client, domains.BLOCKS), *await stream(client, domains.TXS)]:
        it.dated(time_ms)
        it.apply(event)
    it._write_gone(10**6)
    changes = it.flush(moment(START_MS))
    store.carry_out(changes)
    steps = {tx: await timeline(store, KEYS, tx) for tx in txids}
    return steps, by_transaction([*changes.events]), store.keys[KEYS.timeline_waits]


class Process:
    """The service as a process of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self._env = {
            "PATH": os.environ["PATH"], "REDIS_URL": url, "BITCOIN_NETWORK": "regtest", "INSTANCE": "explorer-test",
            "ENV_DIR": str(folder / "no-env"),
        }  # fmt: skip
        self._path = folder / "explorer.log"

    async def start(self) -> asyncio.subprocess.Process:
        with open(self._path, "ab") as log:  # noqa: ASYNC230 - a local file, opened once
            return await child.start([sys.executable, "-m", "explorer"], env=self._env, output=log)


async def reached(client: redis.Client, entries: int) -> int:
    raw = await client.hget(KEYS.checkpoint(TIMELINE), "cursor")
    seq = Position.parse(raw.decode()).seq if raw else 0
    return seq if seq >= entries else 0


async def test_killed_at_any_point_it_loses_nothing_and_tells_nothing_twice(
    server: EmbeddedValkey, client: redis.Client, tmp_path: Path
) -> None:
    world, process, writers = busy(3), Process(server.url, tmp_path), Writers(client)
    watched = list(world.steps)[::5]
    await client.zadd(KEYS.watched, dict.fromkeys(watched, 10**14))
    txs, blocks = [event for _, event in world.txs], [event for _, event in world.blocks]
    parts = 6
    rng, told = random.Random(1), 0
    for part in range(parts):
        slots = [
            ("mempool", txs[len(txs) * part // parts : len(txs) * (part + 1) // parts]),
            ("chain", blocks[len(blocks) * part // parts : len(blocks) * (part + 1) // parts]),
        ]
        running_one = await process.start()
        rng.shuffle(slots)
        for slot, events in slots:
            for at in range(0, len(events), 10):
                await writers.tell(slot, events[at : at + 10])
        before, told = told, told + len(slots[0][1] if slots[0][0] == "mempool" else slots[1][1])
        await until(lambda wanted=before + 1: reached(client, wanted), 20, "it has begun to fold")  # type: ignore[misc]
        await child.kill(running_one)
    last = await process.start()
    try:
        await until(lambda: reached(client, told), 20, "all is folded")
        steps, wanted, waits = await expected(client, list(world.steps), watched)

        async def same() -> bool:
            return {tx: await timeline(client, KEYS, tx) for tx in steps} == steps

        await until(same, 20, "the timelines are those of one that was never killed")
        assert len(waits) > 2
        assert await client.hgetall(KEYS.timeline_waits) == waits
        found = [
            CHANGES.decode(fields[b"type"], fields[b"data"])
            for _, fields in await client.xrange(KEYS.stream(domains.CHANGES))
        ]
        heard = by_transaction(found)
        assert len(heard) > 40
        assert heard == wanted
    finally:
        await child.kill(last)


def by_transaction(events: list[Event | None]) -> dict[str, list[str]]:
    """What was told of each, in its order; but of blocks that were disconnected, whose stream has no order to this."""
    heard: dict[str, list[str]] = {}
    for one in events:
        if isinstance(one, TxChanged) and one.status != "disconnected":
            heard.setdefault(one.key, []).append(one.status)
    return heard


async def test_what_redis_lost_of_the_state_is_written_again(server: EmbeddedValkey, client: redis.Client) -> None:
    world, writers = busy(4), Writers(client)
    async with running(server.url, explorer.app.run, "explorer"):
        await writers.tell("mempool", [event for _, event in world.txs])
        await writers.tell("chain", [event for _, event in world.blocks])
        steps, _, waits = await expected(client, list(world.steps), [])

        async def same() -> bool:
            if await client.hgetall(KEYS.timeline_waits) != waits:
                return False
            return {tx: await timeline(client, KEYS, tx) for tx in steps} == steps

        await until(same, 20, "all is told")
        for key in (KEYS.timeline_waiting, KEYS.timeline_chapters, KEYS.timeline_waits, KEYS.state(TIMELINE)):
            await client.delete(key)
            await until(lambda key=key: client.exists(key), 10, f"{key} is there again")  # type: ignore[misc]
            await until(same, 10, "all is told again")
    for lost in ((KEYS.checkpoint(TIMELINE), KEYS.state(TIMELINE)), (KEYS.checkpoint(TIMELINE),)):
        await client.delete(*lost)
        async with running(server.url, explorer.app.run, "explorer"):  # from the streams, upon what is there
            await until(lambda: client.hexists(KEYS.checkpoint(TIMELINE), "cursor"), 20, "it folds again")
            await until(same, 20, "nothing is told or counted twice")


async def test_chances_are_read_from_the_views(client: redis.Client) -> None:
    assert await odds(client, KEYS, 3.0, 200) is None, "nothing is known yet"
    bounds = (*FEERATE_BOUNDS, None)
    bands = [
        FeeBand(from_rate=low or 0.0, to_rate=high, count=1, vsize=400_000 if low == 20.0 else 0, fee=0)
        for low, high in itertools.pairwise(bounds)
    ]
    fees = msgspec.json.decode(PLAIN, type=dict) | {"histogram": msgspec.to_builtins(bands)}
    await client.hset(KEYS.views(domains.MEMPOOL), "fees", msgspec.json.encode(fees))
    unknown = InflowView(minutes=0, bands=[], as_of_ms=0)
    await client.hset(KEYS.views(TIMELINE), "inflow", msgspec.json.encode(unknown))
    assert await odds(client, KEYS, 3.0, 200) is None, "what comes in is not known"
    came = InflowView(minutes=10, bands=[60_000 if low == 20.0 else 0 for low in FEERATE_BOUNDS], as_of_ms=0)
    await client.hset(KEYS.views(TIMELINE), "inflow", msgspec.json.encode(came))
    found = await odds(client, KEYS, 3.0, 200)
    assert found == chance(400_000, 200, 100.0, 600.0)
    above = await odds(client, KEYS, 25.0, 200)
    assert above == chance(0, 200, 0.0, 600.0)


PLAIN = b"""{"recommended": {"fastestFee": 1, "halfHourFee": 1, "hourFee": 1, "economyFee": 1, "minimumFee": 1},
"projected_blocks": [], "fee_histogram": []}"""


async def test_it_is_read_from_a_cluster(tmp_path: Path) -> None:
    world = busy(5)
    store = folded(world)
    async with Cluster(tmp_path) as cluster:
        client = redis.connect(cluster.url)
        try:
            for key, fields in store.keys.items():
                if fields:
                    await client.hset(key, mapping=fields)
            for tx, steps in world.steps.items():
                assert await timeline(client, KEYS, tx) == steps
            old, new, _ = min(world.edges)
            assert old in {edge.txid for edge in (await replacements(client, KEYS, new)).edges}
            assert await odds(client, KEYS, 3.0, 200) is None
        finally:
            await client.aclose()
