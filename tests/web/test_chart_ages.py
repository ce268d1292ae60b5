"""How old charts and the documents beside them are, and by which clock."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest

from shared import domains
from shared.keys import FOLDED_SEQ
from shared.series import DAY
from support.series_samples import Chain
from support.web_harness import Running, until
from web.charts.metrics import METRICS

OF_CHAIN = (
    *(f"/api/v1/charts/{metric}" for metric in ("difficulty", "hashrate", "tx-amount")),
    *(f"/charts/{metric}" for metric in ("difficulty", "hashrate", "tx-amount")),
    "/api/v1/largest-transactions?range=1y",
    "/api/v1/mining/hashrate/1y", "/api/v1/mining/difficulty-adjustments", "/api/v1/mining/pools/1y",
    *(f"/api/v1/mining/blocks/{name}/1w" for name in ("fees", "rewards", "fee-rates", "sizes-weights")),
)  # fmt: skip
OF_MEMPOOL = ("/api/v1/statistics/24h", "/api/v1/largest-transactions?range=mempool")
OF_BOTH = (
    "/charts", "/charts/tx-fees", "/charts/tx-volume", "/charts/tx-amount?range=mempool", "/api/v1/charts/tx-fees",
    "/api/v1/charts/tx-volume?format=csv", "/api/v1/charts/tx-amount?range=mempool",
)  # fmt: skip


async def test_charts_tell_when_they_were_last_known_to_be_true(
    api: aiohttp.ClientSession, history: tuple[Running, Chain], writer: Any
) -> None:
    """Each by the folds that its figures come from: chain-history stands still while chain-metrics goes on."""
    state = history[0].site.state

    async def ages(paths: tuple[str, ...]) -> set[int]:
        found = set()
        for path in paths:
            for headers in ({}, {"If-None-Match": "*"}):
                async with api.get(path, headers=headers) as response:
                    assert response.status in (200, 304), path
                    found.add(int(response.headers["Age"]))
        return found

    assert max(await ages((*OF_CHAIN, *OF_MEMPOOL, *OF_BOTH))) < 60
    seq = writer.seq.get(writer.keys.stream(domains.BLOCKS), 0)
    await writer.confirm("chain", age=300)
    for witness in state._witnesses.values():
        witness.truth, witness._kept = witness.truth, type(witness._kept)()
    await until(lambda: (state.age(("history",)) or 0) >= 300)
    await writer.redis.hset(writer.keys.views(domains.CHAIN), FOLDED_SEQ, seq + 9)
    await writer.confirm("chain", seq=seq + 9)
    await until(lambda: (state.age(("chain",)) or 99) < 60)
    assert min(await ages((*OF_CHAIN, *OF_BOTH))) >= 300
    assert max(await ages(OF_MEMPOOL)) < 60
    async with api.get("/api/v1/largest-transactions?range=1y") as response:
        true_ms = state.snapshot.truth["history"].true_ms
        assert true_ms is not None
        assert (await response.json())["as_of"] == true_ms // 1000
    async with api.get("/api/v1/blocks/tip/height") as response:
        assert "Age" not in response.headers  # nothing at this address
    async with api.get("/api/blocks/tip/height") as response:
        assert int(response.headers["Age"]) < 60


async def test_charts_end_now_by_the_clock_that_all_machines_share(
    api: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall clock of the machine that web runs on is a year ahead."""
    wall = time.time
    monkeypatch.setattr("time.time", lambda: wall() + 365 * DAY)
    for metric in METRICS:
        async with api.get(f"/api/v1/charts/{metric}?range=1w") as response:
            assert response.status == 200, metric
            assert abs((await response.json())["to"] - wall()) < 3_600, metric
    async with api.get("/api/v1/charts/hashrate", params={"from": str(int(wall() - DAY))}) as response:
        assert abs((await response.json())["to"] - wall()) < 3_600
    for path in ("mining/blocks/fees/24h", "mining/pools/24h", "statistics/2h"):
        async with api.get(f"/api/v1/{path}") as response:
            assert response.status == 200
            found = await response.json()
        assert found["pools"] if path.endswith("pools/24h") else found, path
