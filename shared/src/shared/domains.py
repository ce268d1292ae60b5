"""Every service, stream and domain, declared once: keys, web's state and words, the runner, commands and docs follow.

A domain is what one service works out of one stream, or asks of what is outside: views that web renders, series that
charts rest on, and an event that says that they changed. Its keys lie in one slot with the stream of that event, and
with the one that it reads, so that one script can commit all of it; two domains may share a slot, and then `prefix`
keeps their keys apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared import keys as k
from shared import series
from shared.asset_views import MARKETCAP_VIEWS
from shared.events import backfill, blocks, derived, lookups, mempool, ops, prices, rankings, treasuries
from shared.events.base import Event, Family
from shared.explorer_views import SEEN_VIEWS, TIMELINE_VIEWS
from shared.keys import Keys
from shared.price_views import MARKET_VIEWS
from shared.series import Series
from shared.views import CHAIN_VIEWS, HISTORY_VIEWS, MEMPOOL_VIEWS, View


@dataclass(frozen=True, slots=True)
class Service:
    """One service: `work` completes "The service that …"; without an `essential` one there is nothing to show."""

    name: str
    work: str
    essential: bool = True
    within: str = ""  # the package that it is a part of, where it has none of its own

    @property
    def module(self) -> str:
        """What `python -m` runs."""
        name = self.name.replace("-", "_")
        return f"{self.within}.{name}" if self.within else name


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream `{net:SLOT}:NAME` of one producer. It keeps `keep` entries for readers who resume."""

    name: str
    slot: str
    owner: str  # of the service, or in words who writes to it
    family: Family
    keep: int
    called: str = ""  # as `/api/v1/events?streams=` names it; empty: between services alone
    private: bool = False  # only the operator is told
    several: bool = False  # writers without one count: `seq` is 0 where it follows nothing


@dataclass(frozen=True, slots=True)
class Domain:
    """What one fold makes of one stream, or one poller of its sources."""

    name: str
    title: str  # in a sentence: "the chain"
    owner: Service
    announces: Stream  # that its views or series changed
    views: Mapping[str, type[View]]  # the first says whether anything is known
    series: tuple[Series[Any], ...]
    waiting: str  # why there is nothing yet where everything works
    reads: Stream | None = None  # by a fold; a poller asks what is outside
    beginning: type[Event] | None = None  # in what is read: after this event nothing that came before matters
    prefix: str = ""  # of its keys' names, where another domain lies in the same slot
    inbox: Stream | None = None  # a second stream that is read, whose entries come in no order
    beside: tuple[Stream, ...] = ()  # further streams that are read in their own order, in any slots (shared.feeds)

    @property
    def slot(self) -> str:
        """Where all its keys lie; that its figures are true is confirmed for the slot as a whole."""
        return self.announces.slot

    @property
    def rests_on(self) -> tuple[Service, ...]:
        """The services without which nothing new comes: who publishes what it reads, and its owner."""
        writer = self.reads.owner if self.reads else ""
        return (*(one for one in SERVICES if one.name == writer and one is not self.owner), self.owner)


# --- services ------------------------------------------------------------------------------------------

INGEST: Final = Service("chain-ingest", "reads the node")
CHAIN_METRICS: Final = Service("chain-metrics", "works out the chain's figures")
CHAIN_HISTORY: Final = Service("chain-history", "keeps the chain's history", essential=False)
BACKFILL_WORKER: Final = Service("backfill", "fetches the chain's past", essential=False, within="chain_ingest")
MEMPOOL_FOLD: Final = Service("mempool", "works out the mempool's figures")
MARKET_SERVICE: Final = Service("market", "asks what a bitcoin costs", essential=False)
MARKETCAP_SERVICE: Final = Service("marketcap", "ranks Bitcoin among other assets", essential=False)
EXPLORER: Final = Service("explorer", "looks up transactions, blocks and addresses", essential=False)
WEB: Final = Service("web", "shows all of it")

SERVICES: Final = (
    INGEST, CHAIN_METRICS, CHAIN_HISTORY, BACKFILL_WORKER, MEMPOOL_FOLD, MARKET_SERVICE, MARKETCAP_SERVICE, EXPLORER,
    WEB,
)  # fmt: skip
"""In the order in which trouble spreads."""

# --- streams -------------------------------------------------------------------------------------------

