"""State as the folds write it, with figures like those of mainnet and of a young regtest chain."""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from shared import domains
from shared.events.base import Event, entry_fields
from shared.events.blocks import BlockConnected
from shared.events.derived import MempoolUpdated, MetricsUpdated
from shared.events.mempool import TxAdded
from shared.keys import FOLDED_SEQ, Keys
from shared.networks import COIN, NETWORKS, RETARGET_INTERVAL, TARGET_SPACING, Network
from shared.views import (
    BlockRow,
    BlocksView,
    FeeBand,
    FeesView,
    Halving,
    HalvingView,
    Health,
    LargestView,
    LargeTx,
    MempoolView,
    PreciseFees,
    ProjectedBlock,
    RecommendedFees,
    RetargetView,
    TipView,
    View,
)
from web.state.truth import CONFIRMED_BY, Truth

State = Literal["starting", "ok", "degraded", "standby"]

POOLS = ("Foundry USA", "AntPool", "F2Pool", "ViaBTC", "SpiderPool", "MARA Pool", "Luxor", None, "OCEAN", "SECPOOL")
EDGES = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    10,
    12,
    15,
    20,
    30,
    40,
    50,
    60,
    70,
    80,
    90,
    100,
    125,
    150,
    175,
    200,
    250,
    300,
    400,
    500,
)


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def block_hash(network: str, height: int) -> str:
    """As many leading zeros as such a network's blocks have."""
    return ("0" * 19 if network == "main" else "0") + digest("block", network, height)[
        : 64 - (19 if network == "main" else 1)
    ]


