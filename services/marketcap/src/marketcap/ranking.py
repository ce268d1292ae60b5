"""Bitcoin among all other assets: ranks, an index with Bitcoin = 1, and what one bitcoin would cost at parity.

Rounding: the index has six significant digits, prices at parity have cents, shares are percent with four decimals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal
from typing import Final

import msgspec

from marketcap.answers import DAY, WEEK
from marketcap.assets import Asset, Class, Source

COIN: Final = 10**8
_DIGITS: Final = Context(prec=6)
_CENT: Final = Decimal("0.01")


class Bitcoin(msgspec.Struct, frozen=True, kw_only=True):
    """Bitcoin itself: the market's price and the chain's supply. None where not known."""

    price: Decimal | None  # USD
    supply: int | None  # satoshi
    change: Decimal | None = None  # percent in 24 hours
    sources: tuple[Source, ...] = ()
    seen: int = 0  # Unix seconds: when the price was last true

    def asset(self) -> Asset | None:
        """Bitcoin as one of those that are ranked; None without a price or a supply."""
        if self.price is None or not self.supply:
            return None
        quantity = Decimal(self.supply) / COIN
        return Asset(
            id="bitcoin",
            kind="bitcoin",
            name="Bitcoin",
            symbol="BTC",
            price=self.price,
            quantity=quantity,
            unit="BTC",
            value=self.price * quantity,
            change=self.change,
            period=None if self.change is None else "24 h",
            sources=self.sources,
            seen=self.seen,
        )


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """One asset in a list."""

    rank: int  # from 1; assets of the same value share it, and the next one's counts them all
    asset: Asset
    index: Decimal | None  # value, where that of Bitcoin is 1; None while Bitcoin's is not known
    parity: Decimal | None  # USD for one bitcoin if all of them were worth as much; None without a supply
    share: Decimal  # percent of the value of the whole list
    age: int  # seconds since the oldest of its live figures was true
    moved: int | None = None  # places up (or down, below 0) since the list before; None where it was not in it


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """Lists of each class, Bitcoin in each of them, and of all assets."""

    lists: dict[Class, tuple[Ranked, ...]]
    every: tuple[Ranked, ...]  # without what stands for another asset
    dropped: tuple[str, ...]  # what was not heard of for a week, or stands in a list already, and why

    def rank(self, kind: Class | None = None) -> int | None:
        """Bitcoin's rank in the list of a class, or of all; None where it is not in it."""
        rows = self.every if kind is None else self.lists.get(kind, ())
        return next((row.rank for row in rows if row.asset.kind == "bitcoin"), None)

    def parity(self, asset_id: str) -> Decimal | None:
        """What one bitcoin would cost if Bitcoin were worth as much as this asset (`commodity:XAU`)."""
        rows = (row for rows in self.lists.values() for row in rows)
        return next((row.parity for row in rows if row.asset.id == asset_id), None)


CLASSES: Final[tuple[Class, ...]] = ("coin", "company", "commodity", "currency")


def ranked(assets: Iterable[Asset], bitcoin: Bitcoin, now: int, *, before: Ranking | None = None) -> Ranking:
    """All lists. What was not heard of for a week is dropped, Bitcoin as well; the first of two of one id stays.

    Without Bitcoin's price or supply it has no rank, and the others no index; they are listed all the same.
    """
    dropped: list[str] = []
    own = _fresh([one for one in (bitcoin.asset(),) if one is not None], now, dropped)
    others = _fresh([one for one in assets if one.kind != "bitcoin"], now, dropped)
    supply = Decimal(bitcoin.supply) / COIN if bitcoin.supply else None
    worth = own[0].value if own else None
    lists = {
        kind: _listed([*own, *(one for one in others if one.kind == kind)], worth, supply, now, _places(before, kind))
        for kind in CLASSES
    }
    unique = [*own, *(one for one in others if one.claim_on is None)]
    every = _listed(unique, worth, supply, now, _places(before, None))
    return Ranking(lists=lists, every=every, dropped=tuple(dropped))


def _fresh(assets: Iterable[Asset], now: int, dropped: list[str]) -> list[Asset]:
    kept: dict[str, Asset] = {}
    for asset in assets:
        if asset.id in kept:
            dropped.append(f"{asset.name}: {asset.id} is there a second time")
        elif now - asset.seen > WEEK:
            dropped.append(f"{asset.name}: not heard of for {(now - asset.seen) // DAY} days")
        elif not asset.value.is_finite() or asset.value <= 0:
            dropped.append(f"{asset.name}: its value is {asset.value}, expected above 0")
        else:
            kept[asset.id] = asset
    return list(kept.values())


def _listed(
    assets: Iterable[Asset], worth: Decimal | None, supply: Decimal | None, now: int, places: Mapping[str, int]
) -> tuple[Ranked, ...]:
    rows = sorted(assets, key=lambda one: (-one.value, one.name, one.id))
    total = sum((one.value for one in rows), Decimal(0))
    found: list[Ranked] = []
    for place, asset in enumerate(rows, 1):
        rank = found[-1].rank if found and found[-1].asset.value == asset.value else place
        old = places.get(asset.id)
        found.append(
            Ranked(
                rank=rank,
                asset=asset,
                index=None if worth is None else _DIGITS.divide(asset.value, worth),
                parity=None if supply is None else (asset.value / supply).quantize(_CENT),
                share=round(100 * asset.value / total, 4),
                age=max(0, now - asset.seen),
                moved=None if old is None else old - rank,
            )
        )
    return tuple(found)


def _places(before: Ranking | None, kind: Class | None) -> dict[str, int]:
    """Ranks by id in the list before."""
    if before is None:
        return {}
    rows = before.every if kind is None else before.lists.get(kind, ())
    return {row.asset.id: row.rank for row in rows}