BLOCKS: Final = Stream("blocks", "chain", INGEST.name, blocks.BLOCKS, k.BLOCKS_KEEP, "blocks")
TXS: Final = Stream("txs", "mempool", INGEST.name, mempool.MEMPOOL, k.STREAM_KEEP, "txs")
FEES: Final = Stream("fees", "mempool", MEMPOOL_FOLD.name, derived.FEES, k.BLOCKS_KEEP, "fees")
METRICS: Final = Stream("metrics", "chain", CHAIN_METRICS.name, derived.METRICS, k.BLOCKS_KEEP, "metrics")
SERIES: Final = Stream("series-updates", "chain", CHAIN_HISTORY.name, derived.SERIES, k.SERIES_KEEP, "series")
PRICES: Final = Stream("prices", "market", MARKET_SERVICE.name, prices.PRICES, k.SERIES_KEEP, "prices")
ASSETS: Final = Stream("assets", "marketcap", MARKETCAP_SERVICE.name, rankings.ASSETS, k.ASSETS_KEEP)
RANKINGS: Final = Stream(
    "rankings", "marketcap", MARKETCAP_SERVICE.name, rankings.RANKINGS, k.SERIES_KEEP, "rankings"
)  # fmt: skip
CHANGES: Final = Stream(
    "changes", "explorer", EXPLORER.name, lookups.CHANGES, k.CHANGES_KEEP, "changes", private=True, several=True
)  # fmt: skip
"""Private: it names what people look at."""

MOVES: Final = Stream("moves", "treasuries", EXPLORER.name, treasuries.MOVES, k.SERIES_KEEP, "treasuries")
OPS: Final = Stream("events", "ops", "every service", ops.OPS, k.OPS_KEEP, "ops", private=True)
BACKFILL: Final = Stream(
    "backfill",
    "chain",
    "the backfill's workers for chain-history alone, without `seq`; its entries go once they are folded",
    backfill.BACKFILL,
    k.BACKFILL_CAP,
)

STREAMS: Final = (BLOCKS, TXS, FEES, METRICS, SERIES, PRICES, RANKINGS, CHANGES, MOVES, OPS, BACKFILL, ASSETS)
"""In the order in which they are told."""

# --- domains -------------------------------------------------------------------------------------------

CHAIN: Final = Domain(
    name="chain",
    title="the chain",
    owner=CHAIN_METRICS,
    reads=BLOCKS,
    beginning=blocks.HeadersLoaded,
    announces=METRICS,
    views=CHAIN_VIEWS,
    series=(),
    waiting="No block has been published yet",
)
HISTORY: Final = Domain(
    name="history",
    title="the chain's history",
    owner=CHAIN_HISTORY,
    reads=BLOCKS,
    beginning=blocks.HeadersLoaded,
    announces=SERIES,
    views=HISTORY_VIEWS,
    series=series.CHAIN_SERIES,
    waiting="No block has been put into the history yet",
    prefix="history-",
    inbox=BACKFILL,
)
MEMPOOL: Final = Domain(
    name="mempool",
    title="the mempool",
    owner=MEMPOOL_FOLD,
    reads=TXS,
    beginning=mempool.MempoolReset,
    announces=FEES,
    views=MEMPOOL_VIEWS,
    series=series.MEMPOOL_SERIES,
    waiting="The mempool has not been read yet",
)

MARKET: Final = Domain(
    name="market",
    title="the price",
    owner=MARKET_SERVICE,
    announces=PRICES,
    views=MARKET_VIEWS,
    series=series.MARKET_SERIES,
    waiting="No exchange has said what a bitcoin costs yet",
)

MARKETCAP: Final = Domain(
    name="marketcap",
    title="the ranking of assets",
    owner=MARKETCAP_SERVICE,
    reads=ASSETS,
    beside=(PRICES, METRICS),
    announces=RANKINGS,
    views=MARKETCAP_VIEWS,
    series=(),
    waiting="No source has said yet what an asset is worth",
)

TIMELINE: Final = Domain(
    name="explorer",
    title="what happened to transactions",
    owner=EXPLORER,
    reads=TXS,
    beside=(BLOCKS,),
    announces=CHANGES,
    views=TIMELINE_VIEWS,
    series=(),
    waiting="No transaction has been told of yet",
    prefix="timeline-",
)

TREASURIES: Final = Domain(
    name="treasuries",
    title="what lies at published addresses",
    owner=EXPLORER,
    announces=MOVES,
    views=SEEN_VIEWS,
    series=(),
    waiting="No published address has been looked at yet",
)

DOMAINS: Final = (CHAIN, HISTORY, MEMPOOL, MARKET, MARKETCAP, TIMELINE, TREASURIES)

SLOTS: Final = tuple(dict.fromkeys(domain.slot for domain in DOMAINS))
"""Where domains lie: each has dead letters, and a record of when its figures were confirmed."""

FOLDS: Final = frozenset(domain.owner.name for domain in DOMAINS if domain.reads)
"""Services that read a stream through a group of their name: what they have not read is kept for them."""


def streams_of(keys: Keys, *, private: bool = True) -> dict[str, str]:
    """Keys of the streams that others may read, by what `/api/v1/events?streams=` calls them."""
    return {one.called: keys.stream(one) for one in STREAMS if one.called and (private or not one.private)}
