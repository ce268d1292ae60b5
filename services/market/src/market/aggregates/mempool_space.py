"""mempool.space: prices of seven currencies since 2011, of which the last of each day is taken."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from market.exchange import HIGHEST, decoded
from shared.errors import OutsideMalformed
from shared.outside.provider import Limit, Provider
from shared.series import DAY

PROVIDER: Final = Provider(
    "mempool.space", "mempool.space", "mempool.space", "https://mempool.space/docs/api", (Limit(10, 3_600),)
)
PATH: Final = "/api/v1/historical-price"
CURRENCIES: Final = ("USD", "EUR", "JPY", "GBP", "CHF", "CAD", "AUD")
MOST_BYTES: Final = 32_000_000


class _When(msgspec.Struct, gc=False):
    time: int = -1


class _Prices(msgspec.Struct, gc=False):
    USD: Decimal | None = None
    EUR: Decimal | None = None
    JPY: Decimal | None = None
    GBP: Decimal | None = None
    CHF: Decimal | None = None
    CAD: Decimal | None = None
    AUD: Decimal | None = None


class _Answer(msgspec.Struct):
    prices: list[msgspec.Raw]  # taken apart one by one: all at once take ten times the memory


_WHO: Final = "mempool.space"


def decode(body: bytes) -> dict[str, dict[int, Decimal]]:
    """Closes by currency and day (Unix time over 86,400). 0 and -1 stand for none there. Raises OutsideMalformed."""
    by_day: dict[int, list[msgspec.Raw]] = {}
    for raw in decoded(_Answer, body, _WHO).prices:
        time = _time(raw)
        if time >= 0:
            by_day.setdefault(time // DAY, []).append(raw)
    found: dict[str, dict[int, Decimal]] = {currency: {} for currency in CURRENCIES}
    for day, rows in by_day.items():
        missing = set(CURRENCIES)
        for raw in sorted(rows, key=_time, reverse=True):  # mostly the last one tells them all
            one = decoded(_Prices, raw, _WHO)
            told = {currency: price for currency in missing if _can_be(price := getattr(one, currency))}
            for currency, price in told.items():
                found[currency][day] = price
            missing -= told.keys()
            if not missing:
                break
    if not found["USD"]:
        raise OutsideMalformed(f"{_WHO}: no price in {body[:80]!r}")
    return found


def _time(raw: msgspec.Raw) -> int:
    return decoded(_When, raw, _WHO).time


def _can_be(price: Decimal | None) -> bool:
    return price is not None and price.is_finite() and 0 < price < HIGHEST