def chain(network: str = "main", height: int = 954_210, now: float | None = None, age: int = 260) -> dict[str, Any]:
    """The views of chain-metrics at a height."""
    net = NETWORKS[network]
    when = int(now or time.time()) - age
    rng = random.Random(f"{network}{height}")
    main = network == "main"
    difficulty = 124_932_866_006_548.16 if main else 4.6565423739069247e-10
    hashrate = difficulty * 2**32 / TARGET_SPACING if main else 0.0035
    history = [
        (when - (99 - i) * 8 * 3600, hashrate * (0.9 + i / 1000 + 0.06 * math.sin(i / 4) + rng.uniform(-0.03, 0.03)))
        for i in range(100 if height > 100 else max(0, height))
    ]
    steps = [
        (when - (99 - i) * 8 * 3600, difficulty * (0.93 + 0.01 * (i // 14) if main else 1.0))
        for i in range(100 if height > 100 else max(0, height))
    ]
    tip = TipView(
        network=network,
        height=height,
        hash=block_hash(network, height),
        time=when,
        median_time=when - 3000,
        bits="170240c3" if main else "207fffff",
        difficulty=difficulty,
        chainwork="0" * 40 + "a" * 24,
        hashrate=hashrate,
        hashrate_7d=hashrate * 0.98,
        hashrate_window=min(144, height),
        hashrate_7d_window=min(1008, height),
        supply=net.supply(height),
        subsidy=net.subsidy(height),
        genesis_time=net.genesis_time,
        hashrate_history=history,
        difficulty_history=steps,
    )
    return {
        "tip": tip,
        "halving": halvings(net, height, when),
        "retarget": retarget(net, height, when),
        "blocks": BlocksView(blocks=[row(net, height - i, when - i * 571, rng) for i in range(min(144, height + 1))]),
    }


def halvings(net: Network, height: int, when: int) -> HalvingView:
    coming = []
    number = height // net.halving_interval + 1
    while number <= net.last_halving:
        at = number * net.halving_interval
        left = at - height
        coming.append(
            Halving(
                number=number,
                height=at,
                blocks_remaining=left,
                estimated_time=when + left * TARGET_SPACING,
                subsidy=net.subsidy(at),
            )
        )
        number += 1
    return HalvingView(
        interval=net.halving_interval,
        subsidy=net.subsidy(height + 1),
        progress_percent=height % net.halving_interval / net.halving_interval * 100,
        upcoming=coming,
    )


def retarget(net: Network, height: int, when: int) -> RetargetView:
    done = height % RETARGET_INTERVAL
    return RetargetView(
        start_height=height - done,
        start_time=when - done * 572,
        height=height - done + RETARGET_INTERVAL,
        blocks_remaining=RETARGET_INTERVAL - done,
        progress_percent=done / RETARGET_INTERVAL * 100,
        difficulty_change_percent=4.87 if net.retargets else 0.0,
        estimated_time=when + (RETARGET_INTERVAL - done) * 572,
        average_block_time_ms=572_114,
        previous_change_percent=-10.09 if net.retargets else None,
        retargets=net.retargets,
    )


def row(net: Network, height: int, when: int, rng: random.Random) -> BlockRow:
    main = net.name == "main"
    weight = rng.choice((3_993_221, 3_991_870, 3_998_402, 2_104_330)) if main else rng.randint(900, 60_000)
    low = rng.randint(1, 3)
    pool = rng.choice(POOLS) if main else None
    return BlockRow(
        height=height,
        hash=block_hash(net.name, height),
        time=when,
        tx_count=rng.randint(900, 5200) if main else rng.randint(1, 60),
        size=weight * 2 // 5,
        weight=weight,
        output_value=rng.randint(2_000, 30_000) * COIN,
        subsidy=net.subsidy(height),
        fees=rng.randint(900_000, 9_000_000) if main else rng.randint(0, 90_000),
        fee_rate_avg=low + 2,
        fee_rate_percentiles=[low, low, low + 1, low + 3, low + 9],
        pool=pool,
        coinbase_tag=f"/{pool or 'solo miner'}/ Mined by somebody" if main else "/bitcoin-dashboard/",
    )


def mempool(
    count: int = 38_412, vsize: int = 21_870_334, *, now: float | None = None, scale: float = 1.0, exact: bool = True
) -> dict[str, Any]:
    """The views of the mempool fold."""
    now = now or time.time()
    rng = random.Random(count)
    bands = []
    left = count
    for index, low in enumerate(EDGES):
        share = int(count * 0.46 * math.exp(-index / 2.4)) if count and index else 0
        share = min(share, left)
        left -= share
        size = int(share * vsize / count) if count else 0
        bands.append(
            FeeBand(
                from_rate=float(low),
                to_rate=float(EDGES[index + 1]) if index + 1 < len(EDGES) else None,
                count=share,
                vsize=size,
                fee=int(size * (low + 0.5)),
            )
        )
    blocks: list[ProjectedBlock] = []
    rest, rate = vsize, 9.4 * scale
    while rest > 0 and len(blocks) < 8:
        size = rest if len(blocks) == 7 else min(rest, 998_112)
        tx_count = max(1, int(size * count / vsize))
        blocks.append(
            ProjectedBlock(
                tx_count=tx_count,
                size=int(size * 1.7),
                vsize=size,
                weight=min(size, 998_112) * 4,
                total_fees=int(size * rate),
                median_fee_rate=round(rate, 3),
                fee_range=[
                    rate * 0.7,
                    rate * 0.75,
                    rate * 0.8,
                    rate,
                    rate * 1.3,
                    rate * 2,
                    rate * (22 if not blocks else 1.4),
                ],
            )
        )
        rest -= size
        rate = max(1.0, rate * 0.72)
    fast = max(1, round(9 * scale))
    view = MempoolView(
        count=count,
        vsize=vsize,
        weight=vsize * 4,
        total_fee=int(vsize * 2.31),
        min_fee_rate=1.0 if count < 1e5 else 1.31,
        usage=int(vsize * 5.4) + 1_000,
        max_usage=300_000_000,
        vsize_per_second=2364.4 if count > 1000 else 212.0,
        txs_per_second=6.3 if count > 1000 else 0.4,
        exact=exact,
        synced_ms=int(now * 1000) - 6_000,
        as_of_ms=int(now * 1000),
    )
    fees = FeesView(
        recommended=RecommendedFees(
            fastestFee=fast,
            halfHourFee=max(1, fast - 3),
            hourFee=max(1, fast - 5),
            economyFee=max(1, fast // 4),
            minimumFee=1,
        ),
        precise=PreciseFees(
            fastestFee=float(fast),
            halfHourFee=max(1.0, fast - 3),
            hourFee=max(1.0, fast - 5),
            economyFee=max(1.0, fast / 4),
            minimumFee=1.0,
        ),
        projected_blocks=blocks,
        histogram=bands,
        fee_histogram=[(band.from_rate, band.vsize) for band in reversed(bands) if band.vsize],
    )
    largest = sorted((int(1800 * COIN * rng.random() ** 4) + 91_000 for _ in range(min(50, count))), reverse=True)
    txs = [
        LargeTx(
            txid=digest("tx", count, i),
            value=value,
            vsize=rng.randint(110, 3_000),
            fee=rng.randint(400, 40_000),
            time=int(now) - i * 31,
        )
        for i, value in enumerate(largest)
    ]
    return {"mempool": view, "fees": fees, "largest": LargestView(transactions=txs)}


def health(
    service: str, state: State = "ok", *, reason: str = "", age: float = 0, now: float | None = None, **details: Any
) -> Health:
    at = int(((now or time.time()) - age) * 1000)
    return Health(
        service=service,
        instance=f"{service}@host",
        state=state,
        reason=reason,
        version="0.1.0",
        pid=4711,
        started_ms=at - 86_400_000,
        time_ms=at,
        rss=48_300_000,
        details=details,
    )


def known(*views: Mapping[str, View]) -> dict[type[View], View]:
    """The views as a snapshot holds them."""
    return {type(view): view for some in views for view in some.values()}


def truths(now: float | None = None, *, age: float = 0, incomplete: str = "") -> dict[str, Truth]:
    """Every domain confirmed `age` seconds ago."""
    at = int(((now or time.time()) - age) * 1000)
    return {name: Truth(at, "main") for name in CONFIRMED_BY} | {"mempool": Truth(at, "main", incomplete)}


NODE: dict[str, Any] = {"node": "main", "node_version": "/Satoshi:29.0.0/", "zmq": "connected"}


class Writer:
    """Writes to Redis as the folds, chain-ingest and the services do."""

    def __init__(self, redis: Any, network: str = "main", now: int | None = None) -> None:
        """`now` (Unix seconds) stands for Redis' clock where what is written must be the same each time."""
        self.redis = redis
        self.keys = Keys(network)
        self.network = network
        self.now = now
        self.seq: dict[str, int] = {}

    async def add(self, stream: str, *events: Event) -> list[bytes]:
        """Append events with their sequence, in one round trip."""
        pipeline = self.redis.pipeline(transaction=False)
        for event in events:
            self.seq[stream] = self.seq.get(stream, 0) + 1
            entry = "*" if self.now is None else f"{self.now * 1000}-{self.seq[stream]}"
            pipeline.execute_command("XADD", stream, entry, *entry_fields(event, self.seq[stream]))
        ids: list[bytes] = await pipeline.execute()
        return ids

    async def chain(self, views: dict[str, View] | None = None) -> None:
        """What chain-metrics commits: the views, and an event that names them."""
        views = views or chain(self.network, now=self.now)
        await self._commit("chain", self.keys.views(domains.CHAIN), self.keys.stream(domains.BLOCKS), views)
        tip = views["tip"]
        assert isinstance(tip, TipView)
        await self.add(
            self.keys.stream(domains.METRICS), MetricsUpdated(views=list(views), height=tip.height, hash=tip.hash)
        )

    async def mempool(self, views: dict[str, View] | None = None) -> None:
        """What the mempool fold commits."""
        views = views or mempool(now=self.now)
        await self._commit("mempool", self.keys.views(domains.MEMPOOL), self.keys.stream(domains.TXS), views)
        pool, fees = views["mempool"], views["fees"]
        assert isinstance(pool, MempoolView)
        assert isinstance(fees, FeesView)
        await self.add(
            self.keys.stream(domains.FEES),
            MempoolUpdated(
                count=pool.count,
                vsize=pool.vsize,
                total_fee=pool.total_fee,
                min_fee_rate=pool.min_fee_rate,
                recommended=fees.recommended,
                projected_blocks=fees.projected_blocks,
                histogram=fees.histogram,
            ),
        )

    async def _commit(self, domain: str, key: str, stream: str, views: dict[str, View]) -> None:
        raw: dict[str, bytes | int] = {name: msgspec.json.encode(view) for name, view in views.items()}
        await self.redis.hset(key, mapping=raw | {FOLDED_SEQ: self.seq.get(stream, 0)})
        await self.confirm(domain)

    async def confirm(self, domain: str, *, age: float = 0, seq: int | None = None, incomplete: str = "") -> None:
        """What chain-ingest writes while node and stream agree, here `age` seconds ago."""
        stream = self.keys.stream(domains.BLOCKS) if domain == "chain" else self.keys.stream(domains.TXS)
        seconds, micros = await self.redis.time() if self.now is None else (self.now, 0)
        moment = seconds * 1000 + micros // 1000 - int(age * 1000)
        said = {"seq": self.seq.get(stream, 0) if seq is None else seq, "time_ms": moment, "node": "main"}
        await self.redis.hset(self.keys.confirmed(domain), mapping={**said, "incomplete": incomplete})

    async def health(self, *reports: Health) -> None:
        """Heartbeats."""
        mapping = {report.instance: msgspec.json.encode(report) for report in reports}
        await self.redis.hset(self.keys.health, mapping=mapping)

    async def all_well(self) -> None:
        """Every service reports that it works."""
        await self.health(
            health("chain-ingest", now=self.now, height=954_210, **NODE),
            health("chain-metrics", now=self.now, stream="blocks", lag=0),
            health("mempool", now=self.now, stream="txs", lag=0, transactions=38_412),
            health("web", now=self.now, push_clients=2),
        )


def tx_added(number: int) -> TxAdded:
    return TxAdded(
        txid=digest("added", number),
        vsize=141 + number % 300,
        weight=561,
        size=222,
        fee=500 + number,
        value=number * 1_000,
        time=1_790_000_000 + number,
        parents=[],
        children=[],
        ancestor_fee=500,
        ancestor_vsize=141,
        replaceable=True,
    )


def block_connected(height: int) -> BlockConnected:
    return BlockConnected(
        height=height,
        hash=digest("b", height),
        prev_hash=digest("b", height - 1),
        time=1_790_000_000,
        median_time=1_789_999_000,
        bits="170240c3",
        difficulty=1.0,
        chainwork="00",
        tx_count=1,
        size=300,
        weight=1200,
        inputs=0,
        outputs=0,
        output_value=0,
        subsidy=COIN,
        fees=0,
        fee_rate_percentiles=[0] * 5,
        fee_rate_avg=0,
        coinbase_tag="",
        pool=None,
        largest=[],
        node="main",
    )
