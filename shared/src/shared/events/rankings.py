"""Events of rankings and treasuries, `{net:marketcap}:rankings`, and what makes them, `{net:marketcap}:assets`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from shared.assets import Asset, Claim, HolderKind, NodeCounts
from shared.events.base import Count, Event, Family, Satoshi, UnixMs, UnixSeconds

Word = Annotated[str, Meta(max_length=300)]
AssetClass = Literal["coin", "company", "commodity", "currency"]
ListName = Literal["all", "coins", "companies", "commodities", "currencies"]


class AssetsTold(Event, frozen=True, kw_only=True, gc=False):
    """All assets of one class as their sources tell of them now: what was told before of the class is over."""

    TYPE: ClassVar[str] = "assets.told"

    asset_class: AssetClass
    assets: list[Asset]
    missing: list[Word]  # what was looked at and is not among them, and why
    time_ms: UnixMs
    sample: bool = False  # True: made up, for a demonstration


class HoldersTold(Event, frozen=True, kw_only=True, gc=False):
    """Everybody who is said to hold bitcoin, by all sources."""

    TYPE: ClassVar[str] = "holders.told"

    claims: list[Claim]
    answered: list[Word]  # the sources whose answer is among them
    time_ms: UnixMs
    sample: bool = False


class NodesTold(Event, frozen=True, kw_only=True, gc=False):
    """The reachable nodes of the network, counted; None: what was told is over."""

    TYPE: ClassVar[str] = "nodes.told"

    counts: NodeCounts | None
    as_of: UnixSeconds  # of the snapshot
    height: Count | None  # highest that a node told of
    source: Word
    link: Word
    time_ms: UnixMs
    sample: bool = False


class HistoryForgotten(Event, frozen=True, kw_only=True, gc=False):
    """Somebody wants what was seen here alone to be forgotten: ranks of the past, and changes of holders."""

    TYPE: ClassVar[str] = "history.forgotten"

    time_ms: UnixMs


class RankingUpdated(Event, frozen=True, kw_only=True, gc=False):
    """A list of assets is another; at most one a second each."""

    TYPE: ClassVar[str] = "ranking.updated"

    asset_class: ListName
    as_of_ms: UnixMs  # newest figure in it
    sources: list[Word]  # whose figures are in it
    assets: Count
    bitcoin_rank: Count | None  # None: Bitcoin's price or supply is not known
    sample: bool = False


class TreasuryChanged(Event, frozen=True, kw_only=True, gc=False):
    """A holder of bitcoin holds more, less, for the first time or no more, as one source says."""

    TYPE: ClassVar[str] = "treasury.changed"

    holder: Word
    asset_class: HolderKind
    before: Satoshi | None  # None: the source did not know of it
    after: Satoshi | None  # None: the source does not know of it any more
    date: UnixSeconds  # that the source gives, else when it was seen
    source: Word
    sample: bool = False


ASSETS = Family(AssetsTold, HoldersTold, NodesTold, HistoryForgotten)
RANKINGS = Family(RankingUpdated, TreasuryChanged)
