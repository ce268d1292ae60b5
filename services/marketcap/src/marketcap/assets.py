"""What is ranked: an asset of any class, and how one is made of what sources say. Pure: no clock, no question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from marketcap.coins import Coin
from marketcap.fx import Rates
from marketcap.stocks import Stock
from shared.assets import Asset, Class, Period, Source

__all__ = ["Asset", "Class", "Made", "Money", "Period", "Quote", "Source", "coins", "commodities", "currencies"]

_ISSUERS: Final = {
    "USD": ("US dollar", "US"), "EUR": ("Euro", "EU"), "JPY": ("Japanese yen", "JP"), "GBP": ("Pound sterling", "GB"),
    "CAD": ("Canadian dollar", "CA"), "AUD": ("Australian dollar", "AU"), "CHF": ("Swiss franc", "CH"),
}  # fmt: skip
"""Name and country (EU is reserved in ISO 3166 for the union) of each currency whose money is counted."""


class Made(msgspec.Struct, frozen=True):
    """Assets of one class, and why others that were looked at are not among them."""

    assets: tuple[Asset, ...]
    missing: tuple[str, ...] = ()


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A price with where it is from, as its provider's module says."""

    price: Decimal
    currency: str  # ISO 4217
    change: Decimal | None
    period: Period | None
    source: str
    link: str
    as_of: int  # Unix seconds, of the price
    fetched: int  # when the source last answered


def coins(rows: Iterable[Coin], source: str, link: str, fetched: int) -> Made:
    """The coins of one source, largest first.

    The largest of a symbol has the symbol as its id, so that it is the same asset whichever source tells of it; smaller
    ones of that symbol have the source's own name for them.
    """
    found: dict[str, Asset] = {}
    for row in sorted(rows, key=lambda one: -one.value):
        id = f"coin:{row.symbol}" if f"coin:{row.symbol}" not in found else f"coin:{source}:{row.id}"
        found[id] = Asset(
            id=id,
            kind="coin",
            name=row.name,
            symbol=row.symbol,
            price=row.price,
            quantity=row.supply,
            unit=row.symbol,
            value=row.value,
            change=row.change,
            period=None if row.change is None else "24 h",
            claim_on=row.claim_on,
            sources=(
                Source(of="price", name=source, link=link, as_of=row.as_of),
                Source(
                    of="quantity",
                    name=source,
                    link=link,
                    as_of=row.as_of,
                    estimate=row.supply_derived,
                    note="Worked out from value and price" if row.supply_derived else "",
                ),
            ),
            seen=min(row.as_of, fetched),
        )
    return Made(tuple(found.values()))


def commodities(stocks: Iterable[tuple[Stock, int]], quotes: Mapping[str, Quote]) -> Made:
    """Commodities, each with the Unix seconds of its stock's date; quotes in USD by symbol."""
    found: list[Asset] = []
    missing: list[str] = []
    for stock, dated in stocks:
        quote = quotes.get(stock.symbol)
        if quote is None or quote.currency != "USD":
            missing.append(f"{stock.name}: no price in USD")
            continue
        found.append(
            Asset(
                id=f"commodity:{stock.symbol}",
                kind="commodity",
                name=stock.name,
                symbol=stock.symbol,
                price=quote.price,
                quantity=stock.quantity,
                unit=stock.unit,
                value=stock.quantity * quote.price,
                change=quote.change,
                period=quote.period,
                sources=(
                    Source(of="price", name=quote.source, link=quote.link, as_of=quote.as_of),
                    Source(
                        of="quantity",
                        name=stock.source,
                        link=stock.link,
                        as_of=dated,
                        estimate=stock.estimate,
                        note=stock.note,
                    ),
                ),
                seen=min(quote.as_of, quote.fetched),
            )
        )
    return Made(tuple(found), tuple(missing))


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """The money of a currency area, with where it is from."""

    currency: str  # ISO 4217
    amount: Decimal  # whole units
    change: Decimal | None  # percent in a year
    source: str
    link: str
    as_of: int  # Unix seconds, of the month
    fetched: int
    note: str = ""  # which money it is, where it is not M2


def currencies(found: Iterable[Money], rates: Rates | None) -> Made:
    """Currencies: the price is that of one unit in USD, the quantity M2, or what is counted in its place.

    One without a rate is left out and named.
    """
    made: list[Asset] = []
    missing: list[str] = []
    for money in found:
        code = money.currency
        price = Decimal(1) if code == "USD" else rates.dollars(Decimal(1), code) if rates else None
        value = money.amount if code == "USD" else rates.dollars(money.amount, code) if rates else None
        if price is None or value is None:
            missing.append(f"{code}: no rate against USD")
            continue
        name, country = _ISSUERS.get(code, (code, code[:2]))
        quantity = Source(of="quantity", name=money.source, link=money.link, as_of=money.as_of, note=money.note)
        rate = (
            (Source(of="rate", name=rates.source, link=rates.link, as_of=rates.as_of),)
            if rates and code != "USD"
            else ()
        )
        made.append(
            Asset(
                id=f"currency:{code}",
                kind="currency",
                name=name,
                symbol=code,
                country=country,
                price=price,
                quantity=money.amount,
                unit=code,
                value=value,
                change=money.change,
                period=None if money.change is None else "year",
                sources=(quantity, *rate),
                seen=min([money.fetched, *(one.as_of for one in rate)]),
            )
        )
    return Made(tuple(made), tuple(missing))
