"""Gemini: asked, since what it tells live is a whole order book."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from market.exchange import Candle, Candles, Exchange, Quotes, Said, candles_of, decoded, quoted
from shared.outside.provider import Limit, Provider

_WHO: Final = "Gemini"
_CURRENCIES: Final = ("USD", "EUR", "GBP")

PROVIDER: Final = Provider(
    "gemini", "Gemini", "api.gemini.com", "https://docs.gemini.com", (Limit(1, 1), Limit(90, 60))
)


class _Volume(msgspec.Struct):
    timestamp: int


class _Ticker(msgspec.Struct):
    bid: Decimal
    ask: Decimal
    last: Decimal
    volume: _Volume | None = None


def ticker(body: bytes, currency: str) -> Quotes:
    """`{"bid", "ask", "last", "volume": {…, "timestamp": milliseconds}}`."""
    said = decoded(_Ticker, body, _WHO)
    time_ms = said.volume.timestamp if said.volume else None
    return (Said(currency, quoted(said.bid, said.ask, said.last, _WHO), time_ms),)


_Row = tuple[int, Decimal | None, Decimal | None, Decimal | None, Decimal | None, Decimal | None]


def candles(body: bytes) -> list[Candle]:
    """Rows of milliseconds, open, high, low, close, volume."""
    rows = decoded(list[_Row], body, _WHO)
    return candles_of(((at // 1000, opened, high, low, close) for at, opened, high, low, close, _ in rows), _WHO)


_STEPS: Final = {60: "1m", 3_600: "1hr", 86_400: "1day"}


def _past(currency: str, step: int, start: int, end: int) -> str:
    del start, end  # it tells its newest ones, whoever asks
    return f"/v2/candles/btc{currency.lower()}/{_STEPS[step]}"


EXCHANGE: Final = Exchange(
    PROVIDER,
    tickers={currency: f"/v1/pubticker/btc{currency.lower()}" for currency in _CURRENCIES},
    ticker=ticker,
    candles=Candles(_past, candles, most=1_440, steps=tuple(_STEPS), since={"USD": 1_444_262_400}, newest=365),
)
