"""Checks that several end-to-end tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.errors import RpcError
from shared.keys import FOLDED_SEQ
from shared.views import (
    BlocksView,
    FeesView,
    HalvingView,
    HistoryView,
    LargestView,
    MempoolView,
    RetargetView,
    TipView,
)
from support import oracle
from support.stack import Stack, until

LIVE = ("chain-ingest", "chain-metrics", "chain-history", "mempool")
"""Everything that makes figures of what happens now."""

_OF_THE_CLOCK = {"as_of_ms", "synced_ms", "txs_per_second", "vsize_per_second", "usage"}
"""Fields of the mempool's view that depend on when one looks."""


async def every_view(stack: Stack) -> dict[str, Any]:
    """All views as plain values, without what depends on the clock."""
    views = {}
    for kind in (TipView, HalvingView, RetargetView, BlocksView, MempoolView, FeesView, LargestView):
        view = await stack.view(kind)
        assert view is not None, f"{kind.__name__} is not there"
        plain = msgspec.to_builtins(view)
        views[kind.__name__] = {name: value for name, value in plain.items() if name not in _OF_THE_CLOCK}
    return views


async def history_complete(stack: Stack, limit: float = 90) -> None:
    """Return when every block of the node's chain is measured."""

    async def complete() -> bool:
        try:
            view = await stack.view(HistoryView)
            best = await stack.node.rpc("getbestblockhash")
        except (*redis.LOST, RpcError):
            return False
        return view is not None and view.complete and view.hash == best and view.measured == view.height + 1

    await until(complete, limit, "the history is complete")


async def history(stack: Stack) -> dict[str, Any]:
    """Everything that chain-history keeps, by key."""
    keys, found = stack.keys, {}
    for member in sorted(await stack.redis.smembers(keys.series_index("chain"))):
        name, _, segment = member.decode().rpartition(":")
        found[member.decode()] = await stack.redis.get(keys.series("chain", name, int(segment)))
    for key in (
        keys.state(domains.HISTORY),
        keys.history_recent,
        keys.history_largest,
        keys.history_pools,
        keys.views(domains.HISTORY),
    ):
        found[key] = await stack.redis.hgetall(key)
    del found[keys.views(domains.HISTORY)][FOLDED_SEQ.encode()]  # how long the stream is, not what the chain says
    return found


async def equals_fresh_build(stack: Stack, folder: Path) -> None:
    """Every view and series equals the one that new services make from the same node in an empty Redis.

    What the history still lacks is fetched first: it is complete, whatever happened to it.
    """
    if not stack.runs("backfill"):
        await stack.start("backfill", BACKFILL_LOAD="100")
    await stack.synced()
    await history_complete(stack)
    folder.mkdir()
    fresh = Stack(folder, node=stack.node, valkey=EmbeddedValkey(folder / "valkey"))
    await fresh.valkey.start()
    try:
        fresh.redis = await stack.connect(fresh.valkey)
        await fresh.start(*LIVE, "backfill", BACKFILL_LOAD="100")
        await fresh.synced()
        await history_complete(fresh)
        assert await every_view(stack) == await every_view(fresh)
        seen, expected = await history(stack), await history(fresh)
        assert seen.keys() == expected.keys()
        assert len(expected) > 10
        for key, value in expected.items():
            assert seen[key] == value, key
    finally:
        await fresh.stop_services()
        await fresh.redis.aclose()
        await fresh.valkey.stop()


async def kill(stack: Stack, victim: str, **env: str) -> None:
    """kill -9, then start again."""
    if victim == "redis":
        await stack.valkey.restart(kill=True)
    elif victim == "node":
        await stack.node.restart(kill=True)
    else:
        await stack.kill(victim)
        await stack.start(victim, **env)


async def equals_node(stack: Stack, limit: float = 30) -> None:
    """Count, total fee and histogram are the node's; each stream has each event exactly once."""
    await stack.synced(limit)
    fees = await stack.fees()
    rates = await oracle.effective_rates(stack.node)
    expected = oracle.histogram(rates, [band.from_rate for band in fees.histogram])
    assert [(band.count, band.vsize, band.fee) for band in fees.histogram] == expected
    transactions = await stack.entries(stack.keys.stream(domains.TXS))
    assert oracle.replay_transactions(transactions) == set(rates)
    height, tip = oracle.replay_blocks(await stack.entries(stack.keys.stream(domains.BLOCKS)))
    assert tip == await stack.node.rpc("getbestblockhash")
    assert height == await stack.node.rpc("getblockcount")
