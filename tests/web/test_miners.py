"""Figures of mining pools, worked out by hand over a handful of blocks that chain-history folded."""

from __future__ import annotations

from dataclasses import asdict
from typing import NamedTuple

import msgspec
import pytest

from shared import domains, pools, redis
from shared.events.blocks import BlockConnected
from shared.networks import COIN, NETWORKS
from shared.pools import UNKNOWN, Share, pool_id
from shared.pow import work
from shared.series import DAY, HOUR
from support.chain_samples import BITS, GENESIS_TIME, connected, disconnected, loaded, measured
from support.history_building import KEYS, Built, view
from support.web_samples import Writer
from web.charts.data.reading import SeriesReader
from web.http.answers import Unavailable
from web.miners.figures import SORTS, Miner, Over, Span, ranked, slugs
from web.miners.reading import LAST, RANGES, SHOWN_DAYS, activity, over
from web.pages.miners.answering import SORTED
from web.pages.order import Order, natural

FIRST = GENESIS_TIME // DAY + 1
"""The day after the genesis block's; days below are counted from it."""

NOW = (FIRST + 40) * DAY + 12 * HOUR
WORK = work(BITS)  # of each of the blocks
A, B = pool_id("A"), pool_id("B Pool")


class Row(NamedTuple):
    """What is told of one block: its time in days since FIRST, and what is counted of it."""

    days: float
    pool: str | None
    fees: int
    weight: int
    tx_count: int


ROWS = [
    Row(0, "A", 10, 1_000_000, 2),
    Row(1, None, 0, 4_000, 1),
    Row(20, "A", 30, 4_000_000, 3),
    Row(35, "B Pool", 100, 2_000_000, 5),
    Row(40, "A", 7, 3_000_000, 2),
    Row(40.25, "B Pool", 1, 1_000_000, 1),
]
"""Blocks 1 to 6, on the genesis block: of nobody, with 1,140 weight units."""


@pytest.fixture
def client(writer: Writer) -> redis.Client:
    """Of an empty Valkey."""
    client: redis.Client = writer.redis
    return client


def built_of(rows: list[Row], on: list[BlockConnected] | None = None, salt: int = 0) -> list[BlockConnected]:
    blocks = list(on or [])
    for row in rows:
        block = connected(len(blocks) + 1, blocks[-1] if blocks else None, salt)
        time = FIRST * DAY + round(row.days * DAY)
        fields = row._asdict()
        del fields["days"]
        blocks.append(msgspec.structs.replace(block, time=time, bits=f"{BITS:08x}", **fields))
    return blocks


async def folded(client: redis.Client, blocks: list[BlockConnected]) -> Built:
    """A complete history of these blocks, in an empty Redis."""
    await client.flushall()
    built = Built(client)
    built.apply(loaded([]), *blocks, measured(blocks, [0]))
    await built.commit()
    return built


def reader(client: redis.Client) -> SeriesReader:
    return SeriesReader(client, KEYS, NETWORKS["main"])


async def over_each(client: redis.Client) -> dict[str, Over]:
    history = await view(client)
    return {name: await over(reader(client), history, name, NOW) for name in RANGES}


def told(found: Over) -> dict[str | None, tuple[object, ...]]:
    """Rank, blocks, empty ones, fees and fullness by name."""
    return {one.name: (one.rank, one.blocks, one.empty, one.fees, one.fullness) for one in found.miners}


async def test_figures_of_each_range(client: redis.Client) -> None:
    await folded(client, built_of(ROWS))
    found = await over_each(client)
    assert told(found["1d"]) == {"A": (1, 1, 0, 7, 75.0), "B Pool": (2, 1, 1, 1, 25.0)}
    assert told(found["1w"]) == {"B Pool": (1, 2, 1, 101, 37.5), "A": (2, 1, 0, 7, 75.0)}
    assert told(found["1m"]) == {"A": (1, 2, 0, 37, 87.5), "B Pool": (2, 2, 1, 101, 37.5)}
    everything = {
        "A": (1, 3, 0, 47, pytest.approx(8_000_000 / 3 / 40_000)),
        "B Pool": (2, 2, 1, 101, 37.5),
        None: (None, 2, 2, 0, pytest.approx(5_140 / 2 / 40_000)),
    }
    assert told(found["1y"]) == told(found["all"]) == everything
    assert list(told(found["all"])) == ["A", "B Pool", None]
    assert [miner.slug for miner in found["all"].miners] == ["a", "bpool", "unknown"]
    for name, one in found.items():
        assert one.span.name == name
        assert one.span.blocks == one.span.known == sum(miner.blocks for miner in one.miners)
        assert sum(miner.share or 0 for miner in one.miners) == pytest.approx(100)
        assert {miner.subsidy for miner in one.miners} == {miner.blocks * 50 * COIN for miner in one.miners}
        assert one.span.notice == ""
        assert one.span.end == NOW


