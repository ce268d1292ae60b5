"""Series on a real server: what a writer puts, readers and a restarted writer find, across the borders of segments."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import domains, records, redis
from shared.bands import FEERATE_BOUNDS, VALUE_BOUNDS
from shared.commit import Commands
from shared.errors import UnknownLayout
from shared.fold import Changes
from shared.keys import Keys
from shared.packing import Layout
from shared.records import FLOW, Block, Bucket, Congestion, Flow, Header
from shared.series import CHAIN_SERIES, MEMPOOL_SERIES, Series, read, segments_of
from shared.series_writer import SeriesWriter
from support.folding import Committer, commands

KEYS = Keys("regtest")
SEGMENT = 10
ALL = Series("all", "mempool", FLOW, SEGMENT, step=60)
NEWEST = Series("newest", "mempool", FLOW, SEGMENT, step=60, keep=25)


def flow(number: int) -> Flow:
    return Flow(number + 1, 2 * number, 10**15 + number, 3 * number)


class Writing:
    """A writer with what it takes to commit."""

    def __init__(self, client: redis.Client, series: Series[Flow], *, mirrored: bool = True) -> None:
        self.client = client
        self.series = series
        self.mirrored = mirrored
        self.writer = SeriesWriter(series, KEYS, mirrored=mirrored)
        self._committer = Committer(client, KEYS.checkpoint(domains.MEMPOOL))

    async def flush(self) -> list[str]:
        """Commit what was put; returns the commands' names, but for the one that says the layout."""
        changes = Changes()
        assert self.writer.flush(changes.commands) == bool(changes.commands)
        await self._committer.commit(changes)
        return [command for command, key, _ in commands(changes) if key != KEYS.series_layouts("mempool")]

    async def put(self, *indices: int) -> list[str]:
        for index in indices:
            self.writer.put(index, flow(index))
        return await self.flush()

    async def restart(self) -> None:
        self.writer = SeriesWriter(self.series, KEYS, mirrored=self.mirrored)
        await self.writer.load(self.client, (await segments_of(self.client, KEYS, "mempool")).get(self.series.name, ()))

    async def stored(self) -> list[tuple[int, Flow]]:
        return await read(self.client, KEYS, self.series, 0, 10_000)

    def held(self) -> list[int]:
        """Every index with a record in the mirror."""
        return [index for index in range(10_001) if self.writer.get(index) is not None]

    async def segments(self) -> dict[int, int]:
        """The size of each segment that is stored; the index must name just these."""
        names = (await segments_of(self.client, KEYS, "mempool")).get(self.series.name, set())
        keys = await self.client.keys(KEYS.series("mempool", self.series.name, 0).removesuffix("0") + "*")
        found = {int(key.decode().rpartition(":")[2]): await self.client.strlen(key) for key in keys}
        assert set(found) == names
        return found


def expected(*indices: int) -> list[tuple[int, Flow]]:
    return [(index, flow(index)) for index in indices]


@pytest.fixture(params=[True, False], ids=["mirrored", "not mirrored"])
def writing(request: pytest.FixtureRequest, client: redis.Client) -> Writing:
    return Writing(client, ALL, mirrored=request.param)


# --- a round trip ------------------------------------------------------------------------------------------


async def test_what_is_put_is_read_across_segments(writing: Writing) -> None:
    await writing.put(3, 8, 9, 10, 11, 25)
    await writing.put(12, 4, 40)
    assert await writing.stored() == expected(3, 4, 8, 9, 10, 11, 12, 25, 40)
    if writing.mirrored:
        assert writing.held() == [3, 4, 8, 9, 10, 11, 12, 25, 40]
        assert writing.writer.get(10) == flow(10)
    assert writing.writer.get(13) is None


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        (0, 100, [8, 9, 10, 11, 25]),
        (9, 10, [9, 10]),
        (10, 10, [10]),
        (8, 9, [8, 9]),
        (11, 25, [11, 25]),
        (12, 24, []),
        (-5, 8, [8]),
        (26, 5_000, []),
        (9, 8, []),
        (-9, -1, []),
    ],
)
async def test_a_range_has_both_its_ends(writing: Writing, first: int, last: int, found: list[int]) -> None:
    await writing.put(8, 9, 10, 11, 25)
    assert await read(writing.client, KEYS, ALL, first, last) == expected(*found)


