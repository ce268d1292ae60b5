from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from shared.networks import NETWORKS
from shared.views import HalvingView, MempoolView, RetargetView, TipView
from support.web_harness import until
from support.web_samples import chain, health, known, mempool
from web.compat.adjustment import difficulty_adjustment
from web.state.snapshot import Snapshot

FULL = Snapshot(NETWORKS["main"], views=known(chain(), mempool()), read_at=time.time())


async def test_overview_has_the_shape_of_the_contract(http: aiohttp.ClientSession, site: Any) -> None:
    async with http.get("/api/v1/overview") as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        found = await response.json()
    s = site.site.state.snapshot
    tip, halving, retarget, pool = s[TipView], s[HalvingView], s[RetargetView], s[MempoolView]
    assert found == {
        "network": "main",
        "chain": {
            "height": 954_210, "hash": tip.hash, "time": tip.time, "difficulty": tip.difficulty,
            "hashrate": tip.hashrate, "supply": tip.supply,
        },
        "halving": {
            "height": 1_050_000, "blocks_remaining": 95_790,
            "estimated_time": halving.upcoming[0].estimated_time, "subsidy": 156_250_000,
        },
        "retarget": {
            "height": 955_584, "blocks_remaining": 1_374, "progress_percent": retarget.progress_percent,
            "difficulty_change_percent": 4.87, "estimated_time": retarget.estimated_time,
        },
        "mempool": {
            "count": 38_412, "vsize": 21_870_334, "total_fee": pool.total_fee, "min_fee_rate": 1.0,
        },
        "fees": {"fastestFee": 9, "halfHourFee": 6, "hourFee": 4, "economyFee": 2, "minimumFee": 1},
        "prices": None,
        "as_of": min(s.truth[domain].true_ms for domain in ("chain", "mempool")) // 1000,
    }  # fmt: skip


async def test_documents_of_mempool_space_and_esplora(http: aiohttp.ClientSession, site: Any) -> None:
    async def get(path: str) -> Any:
        async with http.get(path) as response:
            assert response.status == 200, path
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            return (
                json.loads(await response.read())
                if response.content_type == "application/json"
                else await response.text()
            )

    assert await get("/api/v1/fees/recommended") == {
        "fastestFee": 9, "halfHourFee": 6, "hourFee": 4, "economyFee": 2, "minimumFee": 1,
    }  # fmt: skip
    blocks = await get("/api/v1/fees/mempool-blocks")
    assert len(blocks) == 8
    assert set(blocks[0]) == {"blockSize", "blockVSize", "nTx", "totalFees", "medianFee", "feeRange"}
    assert len(blocks[0]["feeRange"]) == 7
    pool = await get("/api/mempool")
    assert set(pool) == {"count", "vsize", "total_fee", "fee_histogram"}
    rates = [rate for rate, _ in pool["fee_histogram"]]
    assert rates == sorted(rates, reverse=True)
    assert await get("/api/blocks/tip/height") == "954210"
    assert await get("/api/blocks/tip/hash") == site.site.state.snapshot[TipView].hash
    adjustment = await get("/api/v1/difficulty-adjustment")
    assert adjustment["nextRetargetHeight"] == 955_584
    assert adjustment["estimatedRetargetDate"] == pytest.approx((time.time() + 1374 * 572.114) * 1000, abs=5_000)


@pytest.mark.parametrize(
    ("network", "tip_time", "offset"),
    [("main", 1_660_917_166, 0), ("test", 1_660_917_166, -667_000), ("test", 1_660_917_833, 0)],
)
def test_difficulty_adjustment_has_the_values_of_mempool_space(network: str, tip_time: int, offset: int) -> None:
    """The first vectors of mempool/mempool's own test (backend/src/__tests__/api/difficulty-adjustment.test.ts)."""
    views = chain()
    tip = _with(views["tip"], height=750_134, time=tip_time)
    retarget = _with(
        views["retarget"], start_height=749_952, start_time=1_660_820_820, height=751_968, blocks_remaining=1_834,
        difficulty_change_percent=13.180707740199772, average_block_time_ms=533_038,
        previous_change_percent=0.6280047707459726,
    )  # fmt: skip
    snapshot = replace(
        FULL,
        network=NETWORKS[network],
        views={TipView: tip, RetargetView: retarget},
    )
    found = json.loads(difficulty_adjustment(snapshot, 1_660_917_833).body)
    assert found == {
        "progressPercent": pytest.approx(9.027777777777777),
        "difficultyChange": 13.180707740199772,
        "estimatedRetargetDate": 1_661_895_424_692,
        "remainingBlocks": 1_834,
        "remainingTime": 977_591_692,
        "previousRetarget": 0.6280047707459726,
        "previousTime": 1_660_820_820,
        "nextRetargetHeight": 751_968,
        "timeAvg": 533_038,
        "adjustedTimeAvg": 533_038,
        "timeOffset": offset,
        "expectedBlocks": pytest.approx(161.68833333333333),
    }


