"""The materialised state that folds write and web renders: one JSON document a view.

Units as in shared.events: satoshi, virtual bytes, Unix seconds unless the name ends in `_ms`, sat/vB for feerates.
Everything in a chain view follows from the chain alone, never from the clock, so that a rebuild gives the same bytes.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from shared.events.base import Height, UnixSeconds


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every view."""


# --- of chain-metrics ----------------------------------------------------------------------------------


class TipView(View, frozen=True, kw_only=True):
    """The tip of the best chain and what follows from it."""

    network: str
    height: Height
    hash: str
    time: UnixSeconds
    median_time: UnixSeconds
    bits: str  # hex
    difficulty: float
    chainwork: str  # hex
    hashrate: float  # H/s, estimated from work and time over the last 144 blocks
    hashrate_7d: float  # H/s, over the last 1,008 blocks
    hashrate_window: int  # blocks that `hashrate` really covers (fewer near genesis)
    hashrate_7d_window: int
    supply: int  # satoshi issued by the schedule
    subsidy: int  # satoshi, of the tip
    genesis_time: UnixSeconds
    hashrate_history: list[tuple[int, float]]  # (time, H/s) for a sparkline, oldest first, at most 100
    difficulty_history: list[tuple[int, float]]  # (time, difficulty), oldest first, at most 100


class Halving(View, frozen=True, kw_only=True):
    """One halving to come."""

    number: int
    height: int
    blocks_remaining: int
    estimated_time: int
    subsidy: int  # satoshi from then on


class HalvingView(View, frozen=True, kw_only=True):
    """The halvings to come, nearest first; empty once the subsidy is zero."""

    interval: int  # blocks between two
    subsidy: int  # satoshi, of the next block
    progress_percent: float  # of the present interval
    upcoming: list[Halving]


class RetargetView(View, frozen=True, kw_only=True):
    """The difficulty adjustment to come."""

    start_height: int  # first block of the present period
    start_time: int
    height: int  # first block with the new difficulty
    blocks_remaining: int
    progress_percent: float
    difficulty_change_percent: float  # estimate, clamped to what consensus allows
    estimated_time: int
    average_block_time_ms: int  # in the present period
    previous_change_percent: float | None  # of the last adjustment, where its period is known
    retargets: bool  # False: this network never adjusts (regtest)


class BlockRow(View, frozen=True, kw_only=True):
    """One of the last blocks."""

    height: int
    hash: str
    time: int
    tx_count: int
    size: int
    weight: int
    output_value: int
    subsidy: int
    fees: int
    fee_rate_avg: int
    fee_rate_percentiles: list[int]
    pool: str | None
    coinbase_tag: str


class BlocksView(View, frozen=True, kw_only=True):
    """The last blocks, newest first, at most 144."""

    blocks: list[BlockRow]


# --- of chain-history ----------------------------------------------------------------------------------


class HistoryView(View, frozen=True, kw_only=True):
    """How far back the series reach, and what the backfill still has to fetch."""

    network: str
    height: Height  # of the tip
    hash: str
    time: UnixSeconds
    first_header: Height  # headers are known from this height on
    floor_hash: str  # that the next headers below must end with; empty when genesis is known
    measured: int  # blocks whose statistics are known
    unavailable: int  # blocks that no node has given: pruned, or not readable
    missing: list[tuple[Height, Height]]  # heights without statistics, from and to, newest first; at most 100
    measured_from: Height | None  # lowest height above which no statistics are missing
    measured_from_time: UnixSeconds | None
    complete: bool  # nothing is left to fetch
    given_up: list[tuple[Height, Height]] = []  # the unavailable ones, as `missing`: wanted once a node has them


class ConfirmedTx(View, frozen=True, kw_only=True):
    """One of the largest transactions of a span of time."""

    txid: str
    value: int  # satoshi, sum of its outputs
    height: Height
    time: UnixSeconds  # of its block


class ConfirmedLargestView(View, frozen=True, kw_only=True):
    """The largest transactions in blocks since a moment, largest first, at most 50."""

    since: UnixSeconds  # Unix seconds; what is older does not count
    complete: bool  # whether every block since then is known
    transactions: list[ConfirmedTx]


# --- of mempool ----------------------------------------------------------------------------------------


class FeeBand(View, frozen=True, kw_only=True):
    """Transactions whose effective feerate lies in [from_rate, to_rate)."""

    from_rate: float  # sat/vB
    to_rate: float | None  # None: no upper end
    count: int
    vsize: int
    fee: int  # satoshi