async def test_the_first_write_of_a_segment_is_whole_and_later_ones_are_not(writing: Writing) -> None:
    assert await writing.put(13, 14, 18, 29) == ["SET", "SADD"] + (
        ["SET", "SADD"] if writing.mirrored else ["SETRANGE", "SET", "SADD"]
    )
    assert await writing.segments() == {1: SEGMENT * FLOW.width, 2: SEGMENT * FLOW.width}
    assert await writing.put(10, 11, 12, 19, 20) == ["SETRANGE", "SETRANGE", "SETRANGE"]
    assert await writing.segments() == {1: SEGMENT * FLOW.width, 2: SEGMENT * FLOW.width}
    assert await writing.flush() == []
    assert await writing.stored() == expected(10, 11, 12, 13, 14, 18, 19, 20, 29)


async def test_what_was_left_in_a_segment_that_is_not_known_does_not_remain(writing: Writing) -> None:
    await writing.client.set(KEYS.series("mempool", "all", 1), b"\xff" * 5_000)
    await writing.put(13)
    assert await writing.stored() == expected(13)


async def test_a_record_is_replaced_and_removed(writing: Writing) -> None:
    await writing.put(9, 10, 11)
    writing.writer.put(10, flow(77))
    writing.writer.put(11, None)
    await writing.flush()
    assert await writing.stored() == [(9, flow(9)), (10, flow(77))]
    writing.writer.put(10, None)
    writing.writer.put(10, flow(10))
    writing.writer.put(9, None)
    await writing.flush()
    assert await writing.stored() == expected(10)
    if writing.mirrored:
        assert writing.held() == [10]


async def test_a_negative_index_is_dropped(writing: Writing) -> None:
    assert await writing.put(-1) == []


# --- beginning again ---------------------------------------------------------------------------------------


async def test_a_restarted_writer_goes_on(writing: Writing) -> None:
    await writing.put(7, 19)
    await writing.restart()
    assert writing.writer.get(7) == (flow(7) if writing.mirrored else None)
    assert await writing.put(8, 18) == ["SETRANGE", "SETRANGE"]
    assert await writing.stored() == expected(7, 8, 18, 19)


async def test_load_forgets_what_was_put_and_not_committed(writing: Writing) -> None:
    await writing.put(7)
    lost = Commands()
    writing.writer.put(8, flow(8))
    assert writing.writer.flush(lost)  # and the commit fails
    writing.writer.put(9, flow(9))
    writing.writer.reset()
    await writing.writer.load(writing.client, [0])
    assert await writing.flush() == []
    assert await writing.put(6) == ["SETRANGE"]
    assert await writing.stored() == expected(6, 7)


async def test_a_segment_that_is_gone_although_it_was_named_is_written_whole(client: redis.Client) -> None:
    writing = Writing(client, ALL)
    await writing.put(7, 15)
    await client.delete(KEYS.series("mempool", "all", 1))
    await writing.restart()
    assert await writing.put(16) == ["SET", "SADD"]
    assert await writing.segments() == {0: SEGMENT * FLOW.width, 1: SEGMENT * FLOW.width}
    assert await writing.stored() == expected(7, 16)


async def test_reset_deletes_what_was_stored_with_the_next_flush_and_nothing_put_since(writing: Writing) -> None:
    await writing.put(7, 19)
    writing.writer.reset()
    writing.writer.put(8, flow(8))
    await writing.flush()
    assert await writing.stored() == expected(8)
    assert await writing.segments() == {0: SEGMENT * FLOW.width}
    assert writing.writer.get(8) == (flow(8) if writing.mirrored else None)
    await writing.put(9)
    assert await writing.stored() == expected(8, 9)


async def test_reset_alone_is_flushed_too(writing: Writing) -> None:
    await writing.put(7, 19)
    writing.writer.reset()
    assert await writing.flush() == ["DEL", "SREM", "DEL", "SREM"]
    assert await writing.segments() == {}


async def test_a_mirror_is_written_anew_after_the_server_lost_it(client: redis.Client) -> None:
    writing = Writing(client, NEWEST)
    await writing.put(7, 19, 28)
    writing.writer.put(29, flow(29))
    await client.delete(KEYS.series_index("mempool"), *(KEYS.series("mempool", "newest", place) for place in range(3)))
    writing.writer.rewrite()
    assert await writing.flush() == ["SET", "SADD"] * 3
    assert await writing.stored() == expected(7, 19, 28, 29)
    assert set((await writing.segments()).values()) == {SEGMENT * FLOW.width}
    assert await writing.flush() == []


# --- what is kept ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mirrored", [True, False])
async def test_old_segments_go_as_a_whole(client: redis.Client, mirrored: bool) -> None:
    writing = Writing(client, NEWEST, mirrored=mirrored)
    await writing.put(*range(34))
    assert await writing.stored() == expected(*range(34))  # 9 is the oldest wanted, and its segment stays
    await writing.put(34)
    assert await writing.stored() == expected(*range(10, 35))
    assert set(await writing.segments()) == {1, 2, 3}
    await writing.put(9, 12)  # one too old, one that is kept
    assert await writing.stored() == expected(*range(10, 35))
    await writing.restart()
    await writing.put(100)
    assert await writing.stored() == expected(100)
    assert set(await writing.segments()) == {10}