async def test_the_hashrate_is_work_over_time_and_a_pools_its_share(client: redis.Client) -> None:
    await folded(client, built_of(ROWS))
    found = await over_each(client)
    assert found["1d"].span.hashrate == pytest.approx(2 * WORK / DAY)
    assert found["1w"].span.hashrate == pytest.approx(3 * WORK / (7 * DAY))
    assert found["1m"].span.start == (FIRST + 11) * DAY, "thirty whole days, today among them"
    assert found["1m"].span.hashrate == pytest.approx(4 * WORK / (29.5 * DAY))
    assert found["all"].span.start == GENESIS_TIME
    assert found["all"].span.hashrate == pytest.approx(7 * WORK / (NOW - GENESIS_TIME))
    b, a = found["1w"].miners
    assert [b.share, a.share] == pytest.approx([200 / 3, 100 / 3])
    assert [b.hashrate, a.hashrate] == pytest.approx([2 * WORK / (7 * DAY), WORK / (7 * DAY)])
    assert [(one.span.heights[0], one.span.heights[-1]) for one in found.values()] == [
        (5, 6), (4, 6), (3, 6), (0, 6), (0, 6),
    ]  # fmt: skip


async def test_a_reorganisation_leaves_what_a_fresh_build_does(client: redis.Client) -> None:
    blocks = built_of(ROWS)
    built = await folded(client, blocks)
    other = built_of([Row(40.3, "C", 5, 2_000_000, 9), Row(40.4, None, 2, 400_000, 1)], blocks[:5], salt=7)
    built.apply(disconnected(blocks[5]), *other[5:])
    await built.commit()
    seen = await over_each(client)
    lately = await activity(reader(client), await view(client), B, NOW)
    assert told(seen["1d"]) == {
        "A": (1, 1, 0, 7, 75.0), "C": (2, 1, 0, 5, 50.0), None: (None, 1, 1, 2, 10.0),
    }  # fmt: skip
    assert [height for height, _ in lately.last] == [4]
    await folded(client, other)
    assert await over_each(client) == seen
    assert await activity(reader(client), await view(client), B, NOW) == lately


async def test_what_is_not_known_is_said_and_not_counted_as_nothing(client: redis.Client) -> None:
    await client.flushall()
    blocks, built = built_of(ROWS), Built(client)
    built.apply(loaded(blocks[:4], 3), *blocks[4:])  # headers from 3 on, statistics of 5 and 6
    await built.commit()
    found = await over_each(client)
    assert (found["1d"].span.blocks, found["1d"].span.known, found["1d"].span.notice) == (2, 2, "")
    assert (found["1w"].span.blocks, found["1w"].span.known) == (3, 2)
    assert (found["1m"].span.blocks, found["1m"].span.known) == (None, 2), "block 2 may lie in it, too"
    assert (found["all"].span.blocks, found["all"].span.known) == (7, 2)
    assert told(found["1w"]) == told(found["1d"]) == {"A": (1, 1, 0, 7, 75.0), "B Pool": (2, 1, 1, 1, 25.0)}
    assert found["1w"].miners[0].share == 50.0, "of the blocks known"
    assert found["1w"].span.hashrate == pytest.approx(3 * WORK / (7 * DAY)), "of the headers, all of which are known"
    assert found["all"].span.hashrate == pytest.approx(4 * WORK / (20.5 * DAY)), "since the lowest header"
    for name in ("1w", "1m", "1y", "all"):
        assert found[name].span.notice.startswith("Block statistics are known from 13 February 2009 on; older ones")
    days = dict((await activity(reader(client), await view(client), A, NOW)).days)
    assert [days[FIRST + day] for day in (0, 19, 20, 21, 35, 39, 40)] == [None, None, None, 0, None, 0, 1]


async def test_a_chain_of_nothing_but_its_beginning(client: redis.Client) -> None:
    await folded(client, [])
    found = await over_each(client)
    for name in ("1d", "1w", "1m"):
        span = found[name].span
        assert found[name].miners == ()
        assert (span.blocks, span.known, span.hashrate, span.newest) == (0, 0, None, None)
        assert not span.heights
        assert span.notice.startswith("There is no block in this time: the newest one known is of 3 January 2009.")
    assert told(found["all"]) == {None: (None, 1, 1, 0, pytest.approx(1_140 / 40_000))}
    nobody = found["1d"].of(A, "A", "a")
    assert (nobody.share, nobody.hashrate, nobody.fullness, nobody.rank) == (None, None, None, None)


async def test_what_a_pool_did_lately(client: redis.Client) -> None:
    await folded(client, built_of(ROWS))
    lately = await activity(reader(client), await view(client), A, NOW)
    assert [height for height, _ in lately.last] == [5, 3, 1]
    assert [(block.time, block.fees, block.tx_count, block.weight) for _, block in lately.last] == [
        (FIRST * DAY + round(row.days * DAY), row.fees, row.tx_count, row.weight) for row in reversed(ROWS[::2])
    ]
    assert len(lately.days) == SHOWN_DAYS
    assert {day - FIRST: blocks for day, blocks in lately.days if blocks} == {0: 1, 20: 1, 40: 1}
    nobody = await activity(reader(client), await view(client), UNKNOWN, NOW)
    assert [height for height, _ in nobody.last] == [2, 0]
    assert (await activity(reader(client), await view(client), 12_345, NOW)).last == ()


