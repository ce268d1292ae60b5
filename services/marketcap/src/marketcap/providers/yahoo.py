"""Yahoo Finance's chart: the price of one listed share or future. No key, no published limit: ours is modest."""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from urllib.parse import quote

import msgspec

from marketcap.answers import Answer, Number, Unfit, decoder, malformed, percent, read, seconds, within

NAME: Final = "yahoo"
TITLE: Final = "Yahoo Finance"
HOST: Final = "query1.finance.yahoo.com"
LINK: Final = "https://finance.yahoo.com/"
LIMITS: Final = ((30, 60), (1_000, 3_600))
EXPECTED: Final = "one chart with the price of"
MOST_PRICE: Final = 10**8

_RANGE: Final = "1d"
_PARTS: Final = {"GBp": "GBP", "GBX": "GBP", "ZAc": "ZAR", "ILA": "ILS"}
"""Yahoo's names of hundredths, in which London, Johannesburg and Tel Aviv quote."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """The last price of a share."""

    symbol: str
    price: Decimal  # in `currency`, whole units: pence are pounds already
    currency: str  # ISO 4217
    previous: Decimal | None  # close of the day before
    change: Decimal | None  # since then, percent
    as_of: int  # Unix seconds

    @property
    def link(self) -> str:
        """The page of the share, for people."""
        return f"{LINK}quote/{quote(self.symbol, safe='')}"


class _Meta(msgspec.Struct):
    symbol: str
    currency: str
    regularMarketPrice: Number
    regularMarketTime: int
    chartPreviousClose: Number | None = None
    previousClose: Number | None = None
    range: str = ""


class _Result(msgspec.Struct):
    meta: _Meta


class _Charts(msgspec.Struct):
    result: list[_Result]


class _Body(msgspec.Struct):
    chart: _Charts


_body = decoder(_Body)


def path(symbol: str) -> str:
    """The chart of one day. A longer one would have the close before its beginning in the place of yesterday's."""
    return f"/v8/finance/chart/{quote(symbol, safe='')}?range={_RANGE}&interval={_RANGE}"


def decode(body: bytes, symbol: str, now: int) -> Answer[Price]:
    """The price of this symbol, one row. Raises OutsideMalformed."""
    expected = f"{EXPECTED} {symbol}"
    charts = read(TITLE, expected, _body, body).chart.result
    if len(charts) != 1:
        raise malformed(TITLE, expected, f"{len(charts)} charts", body)
    meta = charts[0].meta
    if meta.symbol.upper() != symbol.upper():
        raise malformed(TITLE, expected, f"that of {meta.symbol!r:.40}", body)
    part = Decimal(100) if meta.currency in _PARTS else Decimal(1)
    try:
        currency = _currency(meta.currency)
        price = within(meta.regularMarketPrice, "regularMarketPrice", most=MOST_PRICE) / part
        as_of = seconds(meta.regularMarketTime, "regularMarketTime", now)
        before = meta.previousClose or (meta.chartPreviousClose if meta.range == _RANGE else None)
        previous = within(before, "the previous close", most=MOST_PRICE) / part if before else None
        change = percent((price / previous - 1) * 100, "the change since the previous close") if previous else None
    except Unfit as error:
        raise malformed(TITLE, expected, error, body) from error
    return Answer(
        (
            Price(
                symbol=symbol, price=price, currency=currency, previous=previous,
                change=None if change is None else round(change, 4), as_of=as_of,
            ),
        )
    )  # fmt: skip


def _currency(text: str) -> str:
    """The ISO 4217 code. Raises Unfit."""
    code = _PARTS.get(text, text)
    if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
        raise Unfit(f"currency is {text!r:.40}, expected three capital letters")
    return code