async def test_what_became_too_old_before_it_was_written_is_nowhere(client: redis.Client) -> None:
    writing = Writing(client, NEWEST)
    await writing.put(5, 100)
    assert writing.held() == [100]
    assert await writing.stored() == expected(100)
    assert set(await writing.segments()) == {10}


async def test_a_restarted_mirror_knows_what_is_too_old(client: redis.Client) -> None:
    writing = Writing(client, NEWEST)
    await writing.put(100)
    await writing.restart()
    assert await writing.put(5) == []


async def test_removing_does_not_make_anything_old(client: redis.Client) -> None:
    writing = Writing(client, NEWEST)
    await writing.put(5)
    writing.writer.put(100, None)
    await writing.flush()
    assert await writing.stored() == expected(5)


# --- layouts -----------------------------------------------------------------------------------------------

WIDE: Layout[Flow] = Layout(
    FLOW.width + 8,
    lambda record: FLOW.pack(record) + bytes(8),
    FLOW.unpack,
    version=FLOW.version + 1,
    before=FLOW,
)
"""What a later version of the software might write."""

LATER = Series("all", "mempool", WIDE, SEGMENT, step=60)


async def raw(client: redis.Client) -> dict[bytes, object]:
    """Every key of the domain with what it holds."""
    found: dict[bytes, object] = {}
    for key in await client.keys(KEYS.series("mempool", "all", 0)[:-1] + "*"):
        found[key] = await client.get(key)
    found[b"index"] = await client.smembers(KEYS.series_index("mempool"))
    return found


@pytest.mark.parametrize("said", [True, False], ids=["said", "from before there were versions"])
async def test_an_older_layout_is_converted_with_the_next_commit(writing: Writing, said: bool) -> None:
    await writing.put(3, 9, 10, 27)
    layouts = KEYS.series_layouts("mempool")
    assert await writing.client.hget(layouts, "all") == str(FLOW.version).encode()
    if not said and FLOW.version == 1:
        await writing.client.delete(layouts)
    before = await raw(writing.client)
    writing.series = LATER
    for _ in range(3):  # killed again and again before it commits
        await writing.restart()
        assert await raw(writing.client) == before
        with pytest.raises(UnknownLayout, match="until its service has converted it"):
            await writing.stored()
    writing.writer.put(10, flow(100))
    writing.writer.put(28, flow(28))
    assert await writing.flush() == ["SET", "SADD"] * 3
    wanted = [(3, flow(3)), (9, flow(9)), (10, flow(100)), (27, flow(27)), (28, flow(28))]
    assert await writing.stored() == wanted
    assert set((await writing.segments()).values()) == {SEGMENT * WIDE.width}
    assert await writing.put(29) == ["SETRANGE"]
    await writing.restart()
    assert await writing.flush() == []
    assert await writing.stored() == [*wanted, (29, flow(29))]


async def test_a_newer_layout_is_neither_read_nor_written(writing: Writing) -> None:
    writing.series = LATER
    await writing.restart()
    await writing.put(3, 27)
    before = await raw(writing.client)
    writing.series = ALL
    with pytest.raises(UnknownLayout, match=rf"series all is stored in layout {WIDE.version}.*up to {FLOW.version}"):
        await writing.restart()
    with pytest.raises(UnknownLayout, match=f"stored in layout {WIDE.version}"):
        await writing.stored()
    assert await raw(writing.client) == before


async def test_a_layout_that_is_lost_is_said_again(writing: Writing) -> None:
    writing.series = LATER
    await writing.restart()
    await writing.put(3, 27)
    await writing.client.delete(KEYS.series_layouts("mempool"))
    await writing.put(4)
    assert await writing.stored() == expected(3, 4, 27)
    await writing.client.delete(KEYS.series_layouts("mempool"))
    if writing.mirrored:  # then a writer that begins sees it by the size
        await writing.restart()
        await writing.put(5)
        assert await writing.stored() == expected(3, 4, 5, 27)


async def test_nothing_stored_has_any_layout(client: redis.Client) -> None:
    assert await read(client, KEYS, LATER, 0, 100) == []


