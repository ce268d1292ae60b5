"""The companies that are looked at, and what each is worth: price times shares, classes summed, converted to USD.

Shares are those of the newest filing at the SEC where it has one; else those that the table states, with their source
and date. The tables are `companies.csv`, of those that are ranked, and `holders.csv`, of those whose shares matter for
the bitcoin behind them alone; their first lines say what is in them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from importlib import resources
from itertools import groupby
from typing import Final

import msgspec

from marketcap.assets import Asset, Made, Quote, Source
from marketcap.fx import Rates
from marketcap.providers import sec
from shared.errors import ConfigError

COLUMNS: Final = ("name", "country", "symbol", "cik", "per", "shares", "as_of", "source", "link", "estimate")
FACTOR: Final = 2
"""How far a filing may be from the shares that are stated: further off it is of one class alone, or in other units."""


class ShareClass(msgspec.Struct, frozen=True, kw_only=True):
    """One class of a company's shares."""

    symbol: str  # as Yahoo spells it; of a class that is not listed, that of the one it is priced as
    per: Decimal  # shares that one of the symbol stands for: 5 where a receipt is for five
    shares: int | None  # stated; None: the SEC's alone
    as_of: int | None  # Unix seconds, of what is stated
    source: str
    link: str
    estimate: bool = False  # worked out, or not seen in the company's own document


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """One company; the first of its classes is priced for a filing's shares."""

    name: str
    country: str  # ISO 3166, of its seat
    cik: int | None  # at the SEC; None where it does not file there, or its classes are not alike
    classes: tuple[ShareClass, ...]

    @property
    def stated(self) -> int | None:
        """Shares of all classes as the table states them; None where it does not."""
        known = [one.shares for one in self.classes if one.shares is not None]
        return sum(known) if len(known) == len(self.classes) else None


def listed() -> tuple[Company, ...]:
    """The companies that are ranked."""
    return _table("companies.csv")


def holders() -> tuple[Company, ...]:
    """Further companies that hold bitcoin: what lies behind a share of them, not their rank."""
    return _table("holders.csv")


def unranked() -> frozenset[str]:
    """Assets that are looked at for the bitcoin behind them, and have no rank: others of their size are not known."""
    return frozenset(f"company:{company.classes[0].symbol}" for company in holders())


def _table(name: str) -> tuple[Company, ...]:
    return parsed(resources.files("marketcap").joinpath(name).read_text("utf-8"), name)


