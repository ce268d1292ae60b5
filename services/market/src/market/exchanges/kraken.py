"""Kraken: errors come with status 200, and bitcoin is XBT in what is asked over HTTP, BTC in what is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from market.exchange import (
    Candle,
    Candles,
    Exchange,
    Heard,
    Quotes,
    Refused,
    Said,
    candles_of,
    decoded,
    milliseconds,
    quoted,
)
from shared.errors import OutsideMalformed, OutsideRefused
from shared.outside.client import Conversation
from shared.outside.provider import Limit, Provider

_WHO: Final = "Kraken"
_CURRENCIES: Final = ("USD", "EUR", "JPY", "GBP", "CHF", "CAD", "AUD")
_NAMES: Final = {  # as answers spell a pair: the older ones have a letter before each side
    **{f"XXBTZ{currency}": currency for currency in _CURRENCIES},
    **{f"XBT{currency}": currency for currency in _CURRENCIES},
}
_LIMITED: Final = ("EAPI:Rate limit exceeded", "EGeneral:Too many requests")

PROVIDER: Final = Provider(
    "kraken", "Kraken", "api.kraken.com", "https://docs.kraken.com/api", (Limit(1, 1), Limit(300, 600))
)


class _Quote(msgspec.Struct):
    a: list[Decimal | None]
    b: list[Decimal | None]
    c: list[Decimal | None]


class _Tickers(msgspec.Struct):
    error: list[str]
    result: dict[str, _Quote] = {}


class _Told(msgspec.Struct):
    symbol: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    timestamp: str = ""


class _Message(msgspec.Struct):
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"[]")
    success: bool = True
    error: str = ""


def ticker(body: bytes, currency: str) -> Quotes:
    """`{"error": [], "result": {"XXBTZUSD": {"a": [ask, …], "b": [bid, …], "c": [last, …]}}}`, all pairs at once."""
    del currency
    said = decoded(_Tickers, body, _WHO)
    _check(said.error)
    found = [
        _said(_NAMES[name], _first(quote.b), _first(quote.a), _first(quote.c), "")
        for name, quote in said.result.items()
        if name in _NAMES
    ]
    if not found:
        raise OutsideMalformed(f"{_WHO}: no pair that was asked for in {body[:80]!r}")
    return found


def _said(currency: str, bid: Decimal | None, ask: Decimal | None, last: Decimal | None, time: str) -> Said | Refused:
    try:
        return Said(currency, quoted(bid, ask, last, _WHO), milliseconds(time, _WHO) if time else None)
    except OutsideMalformed as error:  # the other pairs of the same message may be right
        return Refused(currency, str(error))


def _first(numbers: list[Decimal | None]) -> Decimal | None:
    return numbers[0] if numbers else None


def _check(errors: list[str]) -> None:
    if errors:
        kind = OutsideRefused if errors[0] in _LIMITED else OutsideMalformed
        raise kind(f"{_WHO} answers: {errors[0][:120]}")


def heard(raw: str | bytes) -> Quotes:
    """A message of the channel `ticker`; others have no quote."""
    said = decoded(_Message, raw, _WHO)
    if said.error or not said.success:
        raise OutsideMalformed(f"{_WHO} answers: {said.error[:120]}")
    if said.channel != "ticker":
        return ()
    return [
        _said(one.symbol[4:], one.bid, one.ask, one.last, one.timestamp)
        for one in decoded(list[_Told], bytes(said.data), _WHO)
        if one.symbol[:4] == "BTC/" and one.symbol[4:] in _CURRENCIES
    ]


def conversation() -> Heard:
    """Each message stands for itself."""
    return heard


_Row = tuple[int, Decimal | None, Decimal | None, Decimal | None, Decimal | None, Decimal | None, Decimal | None, int]


class _Past(msgspec.Struct):
    error: list[str]
    result: dict[str, list[_Row] | int] = {}


def candles(body: bytes) -> list[Candle]:
    """Rows of time, open, high, low, close, vwap, volume, count, below the pair's name; `last` is none."""
    said = decoded(_Past, body, _WHO)
    _check(said.error)
    for name, rows in said.result.items():
        if name in _NAMES and isinstance(rows, list):
            return candles_of((row[:5] for row in rows), _WHO)
    raise OutsideMalformed(f"{_WHO}: no candles in {body[:80]!r}")


def _past(currency: str, step: int, start: int, end: int) -> str:
    del end
    return f"/0/public/OHLC?pair=XBT{currency}&interval={step // 60}&since={start - 1}"


_ALL: Final = "/0/public/Ticker?pair=" + ",".join(f"XBT{currency}" for currency in _CURRENCIES)
_SUBSCRIBE: Final = {
    "method": "subscribe",
    "params": {
        "channel": "ticker",
        "symbol": [f"BTC/{currency}" for currency in _CURRENCIES],
        "event_trigger": "bbo",
    },
}

EXCHANGE: Final = Exchange(
    PROVIDER,
    tickers=dict.fromkeys(_CURRENCIES, _ALL),
    ticker=ticker,
    candles=Candles(
        _past,
        candles,
        most=720,
        steps=(60, 3_600, 86_400),
        since=dict.fromkeys(_CURRENCIES, 1_381_017_600),
        newest=720,
    ),
    talk=Conversation("ws.kraken.com", "/v2", (msgspec.json.encode(_SUBSCRIBE).decode(),)),
    conversation=conversation,
)