async def test_only_the_newest_blocks_are_listed(client: redis.Client) -> None:
    rows = [Row(day, name, 1, 4, 2) for day in range(40) for name in ("A", "B Pool", "A")]
    await folded(client, built_of(rows))
    lately = await activity(reader(client), await view(client), A, NOW)
    heights = [height for height, row in enumerate(rows, 1) if row.pool == "A"]
    assert [height for height, _ in lately.last] == heights[: -LAST - 1 : -1]


async def test_what_is_not_converted_yet_is_not_misread(client: redis.Client) -> None:
    await folded(client, built_of(ROWS))
    await client.hset(KEYS.history_pools, str(FIRST + 40), bytes(12))  # as it was packed once
    history = await view(client)
    for name in ("1m", "1y", "all"):
        with pytest.raises(Unavailable, match="not in layout"):
            await over(reader(client), history, name, NOW)
    assert (await over(reader(client), history, "1d", NOW)).span.known == 2


async def test_a_pool_without_its_name_is_told_by_its_number(client: redis.Client) -> None:
    await folded(client, built_of(ROWS))
    await client.hdel(KEYS.state(domains.HISTORY), pools.name_field(A))
    found = await over_each(client)
    assert {miner.slug: miner.name for miner in found["all"].miners if miner.pool == A} == {f"pool{A}": f"Pool {A}"}


# --- without I/O ------------------------------------------------------------------------------------------


def test_each_pool_has_an_address_of_its_own() -> None:
    names = {1: "F2Pool", 2: "f2 pool", 3: "Unknown", 4: "1Thash&58COIN", 5: "!!!", 6: "七彩神仙鱼"}
    found = slugs(names)
    assert found == {
        1: "f2pool-1", 2: "f2pool-2", 3: "unknown-3", 4: "1thash58coin", 5: "5", 6: "七彩神仙鱼", UNKNOWN: "unknown",
    }  # fmt: skip
    assert len(set(found.values())) == len(found)


SPAN = Span("1w", 0, 7 * DAY, range(10), 10, 10, 1e18, 1)


def some() -> tuple[Miner, ...]:
    shares = [
        Share(1, 4, 0, 4 * 1_000_000, 0, 10), Share(2, 3, 2, 3 * 4_000_000, 0, 50), Share(UNKNOWN, 2, 2, 800, 0, 0),
        Share(3, 1, 1, 2_000_000, 0, 50),
    ]  # fmt: skip
    return ranked(SPAN, shares, {1: "beta", 2: "Alpha", 3: "Gamma"}).miners


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ("blocks", ["beta", "Alpha", None, "Gamma"]),
        ("fees", ["Alpha", "Gamma", "beta", None]),
        ("empty", ["Alpha", None, "Gamma", "beta"]),
        ("fullness", ["Alpha", "Gamma", "beta", None]),
        ("name", ["Alpha", "beta", "Gamma", None]),
    ],
)
def test_every_order(by: str, wanted: list[str | None]) -> None:
    assert [miner.name for miner in natural(SORTED, by).sorted(some(), SORTED)] == wanted
    assert by in SORTS


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        (Order("name", rising=False), ["Gamma", "beta", "Alpha", None]),  # whose name nobody knows stays the last
        (Order("blocks", rising=True), ["Gamma", None, "Alpha", "beta"]),
        (Order("fees", rising=True), [None, "beta", "Alpha", "Gamma"]),  # equal ones stay as they are
    ],
)
def test_the_other_way_round(order: Order, wanted: list[str | None]) -> None:
    assert [miner.name for miner in order.sorted(some(), SORTED)] == wanted


def test_the_unknown_have_no_rank_and_count_for_the_shares() -> None:
    assert [(miner.name, miner.rank, miner.share) for miner in some()] == [
        ("beta", 1, 40.0), ("Alpha", 2, 30.0), (None, None, 20.0), ("Gamma", 3, 10.0),
    ]  # fmt: skip
    assert Over(SPAN, some()).half == (2, 70.0)
    assert Over(SPAN, some()[2:]).half is None, "the unknown are no pool"


def test_equal_pools_are_ranked_by_name_whatever_the_order() -> None:
    shares = [Share(7, 2, 0, 8, 0, 0), Share(UNKNOWN, 2, 0, 8, 0, 0), Share(9, 2, 0, 8, 0, 0)]
    for order in (shares, shares[::-1]):
        found = ranked(SPAN, order, {7: "zeta", 9: "Eta"}).miners
        assert [(miner.name, miner.rank) for miner in found] == [("Eta", 1), ("zeta", 2), (None, None)]
        assert asdict(found[0])["slug"] == "eta"
