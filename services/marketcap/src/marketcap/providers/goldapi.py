"""gold-api.com: spot prices of precious metals in USD a troy ounce. No key; an answer is good for 30 s at least."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec

from marketcap.answers import Answer, Moment, Number, Unfit, decoder, malformed, read, seconds, within

NAME: Final = "goldapi"
TITLE: Final = "gold-api.com"
HOST: Final = "api.gold-api.com"
LINK: Final = "https://gold-api.com/"
LIMITS: Final = ((4, 30),)
SYMBOLS: Final = ("XAU", "XAG", "XPT", "XPD")
MOST_PRICE: Final = 10**6


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """The price of a metal."""

    symbol: str  # ISO 4217: XAU, XAG, XPT, XPD
    price: Decimal  # USD a troy ounce
    as_of: int  # Unix seconds


class _Body(msgspec.Struct):
    symbol: str
    price: Number
    updatedAt: Moment
    currency: Literal["USD"] = "USD"  # older answers have none: USD is what is given without a question


_body = decoder(_Body)


def path(symbol: str) -> str:
    """The price of one metal."""
    return f"/price/{symbol}"


def decode(body: bytes, symbol: str, now: int) -> Answer[Spot]:
    """The price of this metal, one row. Raises OutsideMalformed."""
    expected = f"the price of {symbol} in USD"
    answer = read(TITLE, expected, _body, body)
    if answer.symbol != symbol:
        raise malformed(TITLE, expected, f"that of {answer.symbol!r:.40}", body)
    try:
        price = within(answer.price, "price", most=MOST_PRICE)
        as_of = seconds(answer.updatedAt, "updatedAt", now)
    except Unfit as error:
        raise malformed(TITLE, expected, error, body) from error
    return Answer((Spot(symbol=symbol, price=price, as_of=as_of),))
