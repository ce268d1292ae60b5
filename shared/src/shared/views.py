"""The materialised state that folds write and web renders: one JSON document a view.

Units as in shared.events: satoshi, virtual bytes, Unix seconds unless the name ends in `_ms`, sat/vB for feerates.
Everything in a chain view follows from the chain alone, never from the clock, so that a rebuild gives the same bytes.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec

from shared.assets import HOLDERS, LISTS, Class, HolderKind, NodeCounts, Period, Source
from shared.events.base import Height, UnixSeconds
from shared.events.prices import Rejected


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


# --- of whoever asks somebody outside -------------------------------------------------------------------


class OutsideSource(View, frozen=True, kw_only=True):
    """How a source outside has answered. Times are Unix milliseconds by Redis' clock; None: never."""

    name: str
    title: str
    link: str
    state: Literal["ok", "waiting", "failing", "open", "off"]  # open: its circuit is, nobody asks it
    connected: bool  # whether it tells by itself now
    asked: int
    answered: int
    failed: int
    messages: int  # that it told by itself, since the service's replica is active
    refused: int  # quotes or rows of it that cannot be, likewise
    refused_why: str  # the last one
    well_ms: int | None
    error: str  # the last one
    error_ms: int | None
    again_ms: int | None  # when it is asked again at the earliest, where it is left alone
    limits: list[tuple[int, float]]  # requests in so many seconds


# --- of market -----------------------------------------------------------------------------------------


class PastPrice(View, frozen=True, kw_only=True):
    """A price of a while ago, and how the price has changed since."""

    time: UnixSeconds  # of that price
    price: Decimal
    percent: float


class PriceNow(View, frozen=True, kw_only=True):
    """What a bitcoin costs in one currency."""

    currency: str
    price: Decimal
    time_ms: int  # when the newest quote that it rests on was heard, by Redis' clock
    how: Literal["direct", "cross"]
    agreed: bool  # False: the sources disagree
    sources: list[str]
    rejected: list[Rejected]
    changes: dict[str, PastPrice]  # by `1h`, `24h`, `7d`, `30d`, `1y`; without those that are not known
    sample: bool = False


class PricesView(View, frozen=True, kw_only=True):
    """What a bitcoin costs."""

    prices: dict[str, PriceNow]  # by currency
    fx_day: str  # of the ECB's rates, as ISO 8601 writes it; empty: there are none
    sample: bool  # whether the prices are made up, for a demonstration


class RecentPrices(View, frozen=True, kw_only=True):
    """The course over the last day, for sparklines."""

    since: UnixSeconds  # of the first point
    every: int  # seconds from one to the next
    courses: dict[str, list[float | None]]  # by currency, oldest first; None: not known


class QuoteNow(View, frozen=True, kw_only=True):
    """What one exchange said last."""

    source: str
    currency: str
    price: Decimal
    heard_ms: int
    verdict: str  # shared.prices.VERDICTS
    apart_percent: float | None  # from the price


class MarketSourcesView(View, frozen=True, kw_only=True):
    """Who is asked for prices, and what each said."""

    sources: list[OutsideSource]
    quotes: list[QuoteNow]


MARKET_VIEWS: Final[dict[str, type[View]]] = {
    "prices": PricesView,
    "price_recent": RecentPrices,
    "market_sources": MarketSourcesView,
}
"""Of market."""

# --- of marketcap --------------------------------------------------------------------------------------


class RankedAsset(View, frozen=True, kw_only=True):
    """One asset in a list."""

    rank: int  # from 1; assets of the same value share it, and the next one's counts them all
    id: str
    kind: Class
    name: str
    symbol: str
    country: str | None  # ISO 3166
    price_usd: Decimal  # of a unit
    quantity: Decimal
    unit: str
    value_usd: Decimal
    change_percent: Decimal | None  # over `period`
    period: Period | None
    index: Decimal | None  # value, where that of Bitcoin is 1; None: Bitcoin's is not known
    parity_usd: Decimal | None  # of one bitcoin, if all of them were worth as much; None: their number is not known
    share_percent: Decimal  # of the whole list
    claim_on: str | None  # stands for this asset
    source: str  # whose figures these are
    sources: tuple[Source, ...]
    as_of: UnixSeconds  # when the oldest of its live figures was last true
    estimate: bool  # whether a figure is only an estimate


class RankingView(View, frozen=True, kw_only=True):
    """The largest assets of one list, Bitcoin among them where its value is known."""

    rows: list[RankedAsset]
    total: int  # assets in the whole list
    bitcoin_rank: int | None
    as_of: UnixSeconds  # newest figure in it
    missing: list[str]  # what was looked at and is not in it, and why
    sample: bool = False


class OtherClaim(View, frozen=True, kw_only=True):
    """What a further source says of a holder."""

    satoshi: int
    source: str
    link: str
    as_of: UnixSeconds


class Treasury(View, frozen=True, kw_only=True):
    """One holder of bitcoin; None wherever it is not known."""

    rank: int
    name: str
    symbol: str | None
    country: str | None  # ISO 3166
    satoshi: int
    limit_percent: Decimal  # of 21 million
    supply_percent: Decimal | None  # of what there is
    value_usd: Decimal | None
    cost_usd: Decimal | None
    gain_usd: Decimal | None
    gain_percent: Decimal | None
    market_cap_usd: Decimal | None
    satoshi_a_share: Decimal | None
    source: str
    link: str
    as_of: UnixSeconds
    dated: bool  # False: the source gives no date, `as_of` is when it was asked
    others: list[OtherClaim]


class TreasuryChange(View, frozen=True, kw_only=True):
    """A holder held another amount, as one source says."""

    name: str
    kind: HolderKind
    before: int | None  # satoshi; None: was not known to the source
    after: int | None  # satoshi; None: is not known to the source any more
    as_of: UnixSeconds
    source: str
    link: str


class TreasuriesView(View, frozen=True, kw_only=True):
    """Who holds bitcoin, of one kind."""

    rows: list[Treasury]  # the largest
    holders: int  # all of the kind
    satoshi: int  # that all of them hold
    limit_percent: Decimal  # of 21 million
    value_usd: Decimal | None
    changes: list[TreasuryChange]  # newest first
    sample: bool = False


class NodesView(View, frozen=True, kw_only=True):
    """The reachable nodes of the network."""

    counts: NodeCounts
    height: int | None  # highest that a node told of
    as_of: UnixSeconds
    source: str
    link: str
    sample: bool = False


class AssetSourcesView(View, frozen=True, kw_only=True):
    """Who is asked for assets, holders and nodes, and how each has answered."""

    sources: list[OutsideSource]


RANKINGS: Final[dict[str, type[RankingView]]] = {
    name: type(f"Ranking_{name}", (RankingView,), {}, frozen=True, kw_only=True) for name in LISTS
}
TREASURIES: Final[dict[str, type[TreasuriesView]]] = {
    name: type(f"Treasuries_{name}", (TreasuriesView,), {}, frozen=True, kw_only=True) for name in HOLDERS
}
"""A type of its own for each list."""

MARKETCAP_VIEWS: Final[dict[str, type[View]]] = {
    **{f"ranking_{name}": view for name, view in RANKINGS.items()},
    **{f"treasuries_{name}": view for name, view in TREASURIES.items()},
    "nodes": NodesView,
    "asset_sources": AssetSourcesView,
}
"""Of marketcap; `ranking_all` is there as soon as anything is."""

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
