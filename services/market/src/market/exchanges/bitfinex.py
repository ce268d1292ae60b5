"""Bitfinex: lists without names, and in a conversation a number for each channel that was told at its beginning."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from market.exchange import Candle, Candles, Exchange, Heard, Quotes, Said, candles_of, decoded, quoted
from shared.errors import OutsideMalformed, OutsideUnreachable
from shared.outside.client import Conversation
from shared.outside.provider import Limit, Provider

_WHO: Final = "Bitfinex"
_CURRENCIES: Final = ("USD", "EUR", "GBP", "JPY")
_PAIR: Final = "tBTC"
_BID, _ASK, _LAST, _LENGTH = 0, 2, 6, 10
_RECONNECT: Final = (20051, 20060)

PROVIDER: Final = Provider(
    "bitfinex", "Bitfinex", "api-pub.bitfinex.com", "https://docs.bitfinex.com", (Limit(1, 2), Limit(250, 600))
)

_Numbers = list[Decimal | None]


def ticker(body: bytes, currency: str) -> Quotes:
    """`[bid, size, ask, size, change, change, last, volume, high, low]`, without a time."""
    return (Said(currency, _of(decoded(_Numbers, body, _WHO)), None),)


def _of(numbers: _Numbers) -> Decimal:
    if len(numbers) < _LENGTH:
        raise OutsideMalformed(f"{_WHO}: {len(numbers)} numbers: expected {_LENGTH} of a ticker")
    return quoted(numbers[_BID], numbers[_ASK], numbers[_LAST], _WHO)


class _Event(msgspec.Struct):
    event: str
    chanId: int = 0
    symbol: str = ""
    code: int = 0
    msg: str = ""


class _Conversation:
    def __init__(self) -> None:
        self._channels: dict[int, str] = {}

    def heard(self, raw: str | bytes) -> Quotes:
        if raw[:1] in ("{", b"{"):
            self._told(decoded(_Event, raw, _WHO))
            return ()
        message = decoded(tuple[int, msgspec.Raw], raw, _WHO)
        channel, data = message[0], bytes(message[1])
        currency = self._channels.get(channel)
        if currency is None or data == b'"hb"':
            return ()
        return (Said(currency, _of(decoded(_Numbers, data, _WHO)), None),)

    def _told(self, said: _Event) -> None:
        if said.event == "error":
            raise OutsideMalformed(f"{_WHO} answers: {said.msg[:80]} (code {said.code})")
        if said.code in _RECONNECT:
            raise OutsideUnreachable(f"{_WHO} asks for a new connection (code {said.code})")
        currency = said.symbol.removeprefix(_PAIR)
        if said.event == "subscribed" and currency in _CURRENCIES:
            self._channels[said.chanId] = currency


def conversation() -> Heard:
    """The numbers of its channels hold for one connection."""
    return _Conversation().heard


_Row = tuple[int, Decimal | None, Decimal | None, Decimal | None, Decimal | None, Decimal | None]


def candles(body: bytes) -> list[Candle]:
    """Rows of milliseconds, open, close, high, low, volume."""
    rows = decoded(list[_Row], body, _WHO)
    return candles_of(((at // 1000, opened, high, low, close) for at, opened, close, high, low, _ in rows), _WHO)


_STEPS: Final = {60: "1m", 3_600: "1h", 86_400: "1D"}


def _past(currency: str, step: int, start: int, end: int) -> str:
    span = f"start={start * 1000}&end={(end - step) * 1000}&sort=1&limit={(end - start) // step}"
    return f"/v2/candles/trade:{_STEPS[step]}:{_PAIR}{currency}/hist?{span}"


EXCHANGE: Final = Exchange(
    PROVIDER,
    tickers={currency: f"/v2/ticker/{_PAIR}{currency}" for currency in _CURRENCIES},
    ticker=ticker,
    candles=Candles(
        _past,
        candles,
        most=5_000,
        steps=tuple(_STEPS),
        since={"USD": 1_364_774_400, "EUR": 1_567_382_400, "GBP": 1_522_281_600, "JPY": 1_522_281_600},
    ),
    talk=Conversation(
        "api-pub.bitfinex.com",
        "/ws/2",
        tuple(
            msgspec.json.encode({"event": "subscribe", "channel": "ticker", "symbol": _PAIR + currency}).decode()
            for currency in _CURRENCIES
        ),
    ),
    conversation=conversation,
)