class ProjectedBlock(View, frozen=True, kw_only=True):
    """A block as a miner would build it now; the last one holds all that is left."""

    tx_count: int
    size: int  # bytes
    vsize: int
    weight: int
    total_fees: int  # satoshi
    median_fee_rate: float  # sat/vB, by vsize
    fee_range: list[float]  # 7 points: lowest, 10, 25, 50, 75, 90 %, highest


class RecommendedFees(View, frozen=True, kw_only=True):
    """Whole sat/vB, as mempool.space's `/api/v1/fees/recommended` names them."""

    fastestFee: int
    halfHourFee: int
    hourFee: int
    economyFee: int
    minimumFee: int


class PreciseFees(View, frozen=True, kw_only=True):
    """sat/vB with their decimals, as mempool.space's `/api/v1/fees/precise` names them."""

    fastestFee: float
    halfHourFee: float
    hourFee: float
    economyFee: float
    minimumFee: float


class LargeTx(View, frozen=True, kw_only=True):
    """One of the largest transactions in the mempool."""

    txid: str
    value: int
    vsize: int
    fee: int
    time: int


class MempoolView(View, frozen=True, kw_only=True):
    """The mempool's totals."""

    count: int
    vsize: int
    weight: int
    total_fee: int
    min_fee_rate: float  # sat/vB
    usage: int  # bytes, as of the last comparison with the node
    max_usage: int
    vsize_per_second: float  # vB/s that came in over the last minute
    txs_per_second: float
    exact: bool  # no doubt since the last `mempool.synced`
    synced_ms: int | None  # when state and node were last seen to be equal
    as_of_ms: int


class FeesView(View, frozen=True, kw_only=True):
    """What the feerates are."""

    recommended: RecommendedFees
    projected_blocks: list[ProjectedBlock]  # at most 8
    histogram: list[FeeBand]  # every band, lowest first
    fee_histogram: list[tuple[float, int]]  # Esplora's form: (sat/vB, vsize), highest first
    precise: PreciseFees | None = None
    next_block_full: bool = True  # False: the next block will not be full, the minimum is enough


class LargestView(View, frozen=True, kw_only=True):
    """The largest transactions in the mempool, largest first, at most 50."""

    transactions: list[LargeTx]


CHAIN_VIEWS: Final[dict[str, type[View]]] = {
    "tip": TipView,
    "halving": HalvingView,
    "retarget": RetargetView,
    "blocks": BlocksView,
}
"""Fields of the hash `Keys.chain_views`."""

LARGEST_RANGES: Final = ("1d", "1w", "1m", "1y", "halving", "all")
"""Spans over which the largest confirmed transactions are kept: a day of 24 hours, else whole days in UTC."""

CONFIRMED_LARGEST: Final[dict[str, type[ConfirmedLargestView]]] = {
    name: type(f"ConfirmedLargest_{name}", (ConfirmedLargestView,), {}, frozen=True, kw_only=True)
    for name in LARGEST_RANGES
}
"""A type of its own for each of them."""

HISTORY_VIEWS: Final[dict[str, type[View]]] = {
    "history": HistoryView,
    **{f"largest_{name}": view for name, view in CONFIRMED_LARGEST.items()},
}
"""Fields of the hash `Keys.history_views`."""

MEMPOOL_VIEWS: Final[dict[str, type[View]]] = {
    "mempool": MempoolView,
    "fees": FeesView,
    "largest": LargestView,
}
"""Fields of the hash `Keys.mempool_views`."""


# --- of chain-ingest -----------------------------------------------------------------------------------


class Confirmed(View, frozen=True, kw_only=True):
    """What chain-ingest last saw of the node about one domain, as a hash at `Keys.confirmed`.

    Views that contain entry `seq` of the domain's stream were true at `time_ms`. Nobody confirms while the node does
    not answer, is behind, or is still loading: then the moment stays, and `incomplete` or the service's heartbeat says
    why.
    """

    seq: int  # entries of the stream that were published when node and stream agreed; 0: they never did
    time_ms: int  # when that was, by Redis' clock; 0: never
    node: str
    incomplete: str = ""  # why what the node has is not what the figures are called, in words for a person


# --- of every service ----------------------------------------------------------------------------------


class Health(View, frozen=True, kw_only=True):
    """A service instance's heartbeat, written every 2 s."""

    service: str
    instance: str
    state: Literal["starting", "ok", "degraded", "standby"]
    reason: str = ""  # why it is degraded, in words for a person
    version: str
    pid: int
    started_ms: int
    time_ms: int
    rss: int  # bytes of memory
    details: dict[str, str | int | float | None] = {}  # e.g. stream, lag, node, height, progress