def parsed(text: str, table: str) -> tuple[Company, ...]:
    """The companies of a table of this name. Raises ConfigError, which names it and the line."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line and not line.startswith("#")]
    if not lines or tuple(lines[0][1].split(",")) != COLUMNS:
        raise ConfigError(f"{table}: expected the head {','.join(COLUMNS)}")
    rows = [(number, _row(table, number, next(csv.reader([line])))) for number, line in lines[1:]]
    found: dict[str, Company] = {}
    for name, group in groupby(rows, key=lambda one: one[1]["name"]):
        every = list(group)
        number, first = every[0]
        if name in found:
            raise ConfigError(f"{table}, line {number}: {name} stands in two places, expected its classes together")
        found[name] = Company(
            name=name,
            country=first["country"],
            cik=int(first["cik"]) if first["cik"] else None,
            classes=tuple(_share_class(table, number, row) for number, row in every),
        )
        if found[name].cik is None and found[name].stated is None:
            raise ConfigError(f"{table}, line {number}: {name} has neither a CIK nor shares, expected one of them")
    return tuple(found.values())


def _row(table: str, number: int, cells: list[str]) -> dict[str, str]:
    row = dict(zip(COLUMNS, (cell.strip() for cell in cells), strict=False))
    if len(cells) != len(COLUMNS):
        raise ConfigError(f"{table}, line {number}: {len(cells)} columns, expected {len(COLUMNS)}")
    if not row["name"] or not row["symbol"] or not re.fullmatch("[A-Z]{2}", row["country"]):
        raise ConfigError(f"{table}, line {number}: expected a name, a symbol, a country of two capital letters")
    if row["estimate"] not in ("", "yes"):
        raise ConfigError(f"{table}, line {number}: estimate is {row['estimate']!r}, expected yes or nothing")
    if not re.fullmatch("[0-9]{0,10}", row["cik"]):
        raise ConfigError(f"{table}, line {number}: cik is {row['cik']!r}, expected numbers")
    return row


def _share_class(table: str, number: int, row: Mapping[str, str]) -> ShareClass:
    try:
        shares = int(row["shares"]) if row["shares"] else None
        day = date.fromisoformat(row["as_of"]) if shares is not None else None
        per = Decimal(row["per"] or "1")
    except (ValueError, InvalidOperation) as error:
        raise ConfigError(f"{table}, line {number}: {error}; expected numbers, and a date with the shares") from error
    if per <= 0 or (
        shares is not None and (shares <= 0 or not row["source"] or not row["link"].startswith("https://"))
    ):
        raise ConfigError(f"{table}, line {number}: expected numbers above 0, and shares with source and link")
    return ShareClass(
        symbol=row["symbol"],
        per=per,
        shares=shares,
        as_of=int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) if day else None,
        source=row["source"],
        link=row["link"],
        estimate=row["estimate"] == "yes",
    )


def symbols(companies: Iterable[Company]) -> tuple[str, ...]:
    """All symbols to ask the price of, each once."""
    return tuple(dict.fromkeys(one.symbol for company in companies for one in company.classes))


def assets(
    companies: Iterable[Company], filed: Mapping[int, sec.Shares], quotes: Mapping[str, Quote], rates: Rates | None
) -> Made:
    """Each company at its value. `filed` by CIK, `quotes` by symbol. One that lacks a figure is left out and named."""
    found: list[Asset] = []
    missing: list[str] = []
    for company in companies:
        made = _asset(company, filed, quotes, rates)
        if isinstance(made, str):
            missing.append(f"{company.name}: {made}")
        else:
            found.append(made)
    return Made(tuple(found), tuple(missing))


def _asset(
    company: Company, filed: Mapping[int, sec.Shares], quotes: Mapping[str, Quote], rates: Rates | None
) -> Asset | str:
    """The asset, or what it lacks."""
    filing = _filing(company, filed)
    if filing is None and company.stated is None:
        return "no filing of its shares that can be used"
    first = company.classes[0]
    counted = (
        [(first, filing.shares)] if filing else [(one, one.shares) for one in company.classes if one.shares is not None]
    )
    value = Decimal(0)
    for part, shares in counted:
        quote = quotes.get(part.symbol)
        if quote is None:
            return f"no price of {part.symbol}"
        dollars = _dollars(quote.price, quote.currency, rates)
        if dollars is None:
            return f"no rate of {quote.currency} against USD"
        value += dollars * shares / part.per
    main = quotes[first.symbol]
    price = _dollars(main.price, main.currency, rates)
    asked = {part.symbol: quotes[part.symbol] for part, _ in counted}
    foreign = rates is not None and any(quote.currency != "USD" for quote in asked.values())
    return Asset(
        id=f"company:{first.symbol}",
        kind="company",
        name=company.name,
        symbol=first.symbol,
        country=company.country,
        price=price / first.per if price is not None else value,
        quantity=Decimal(sum(shares for _, shares in counted)),
        unit="share",
        value=value,
        change=main.change,
        period=main.period,
        sources=(
            *(Source(of="price", name=one.source, link=one.link, as_of=one.as_of) for one in asked.values()),
            *_shares_sources(company, filing),
            *((Source(of="rate", name=rates.source, link=rates.link, as_of=rates.as_of),) if rates and foreign else ()),
        ),
        seen=min(
            [
                *(min(one.as_of, one.fetched) for one in asked.values()),
                *([rates.as_of] if rates and foreign else []),
            ]
        ),
    )


def _dollars(amount: Decimal, currency: str, rates: Rates | None) -> Decimal | None:
    return amount if currency == "USD" else rates.dollars(amount, currency) if rates else None


def _filing(company: Company, filed: Mapping[int, sec.Shares]) -> sec.Shares | None:
    """The filing that counts; None where there is none, or it contradicts what the table states."""
    filing = filed.get(company.cik) if company.cik is not None else None
    stated = company.stated
    if filing is None or stated is None or stated / FACTOR <= filing.shares <= stated * FACTOR:
        return filing
    return None


def _shares_sources(company: Company, filing: sec.Shares | None) -> tuple[Source, ...]:
    if filing is not None:
        return (Source(of="quantity", name=sec.TITLE, link=filing.link, as_of=filing.as_of),)
    stated = (one for one in company.classes if one.as_of is not None)
    every = (
        Source(
            of="quantity",
            name=one.source,
            link=one.link,
            as_of=one.as_of or 0,
            estimate=one.estimate,
            note="Stated by hand, not asked",
        )
        for one in stated
    )
    return tuple(dict.fromkeys(every))
