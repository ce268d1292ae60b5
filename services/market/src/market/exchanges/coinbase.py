"""Coinbase Exchange: numbers come as strings, candles newest first with the low before the high."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from market.exchange import Candle, Candles, Exchange, Heard, Quotes, Said, candles_of, decoded, milliseconds, quoted
from shared.errors import OutsideMalformed
from shared.outside.client import Conversation
from shared.outside.provider import Limit, Provider

_WHO: Final = "Coinbase"
_CURRENCIES: Final = ("USD", "EUR", "GBP")

PROVIDER: Final = Provider(
    "coinbase",
    "Coinbase Exchange",
    "api.exchange.coinbase.com",
    "https://docs.cdp.coinbase.com/exchange",
    (Limit(5, 1), Limit(600, 600)),
)


class _Ticker(msgspec.Struct):
    bid: Decimal
    ask: Decimal
    price: Decimal
    time: str


class _Message(msgspec.Struct):
    type: str
    product_id: str = ""
    price: Decimal | None = None
    best_bid: Decimal | None = None
    best_ask: Decimal | None = None
    time: str = ""
    message: str = ""
    reason: str = ""


def ticker(body: bytes, currency: str) -> Quotes:
    """`{"ask", "bid", "price", "time", …}`, `time` that of the last trade."""
    said = decoded(_Ticker, body, _WHO)
    return (Said(currency, quoted(said.bid, said.ask, said.price, _WHO), milliseconds(said.time, _WHO)),)


def heard(raw: str | bytes) -> Quotes:
    """A message of the channel `ticker`; others have no quote."""
    said = decoded(_Message, raw, _WHO)
    if said.type == "error":
        raise OutsideMalformed(f"{_WHO} answers: {said.message[:80]} {said.reason[:80]}")
    if said.type != "ticker":
        return ()
    base, _, currency = said.product_id.partition("-")
    if base != "BTC" or currency not in _CURRENCIES:
        return ()
    price = quoted(said.best_bid, said.best_ask, said.price, _WHO)
    return (Said(currency, price, milliseconds(said.time, _WHO) if said.time else None),)


def conversation() -> Heard:
    """Each message stands for itself."""
    return heard


_Row = tuple[int, Decimal | None, Decimal | None, Decimal | None, Decimal | None, Decimal | None]


def candles(body: bytes) -> list[Candle]:
    """Rows of time, low, high, open, close, volume."""
    rows = decoded(list[_Row], body, _WHO)
    return candles_of(((at, opened, high, low, close) for at, low, high, opened, close, _ in rows), _WHO)


def _past(currency: str, step: int, start: int, end: int) -> str:
    first, last = (datetime.fromtimestamp(at, UTC).isoformat()[:19] for at in (start, end - step))
    return f"/products/BTC-{currency}/candles?granularity={step}&start={first}Z&end={last}Z"


EXCHANGE: Final = Exchange(
    PROVIDER,
    tickers={currency: f"/products/BTC-{currency}/ticker" for currency in _CURRENCIES},
    ticker=ticker,
    candles=Candles(
        _past,
        candles,
        most=300,
        steps=(60, 3_600, 86_400),
        since={"USD": 1_437_350_400, "EUR": 1_429_747_200, "GBP": 1_429_574_400},
    ),
    talk=Conversation(
        "ws-feed.exchange.coinbase.com",
        "/",
        (
            msgspec.json.encode(
                {
                    "type": "subscribe",
                    "product_ids": [f"BTC-{currency}" for currency in _CURRENCIES],
                    "channels": ["ticker", "heartbeat"],
                }
            ).decode(),
        ),
    ),
    conversation=conversation,
)
