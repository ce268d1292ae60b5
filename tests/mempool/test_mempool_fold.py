"""Any history of events leaves the state and the views of a fresh build, in memory and after a restore from Redis."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from mempool.fold import UPDATE_MS, MempoolFold
from shared import domains, redis
from shared.errors import StreamGap
from shared.events.base import Event
from shared.events.mempool import MempoolReset, MempoolSynced, TxAdded, TxRemoved
from shared.fold import Changes
from shared.keys import Keys
from support.folding import at

KEYS = Keys("regtest")
NOW = 1_700_000_000


def txid(number: int) -> str:
    return f"{number:064x}"


def added(
    number: int, *, fee: int = 1_000, vsize: int = 200, parents: list[int] | None = None, value: int = 5
) -> TxAdded:
    return TxAdded(
        txid=txid(number), vsize=vsize, weight=vsize * 4, size=vsize, fee=fee, value=value, time=NOW + number % 50,
        parents=[txid(parent) for parent in parents or []], children=[],
        ancestor_fee=fee, ancestor_vsize=vsize, replaceable=True,
    )  # fmt: skip


def synced(count: int, vsize: int, fee: int) -> MempoolSynced:
    return MempoolSynced(
        mempool_sequence=1, tx_count=count, vsize=vsize, total_fee=fee, min_fee_rate=1.0, usage=1, max_usage=2,
        time_ms=NOW * 1000,
    )  # fmt: skip


def views(fold: MempoolFold) -> dict[str, Any]:
    shown = fold._picture.views(fold._synced or synced(0, 0, 0), (NOW + 60) * 1000)
    return {type(view).__name__: msgspec.to_builtins(view) for view in shown}


async def carry_out(client: redis.Client, changes: Changes) -> None:
    """What the commit script does with the commands."""
    commands = changes.commands
    at = 0
    while at < len(commands.arguments):
        length = int(commands.arguments[at])
        name, key, *arguments = commands.arguments[at + 1 : at + 1 + length]
        await client.execute_command(name, commands.keys[int(key) - 3], *arguments)
        at += length + 1


@pytest.mark.parametrize("seed", range(8))
async def test_random_histories(client: redis.Client, seed: int) -> None:
    chance = random.Random(seed)
    fold = MempoolFold(KEYS)
    present: dict[int, TxAdded] = {}
    for step in range(12):
        for number in range(step * 40, step * 40 + 40):
            if present and chance.random() < 0.4:
                gone = chance.choice(list(present))
                del present[gone]
                fold.apply(TxRemoved(txid=txid(gone), reason="block"))
            else:
                parents = chance.sample(list(present), min(len(present), chance.choice([0, 0, 0, 1, 2])))
                event = added(
                    number, fee=chance.randint(100, 90_000), vsize=chance.randint(100, 900), parents=parents,
                    value=chance.randint(1, 10**12),
                )  # fmt: skip
                present[number] = event
                fold.apply(event)
        totals = [sum(getattr(event, name) for event in present.values()) for name in ("vsize", "fee")]
        fold.apply(synced(len(present), *totals))
        await carry_out(client, fold.flush(at((NOW + 60) * 1000 + step * 2_000)))
    fresh = MempoolFold(KEYS)
    for event in present.values():
        fresh.apply(event)
    fresh.apply(synced(len(present), *totals))
    restored = MempoolFold(KEYS)
    await restored.restore(client)
    fresh._picture.incoming = restored._picture.incoming = (
        fold._picture.incoming
    )  # what came in and left again is not kept
    assert views(fold) == views(fresh)
    assert views(restored) == views(fresh)
    assert await client.hlen(KEYS.state(domains.MEMPOOL)) == len(present)


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([TxRemoved(txid=txid(1), reason="block")], id="removed without being there"),
        pytest.param([added(1), added(1)], id="added twice"),
        pytest.param([added(1), synced(2, 200, 1_000)], id="another count than the node's"),
        pytest.param([added(1), synced(1, 200, 1_001)], id="another fee than the node's"),
    ],
)
def test_what_cannot_be_is_a_gap(events: list[Event]) -> None:
    fold = MempoolFold(KEYS)
    *before, last = events
    for event in before:
        fold.apply(event)
    with pytest.raises(StreamGap):
        fold.apply(last)


async def test_reset_empties_memory_and_redis(client: redis.Client) -> None:
    fold = MempoolFold(KEYS)
    fold.apply(added(1))
    fold.apply(synced(1, 200, 1_000))
    await carry_out(client, fold.flush(at(NOW * 1000)))
    fold.apply(MempoolReset(cause="test", node="main"))
    fold.apply(added(2))
    await carry_out(client, fold.flush(at(NOW * 1000 + 5_000)))
    assert await client.hkeys(KEYS.state(domains.MEMPOOL)) == [bytes.fromhex(txid(2))]
    assert await client.hget(KEYS.checkpoint(domains.MEMPOOL), "synced") is None


def test_views_come_at_most_once_a_second_and_a_last_time_after_the_last_event() -> None:
    fold = MempoolFold(KEYS)
    fold.apply(synced(0, 0, 0))
    assert len(fold.flush(at(NOW * 1000)).events) == 1
    fold.apply(added(1))
    assert fold.flush(at(NOW * 1000 + UPDATE_MS - 1)).events == []
    assert fold.due_ms(at(NOW * 1000)) == NOW * 1000 + UPDATE_MS
    assert len(fold.flush(at(NOW * 1000 + UPDATE_MS)).events) == 1
    later = NOW * 1000 + 500_000
    assert fold.due_ms(at(later)) is None
    assert fold.flush(at(later)).events == []


def test_views_come_as_soon_as_a_mempool_is_complete_and_not_before() -> None:
    fold = MempoolFold(KEYS)
    for number, ms in enumerate([0, 10, 60_000]):
        fold.apply(added(number))
        assert fold.due_ms(at(NOW * 1000 + ms)) is None
        assert fold.flush(at(NOW * 1000 + ms)).events == []
    fold.apply(synced(3, 600, 3_000))
    assert fold.due_ms(at(NOW * 1000 + 60_001)) == NOW * 1000 + 60_001
    assert len(fold.flush(at(NOW * 1000 + 60_001)).events) == 1


def test_the_largest_are_right_after_any_change() -> None:
    chance = random.Random(1)
    fold = MempoolFold(KEYS)
    values: dict[int, int] = {}
    for number in range(400):
        if values and chance.random() < 0.3:
            gone = max(values, key=lambda one: values[one]) if chance.random() < 0.5 else chance.choice(list(values))
            del values[gone]
            fold.apply(TxRemoved(txid=txid(gone), reason="unknown"))
        else:
            values[number] = chance.randint(1, 50)  # many ties
            fold.apply(added(number, value=values[number]))
        expected = sorted(values, key=lambda one: (-values[one], one))[:50]
        shown = views(fold)["LargestView"]["transactions"]
        assert [one["txid"] for one in shown] == [txid(one) for one in expected]
