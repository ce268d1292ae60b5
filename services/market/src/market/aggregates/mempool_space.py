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


class _Prices(msgspec.Struct, gc=False):
    time: int
    USD: Decimal | None = None
    EUR: Decimal | None = None
    JPY: Decimal | None = None
    GBP: Decimal | None = None
    CHF: Decimal | None = None
    CAD: Decimal | None = None
    AUD: Decimal | None = None


class _Answer(msgspec.Struct):
    prices: list[_Prices]


def decode(body: bytes) -> dict[str, dict[int, Decimal]]:
    """Closes by currency and day (Unix time over 86,400). 0 and -1 stand for none there. Raises OutsideMalformed."""
    last: dict[str, dict[int, tuple[int, Decimal]]] = {currency: {} for currency in CURRENCIES}
    for one in decoded(_Answer, body, "mempool.space").prices:
        for currency, days in last.items():
            price: Decimal | None = getattr(one, currency)
            if price is None or not price.is_finite() or not 0 < price < HIGHEST or one.time < 0:
                continue
            if one.time >= days.get(one.time // DAY, (0, price))[0]:
                days[one.time // DAY] = (one.time, price)
    if not last["USD"]:
        raise OutsideMalformed(f"mempool.space: no price in {body[:80]!r}")
    return {currency: {day: price for day, (_, price) in days.items()} for currency, days in last.items()}
