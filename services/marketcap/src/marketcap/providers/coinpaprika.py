"""CoinPaprika: coins with price, supply and value. No key; 20,000 requests a month."""

from __future__ import annotations

from typing import Final

import msgspec

from marketcap.answers import MONTH, Answer, Moment, Name, Number, decoder, gathered, numbered, percent, read, seconds
from marketcap.coins import Coin, coin

NAME: Final = "coinpaprika"
TITLE: Final = "CoinPaprika"
HOST: Final = "api.coinpaprika.com"
LINK: Final = "https://coinpaprika.com/"
LIMITS: Final = ((20_000, MONTH),)
EXPECTED: Final = "a list of coins with quotes in USD"


class _Quote(msgspec.Struct):
    price: Number
    market_cap: Number
    percent_change_24h: Number | None = None


class _Quotes(msgspec.Struct, rename={"usd": "USD"}):
    usd: _Quote


class _Ticker(msgspec.Struct):
    id: Name
    name: Name
    symbol: Name
    quotes: _Quotes
    last_updated: Moment
    circulating_supply: Number | None = None  # older answers have it; where it is missing the value tells


_answer = decoder(list[msgspec.Raw])
_row = decoder(_Ticker)


def path() -> str:
    """All coins, largest first."""
    return "/v1/tickers?quotes=USD"


def decode(body: bytes, now: int) -> Answer[Coin]:
    """The coins that are listed. Raises OutsideMalformed."""

    def make(raw: msgspec.Raw) -> Coin | None:
        ticker = _row.decode(raw)
        quote = ticker.quotes.usd
        return coin(
            id=ticker.id, symbol=ticker.symbol, name=ticker.name, price=quote.price, supply=ticker.circulating_supply,
            value=quote.market_cap, change=percent(quote.percent_change_24h, "percent_change_24h"),
            as_of=seconds(ticker.last_updated, "last_updated", now),
        )  # fmt: skip

    rows = read(TITLE, EXPECTED, _answer, body)
    return gathered(TITLE, EXPECTED, body, numbered(rows), make, lambda one: one.id)
