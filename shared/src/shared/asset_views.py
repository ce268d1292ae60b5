"""What marketcap shows (shared.views): assets in their ranks, who holds bitcoin, which nodes can be reached."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from shared.assets import HOLDERS, LISTS, Class, HolderKind, NodeCounts, Period, Source
from shared.events.base import UnixSeconds
from shared.outside.standing import OutsideSource
from shared.views import View


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


class PublishedAddress(View, frozen=True, kw_only=True):
    """A Bitcoin address that a holder published as its own."""

    address: str
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
    addresses: tuple[PublishedAddress, ...] = ()  # that the holder published; the explorer asks what lies there
    key: str = ""  # of the holder: stays the same from one answer to the next


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
