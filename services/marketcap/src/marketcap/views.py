"""What is shown: the lists and tables as views. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal

from marketcap.ranking import Ranked
from marketcap.treasuries import COIN, SUPPLY_LIMIT, Change, Holding
from shared.asset_views import (
    RANKINGS,
    TREASURIES,
    OtherClaim,
    PublishedAddress,
    RankedAsset,
    RankingView,
    TreasuriesView,
    Treasury,
    TreasuryChange,
)
from shared.assets import MOST


def ranking(name: str, rows: Sequence[Ranked], missing: Iterable[str], *, sample: bool) -> RankingView:
    """One list: the largest assets, and Bitcoin wherever it stands."""
    own = next((row for row in rows if row.asset.kind == "bitcoin"), None)
    shown = list(rows[:MOST])
    if own is not None and own not in shown:
        shown.append(own)
    return RANKINGS[name](
        rows=[_row(one) for one in shown],
        total=len(rows),
        bitcoin_rank=own.rank if own else None,
        as_of=max((row.asset.seen for row in rows), default=0),
        missing=list(missing),
        sample=sample,
    )


def _row(row: Ranked) -> RankedAsset:
    asset = row.asset
    names = dict.fromkeys(source.name for source in asset.sources)
    return RankedAsset(
        rank=row.rank,
        id=asset.id,
        kind=asset.kind,
        name=asset.name,
        symbol=asset.symbol,
        country=asset.country,
        price_usd=_plain(asset.price),
        quantity=_plain(asset.quantity),
        unit=asset.unit,
        value_usd=round(asset.value, 2),
        change_percent=asset.change,
        period=asset.period,
        index=row.index,
        parity_usd=row.parity,
        share_percent=row.share,
        claim_on=asset.claim_on,
        source=", ".join(names),
        sources=tuple(dict.fromkeys(asset.sources)),
        as_of=asset.seen,
        estimate=asset.estimate,
    )


def _plain(value: Decimal) -> Decimal:
    """Without the digits that a division leaves behind."""
    return value if len(value.as_tuple().digits) <= 18 else round(value, max(0, 17 - value.adjusted()))


def treasuries(
    name: str,
    held: Sequence[Holding],
    changes: Collection[Change],
    price: Decimal | None,
    *,
    sample: bool,
) -> TreasuriesView:
    """One kind of holders, ranked among themselves."""
    total = sum(one.claim.satoshi for one in held)
    return TREASURIES[name](
        rows=[_treasury(place, one) for place, one in enumerate(held[:MOST], 1)],
        holders=len(held),
        satoshi=total,
        limit_percent=round(Decimal(100) * total / SUPPLY_LIMIT, 6),
        value_usd=None if price is None else round(Decimal(total) / COIN * price, 2),
        changes=[
            TreasuryChange(
                name=one.name, kind=one.kind, before=one.before, after=one.after, as_of=one.as_of, source=one.source,
                link=one.link,
            )
            for one in changes
        ],
        sample=sample,
    )  # fmt: skip


def _treasury(place: int, one: Holding) -> Treasury:
    claim = one.claim
    return Treasury(
        rank=place,
        name=claim.name,
        symbol=claim.symbol,
        country=claim.country,
        satoshi=claim.satoshi,
        limit_percent=one.share_of_limit,
        supply_percent=one.share_of_supply,
        value_usd=one.value,
        cost_usd=one.cost,
        gain_usd=one.gain,
        gain_percent=one.gain_percent,
        market_cap_usd=one.market_cap,
        satoshi_a_share=one.satoshi_a_share,
        source=claim.source,
        link=claim.filing or claim.link,
        as_of=claim.as_of,
        dated=claim.dated,
        others=[
            OtherClaim(satoshi=it.satoshi, source=it.source, link=it.filing or it.link, as_of=it.as_of)
            for it in one.others
        ],
        addresses=tuple(
            PublishedAddress(address=it.address, source=it.source, link=it.link, as_of=it.as_of) for it in one.addresses
        ),
        key=one.key,
    )