def _with(view: Any, **changes: Any) -> Any:
    return type(view)(**{name: getattr(view, name) for name in view.__struct_fields__} | changes)


async def test_a_part_that_is_missing_is_null_and_nothing_at_all_is_503(bare: Any, writer: Any) -> None:
    await until(lambda: bare.site.state.snapshot.read_at)
    async with aiohttp.ClientSession(bare.url) as http:
        async with http.get("/api/v1/overview") as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "5"
            error = (await response.json())["error"]
            assert set(error) == {"code", "message"}
        for path in ("/api/v1/fees/recommended", "/api/v1/fees/mempool-blocks", "/api/v1/difficulty-adjustment",
                     "/api/mempool", "/api/blocks/tip/height", "/api/blocks/tip/hash"):  # fmt: skip
            async with http.get(path) as response:
                assert response.status == 503
                assert response.content_type == "text/plain"
                assert await response.text() == "Service Unavailable"
                assert "ETag" not in response.headers
        await writer.mempool()
        await until(lambda: bare.site.state.snapshot[MempoolView])
        async with http.get("/api/v1/overview") as response:
            assert response.status == 200
            found = await response.json()
        assert found["chain"] is None
        assert found["halving"] is None
        assert found["mempool"]["count"] == 38_412


async def test_health_readiness_and_figures(bare: Any, writer: Any) -> None:
    await until(lambda: bare.site.state.snapshot.read_at)
    async with aiohttp.ClientSession(bare.url) as http:
        async with http.get("/healthz") as response:
            assert response.status == 200
        async with http.get("/readyz") as response:
            assert response.status == 503
            assert "chain: no state" in (await response.json())["error"]["message"]
        await writer.chain()
        await writer.mempool()
        await writer.all_well()
        await bare.ready()
        await until(lambda: bare.site.state.snapshot.services)
        async with http.get("/readyz") as response:
            assert response.status == 200, await response.text()
        async with http.get("/") as response:
            await response.read()
        async with http.get(f"{bare.admin}/metrics") as response:
            figures = await response.text()
        assert 'web_renders_total{path="/"} 1.0' in figures
        assert "web_redis_up 1.0" in figures
        assert 'web_push_clients{kind="pages"} 0.0' in figures


async def test_status_as_json(http: aiohttp.ClientSession, writer: Any, site: Any) -> None:
    await writer.health(health("mempool", age=60))
    await writer.redis.xadd(writer.keys.dead("mempool"), {"error": "poison"})
    await until(lambda: site.site.state.snapshot.dead.get("mempool"))
    async with http.get("/api/v1/status") as response:
        found = await response.json()
    assert not found["ready"]
    assert {service["service"]: service["state"] for service in found["services"]} == {
        "chain-ingest": "ok", "chain-metrics": "ok", "mempool": "down", "web": "ok",
    }  # fmt: skip
    assert found["notices"][0]["title"] == "mempool is down"
    assert found["dead_letters"] == {
        "chain": 0, "mempool": 1, "market": 0, "marketcap": 0, "explorer": 0, "treasuries": 0,
    }  # fmt: skip
    assert {stream["name"] for stream in found["streams"]} == {
        "blocks", "txs", "fees", "metrics", "series", "prices", "rankings", "changes", "ops", "treasuries",
    }  # fmt: skip
    assert found["redis"]["ok"] is True
