"""Reads what was committed last, and finds what of it is lost."""

from __future__ import annotations

from typing import Any

from chain_history.coverage import Coverage
from chain_history.largest import Day, LargestByDay
from chain_history.losses import LENGTHS, look
from chain_history.mending import count_pools, make_again
from chain_history.pools import PoolsByDay
from chain_history.state import LAYOUT, State, decode
from chain_history.store import Store
from shared import domains, layouts, pools, redis
from shared.keys import REORG_BLOCKS, Keys
from shared.networks import RETARGET_INTERVAL
from shared.series import BLOCKS, HEADERS, RETARGETS, Series, read, segments_of
from shared.watch import Losses


async def load(store: Store, client: redis.Client, keys: Keys) -> Losses:
    """Fill the store; returns what is lost. Raises ValueError where it can only begin anew, and UnknownLayout."""
    store.forget()
    layout = await layouts.of_state(client, keys.checkpoint(domains.HISTORY), LAYOUT)
    await store.adopt(client)
    stored: dict[bytes, bytes] = await client.hgetall(keys.state(domains.HISTORY))
    raw = stored.pop(b"state", None)
    if raw is None:
        raise ValueError("what was recorded of the chain's history is gone")
    state = decode(raw)
    store.pool_names = pools.names(stored)
    store.measured, store.given_up = Coverage(state.measured), Coverage(state.unavailable)
    store.lost = Coverage(state.lost)
    store.views_written = state.counts is not None and state.counts.views
    losses = await look(client, keys, ())
    await _load_spine(store, client, keys, state)
    losses.segments = await _load_series(store, client, keys)
    await _load_recent(store, client, keys)
    if len(store.spine):
        store.buckets.settled(*store.ends, genesis=store.spine.first == 0)
    by_day: dict[bytes, bytes] = await client.hgetall(keys.history_largest)
    days: dict[Day, bytes] = {}
    for field, packed in by_day.items():
        day, _, era = field.decode().partition(":")
        days[int(day), int(era)] = packed
    store.largest = LargestByDay(days)
    again = losses
    if layout == LAYOUT:
        shares: dict[bytes, bytes] = await client.hgetall(keys.history_pools)
        store.pools = PoolsByDay({int(day): packed for day, packed in shares.items()})
    elif not losses and await count_pools(store, client, keys):  # no older one told of them what this one does
        store.doubt({"pools"})
    else:  # as if they were lost, but for saying so
        again = Losses(losses.parts | {"pools"}, losses.segments)
    if again:
        await make_again(store, client, keys, again)
    if layout != LAYOUT:
        store.doubt({"layouts"})
    return losses


async def _load_spine(store: Store, client: redis.Client, keys: Keys, state: State) -> None:
    size, width = HEADERS.segment, HEADERS.layout.width
    pipeline = client.pipeline(transaction=False)
    numbers = range(state.first // size, state.tip // size + 1 if state.tip >= state.first else 0)
    for number in numbers:
        pipeline.get(keys.series(HEADERS.domain, HEADERS.name, number))
    parts = [part or b"" for part in await pipeline.execute()]
    for number, part in zip(numbers, parts, strict=True):
        if len(part) != size * width:
            raise ValueError(f"headers {max(number * size, state.first)} to {number * size + size - 1} are gone")
    begin = state.first % size * width
    packed = b"".join(parts)[begin : begin + (state.tip + 1 - state.first) * width]
    store.spine.load(state.first, state.floor_hash, state.tip_hash, packed)


async def _load_series(store: Store, client: redis.Client, keys: Keys) -> list[tuple[str, int]]:
    """Returns the segments that are not there, or not whole."""
    indexed = await segments_of(client, keys, "chain")
    said: dict[bytes, bytes] = await client.hgetall(keys.series_layouts("chain"))
    lost: list[tuple[str, int]] = []
    for name, writer in store.writers.items():
        layout, wanted = writer.series.layout, wanted_segments(store, writer.series)
        stored = layouts.understood(said.get(name.encode()), layout.version, f"the series {name}")
        numbers = sorted(wanted | indexed.get(name, set()))
        pipeline = client.pipeline(transaction=False)
        for number in numbers:
            pipeline.strlen(keys.series("chain", name, number))
        lengths = dict(zip(numbers, await pipeline.execute(), strict=True))
        whole = {
            number
            for number, length in lengths.items()
            if length == LENGTHS[name] or (length and stored != layout.version)  # converted as it is loaded
        }
        await writer.load(client, whole)
        lost += [(name, number) for number in numbers if number not in whole]
    return lost


def wanted_segments(store: Store, series: Series[Any]) -> set[int]:
    """The segments that a series must have, by the headers and by what is measured."""
    spine, size = store.spine, series.segment
    if not len(spine):
        return set()
    if series is HEADERS:
        return set(range(spine.first // size, spine.tip // size + 1))
    if series is RETARGETS:
        first, last = -(-spine.first // RETARGET_INTERVAL), spine.tip // RETARGET_INTERVAL
        return set(range(first // size, last // size + 1)) if first <= last else set()
    if series is BLOCKS:
        known = store.measured.less(store.lost).intervals
        return {number for first, last in known for number in range(first // size, last // size + 1)}
    oldest = series.oldest(spine.latest // series.step) // size
    return {number for number in spine.spans(series.step * size) if number >= oldest}


async def _load_recent(store: Store, client: redis.Client, keys: Keys) -> None:
    tip = store.spine.tip
    lowest = max(tip - REORG_BLOCKS + 1, store.spine.first)
    blocks = dict(await read(client, keys, BLOCKS, lowest, tip))
    stored: dict[bytes, bytes] = await client.hgetall(keys.history_recent)
    listed = {int(height): packed for height, packed in stored.items()}
    store.recent.load(store.spine.headers(lowest, tip), blocks, listed)