# --- against a model ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
async def test_any_history_leaves_what_a_dictionary_would(client: redis.Client, seed: int) -> None:
    chance = random.Random(seed)
    writing = Writing(client, ALL)
    model: dict[int, Flow] = {}
    for _ in range(150):
        index, number = chance.randrange(90), chance.randrange(1_000)
        match chance.choices(["put", "remove", "flush", "restart", "rewrite", "reset"], [12, 4, 4, 2, 1, 1])[0]:
            case "put":
                writing.writer.put(index, flow(number))
                model[index] = flow(number)
            case "remove":
                writing.writer.put(index, None)
                model.pop(index, None)
            case "reset":
                writing.writer.reset()
                model.clear()
            case "rewrite":
                writing.writer.rewrite()
            case "restart":
                await writing.flush()
                await writing.restart()
            case "flush":
                await writing.flush()
                assert await writing.stored() == sorted(model.items())
                await writing.segments()
        assert writing.held() == sorted(model)


# --- records -----------------------------------------------------------------------------------------------

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
U128 = st.integers(0, 2**128 - 1)
SOME32 = st.integers(1, 2**32 - 1)
SOME64 = st.integers(1, 2**64 - 1)
RATE = st.floats(0, 1e9, allow_nan=False)


def several(numbers: st.SearchStrategy[int], count: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[numbers] * count)


VALUES, FEERATES = len(VALUE_BOUNDS), len(FEERATE_BOUNDS)
RECORDS: dict[str, tuple[Layout[Any], st.SearchStrategy[Any]]] = {
    "header": (records.HEADER, st.builds(Header, SOME32, U32, st.binary(min_size=8, max_size=8))),
    "block": (
        records.BLOCK,
        st.builds(
            Block, SOME32, U32, U32, U32, U32, U32, U64, U64, several(U32, 5), U32, U32, several(U32, VALUES)
        ),
    ),
    "bucket": (
        records.BUCKET,
        st.builds(
            Bucket, SOME32, U32, st.integers(0, 2**128 - 1), RATE, RATE, *[U64] * 10, several(U64, 5), U64,
            several(U64, VALUES),
        ),
    ),
    "flow": (records.FLOW, st.builds(Flow, SOME64, U64, U128, U128)),
    "congestion": (records.CONGESTION, st.builds(Congestion, SOME32, U64, U128, RATE, several(U64, FEERATES))),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
@given(chosen=st.data(), before=st.integers(0, 9))
def test_a_record_is_unpacked_as_it_was_packed(name: str, chosen: st.DataObject, before: int) -> None:
    layout, strategy = RECORDS[name]
    record = chosen.draw(strategy)
    raw = layout.pack(record)
    assert len(raw) == layout.width
    assert layout.unpack(bytes(before) + raw, before) == record
    assert layout.unpack(bytearray(bytes(before) + raw), before) == record
    assert type(layout.unpack(raw, 0)) is type(record)


@pytest.mark.parametrize("name", RECORDS)
def test_zeros_are_no_record(name: str) -> None:
    layout, _ = RECORDS[name]
    assert layout.unpack(bytes(layout.width), 0) is None


def test_sums_of_anything_valid_fit() -> None:
    """A day in which every transaction moves and pays all coins that will ever be, and twelve hours of looks at it."""
    coins, many = 21 * 10**14, 10**9
    flow = Flow(many, many * 4_000_000, many * coins, many * coins)
    assert records.FLOW.unpack(records.FLOW.pack(flow), 0) == flow
    lanes = records.FLOW_LANES.unpack(records.FLOW.pack(flow), 0)
    assert lanes is not None
    assert records.flow_sum(lanes * 24) == Flow._make(24 * sum_ for sum_ in flow)
    looks = 3_600
    waiting = Congestion(looks, looks * many, looks * many * coins, 1.0, (looks * 10**12,) * FEERATES)
    assert records.CONGESTION.unpack(records.CONGESTION.pack(waiting), 0) == waiting
    lanes = records.CONGESTION_LANES.unpack(records.CONGESTION.pack(waiting), 0)
    assert lanes is not None
    found = records.congestion_sum(lanes * 12)
    assert found[:4] == (12 * looks, 12 * looks * many, 12 * looks * many * coins, 0.0)
    assert found.bands == (12 * looks * 10**12,) * FEERATES


# --- the series that there are -----------------------------------------------------------------------------


def every_series() -> Iterator[Series[Any]]:
    yield from CHAIN_SERIES
    yield from MEMPOOL_SERIES


def test_names_are_unique_and_what_is_kept_is_whole_segments() -> None:
    names = [(series.domain, series.name) for series in every_series()]
    assert len(set(names)) == len(names)
    for series in every_series():
        assert series.segment > 0
        assert series.segment * series.layout.width < 1_000_000, f"{series.name}: too much for one command"
        assert not series.keep or series.keep >= series.segment
        newest = series.keep + 3 * series.segment
        assert series.oldest(newest) % series.segment == 0
        assert not series.keep or newest - series.oldest(newest) + 1 >= series.keep
