"""What an exchange declares, and what it says: quotes and candles, exact, and none that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple, TypeVar

import msgspec

from shared.errors import OutsideMalformed
from shared.outside.client import Conversation
from shared.outside.provider import Provider

T = TypeVar("T")

HIGHEST: Final = Decimal(10) ** 13
"""No currency has a bitcoin at so many units: what is above is no price."""

LOWEST: Final = Decimal("0.01")
"""What is below is none either: it would be shown, and kept, as nothing."""

WIDEST: Final = Decimal("0.10")
"""Of a price: bid and ask that lie further apart, or a last price further off, say nothing."""


class Said(NamedTuple):
    """One quote: what a bitcoin costs in a currency. `time_ms` by the exchange's own clock, None where it has none."""

    currency: str
    price: Decimal
    time_ms: int | None


class Refused(NamedTuple):
    """A quote that cannot be, among others in one message that can."""

    currency: str
    why: str


class Candle(NamedTuple):
    """One span of time at an exchange: its beginning in Unix seconds, and its prices."""

    time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


Quotes = Sequence[Said | Refused]

Heard = Callable[[str | bytes], Quotes]
"""Takes one message apart: no quote in one that is none. Raises OutsideError."""


@dataclass(frozen=True, slots=True)
class Candles:
    """Where an exchange tells its past. `path` is asked for (currency, step, from, to), Unix seconds, `to` excluded."""

    path: Callable[[str, int, int, int], str]
    decode: Callable[[bytes], list[Candle]]
    most: int  # candles in one answer
    steps: tuple[int, ...]  # seconds of one candle
    since: Mapping[str, int]  # Unix seconds of the first, by currency
    newest: int = 0  # only so many newest candles are told; 0: all


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange: its limits, its address, its decoding. Everything else is one mechanism around all of them."""

    provider: Provider
    tickers: Mapping[str, str]  # by currency: the path that is asked, the same for several that one answer tells
    ticker: Callable[[bytes, str], Quotes]  # takes the answer to the path of a currency apart
    candles: Candles
    talk: Conversation | None = None
    conversation: Callable[[], Heard] | None = None  # made anew for each connection

    @property
    def currencies(self) -> tuple[str, ...]:
        """What it trades against bitcoin, of what we show."""
        return tuple(self.tickers)


def decoded(kind: type[T], raw: str | bytes | msgspec.Raw, who: str) -> T:
    """The message as this type. Raises OutsideMalformed, which says what is wrong and how the message begins."""
    try:
        made: T = msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OutsideMalformed(f"{who}: {error}; it begins {_beginning(raw)!r}") from error
    return made


def _beginning(raw: str | bytes | msgspec.Raw) -> str | bytes:
    return bytes(raw)[:80] if isinstance(raw, msgspec.Raw) else raw[:80]


def priced(value: Decimal | None, who: str) -> Decimal:
    """A price that can be, to 28 digits. Raises OutsideMalformed."""
    if value is None or not value.is_finite() or not LOWEST <= value < HIGHEST:
        raise OutsideMalformed(f"{who}: {str(value)[:40]} is no price: expected {LOWEST} or more, below {HIGHEST:,}")
    return +value


def quoted(bid: Decimal | None, ask: Decimal | None, last: Decimal | None, who: str) -> Decimal:
    """The price that a ticker says: the middle of bid and ask, which must agree with each other and the last price."""
    below, above = priced(bid, who), priced(ask, who)
    if below > above:
        raise OutsideMalformed(f"{who}: the bid {below} is above the ask {above}")
    middle = (below + above) / 2
    if above - below > WIDEST * middle:
        raise OutsideMalformed(f"{who}: the bid {below} and the ask {above} lie too far apart")
    if last is not None and abs(priced(last, who) - middle) > WIDEST * middle:
        raise OutsideMalformed(f"{who}: the last price {last} is not between the bid {below} and the ask {above}")
    return middle


Row = tuple[int, Decimal | None, Decimal | None, Decimal | None, Decimal | None]
"""Time in Unix seconds, then open, high, low, close as they were told."""


def candles_of(rows: Iterable[Row], who: str) -> list[Candle]:
    """Those that can be, rising in time, each time once. Raises OutsideMalformed where none of them can."""
    found: dict[int, Candle] = {}
    wrong = ""
    for time, *prices in rows:
        try:
            made = Candle(time, *(priced(value, who) for value in prices))
        except OutsideMalformed as error:
            wrong = str(error)
            continue
        if made.low <= min(made.open, made.close) and max(made.open, made.close) <= made.high:
            found[time] = made
        else:
            wrong = f"{who}: {made} is no candle: expected the low lowest, and the high highest"
    if wrong and not found:
        raise OutsideMalformed(wrong)
    return sorted(found.values())


def milliseconds(moment: str, who: str) -> int:
    """Unix milliseconds of a moment as ISO 8601 writes it. Raises OutsideMalformed."""
    try:
        return int(datetime.fromisoformat(moment).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise OutsideMalformed(f"{who}: {moment[:40]!r} is no moment: expected ISO 8601") from error
