"""Bitstamp: all numbers are strings; what is told live are trades, and the longest daily candles come from here."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from market.exchange import Candle, Candles, Exchange, Heard, Quotes, Said, candles_of, decoded, priced, quoted
from shared.errors import OutsideMalformed, OutsideUnreachable
from shared.outside.client import Conversation
from shared.outside.provider import Limit, Provider

_WHO: Final = "Bitstamp"
_CURRENCIES: Final = ("USD", "EUR", "GBP")
_TRADES: Final = "live_trades_btc"

PROVIDER: Final = Provider(
    "bitstamp", "Bitstamp", "www.bitstamp.net", "https://www.bitstamp.net/api", (Limit(5, 1), Limit(600, 600))
)


class _Ticker(msgspec.Struct):
    timestamp: str
    bid: Decimal
    ask: Decimal
    last: Decimal


class _Trade(msgspec.Struct):
    price_str: Decimal
    microtimestamp: str


class _Message(msgspec.Struct):
    event: str
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


def ticker(body: bytes, currency: str) -> Quotes:
    """`{"timestamp", "bid", "ask", "last", …}`, `timestamp` in seconds."""
    said = decoded(_Ticker, body, _WHO)
    return (Said(currency, quoted(said.bid, said.ask, said.last, _WHO), _whole(said.timestamp) * 1000),)


def heard(raw: str | bytes) -> Quotes:
    """A trade; other messages have no quote, and one asks for a new connection."""
    said = decoded(_Message, raw, _WHO)
    if said.event == "bts:error":
        raise OutsideMalformed(f"{_WHO} answers: {bytes(said.data)[:120]!r}")
    if said.event == "bts:request_reconnect":
        raise OutsideUnreachable(f"{_WHO} asks for a new connection")
    currency = said.channel.removeprefix(_TRADES).upper()
    if said.event != "trade" or currency not in _CURRENCIES:
        return ()
    trade = decoded(_Trade, bytes(said.data), _WHO)
    return (Said(currency, priced(trade.price_str, _WHO), _whole(trade.microtimestamp) // 1000),)


def _whole(number: str) -> int:
    if not number.isdecimal() or len(number) > 16:
        raise OutsideMalformed(f"{_WHO}: {number[:40]!r} is no time: expected a whole number")
    return int(number)


def conversation() -> Heard:
    """Each message stands for itself."""
    return heard


class _Row(msgspec.Struct):
    timestamp: str
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None


class _Rows(msgspec.Struct):
    ohlc: list[_Row]


class _Past(msgspec.Struct):
    data: _Rows


def candles(body: bytes) -> list[Candle]:
    """`{"data": {"ohlc": [{"timestamp", "open", "high", "low", "close", …}]}}`."""
    rows = decoded(_Past, body, _WHO).data.ohlc
    return candles_of(((_whole(row.timestamp), row.open, row.high, row.low, row.close) for row in rows), _WHO)


def _past(currency: str, step: int, start: int, end: int) -> str:
    return f"/api/v2/ohlc/btc{currency.lower()}/?step={step}&limit={(end - start) // step}&start={start}"


def _subscription(currency: str) -> str:
    channel = {"channel": _TRADES + currency.lower()}
    return msgspec.json.encode({"event": "bts:subscribe", "data": channel}).decode()


EXCHANGE: Final = Exchange(
    PROVIDER,
    tickers={currency: f"/api/v2/ticker/btc{currency.lower()}/" for currency in _CURRENCIES},
    ticker=ticker,
    candles=Candles(
        _past,
        candles,
        most=1_000,
        steps=(60, 3_600, 86_400),
        since={"USD": 1_313_625_600, "EUR": 1_460_764_800, "GBP": 1_581_552_000},
    ),
    talk=Conversation("ws.bitstamp.net", "/", tuple(_subscription(currency) for currency in _CURRENCIES)),
    conversation=conversation,
)
