"""blockchain.info: a price in USD for each day since 2010, before any exchange of today existed."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from market.exchange import HIGHEST, decoded
from shared.errors import OutsideMalformed
from shared.outside.provider import Limit, Provider
from shared.series import DAY

PROVIDER: Final = Provider(
    "blockchain.info",
    "blockchain.info",
    "api.blockchain.info",
    "https://www.blockchain.com/explorer/api/charts_api",
    (Limit(10, 3_600),),
)
PATH: Final = "/charts/market-price?timespan=all&sampled=false&format=json"


class _Value(msgspec.Struct):
    x: int
    y: Decimal | None


class _Answer(msgspec.Struct):
    unit: str
    values: list[_Value]


def decode(body: bytes) -> dict[str, dict[int, Decimal]]:
    """Prices in USD by day (Unix time over 86,400); 0 stands for none there. Raises OutsideMalformed."""
    answer = decoded(_Answer, body, "blockchain.info")
    if answer.unit != "USD":
        raise OutsideMalformed(f"blockchain.info: the unit is {answer.unit[:40]!r}: expected USD")
    found = {
        one.x // DAY: one.y
        for one in answer.values
        if one.y is not None and one.y.is_finite() and 0 < one.y < HIGHEST and one.x > 0
    }
    if not found:
        raise OutsideMalformed("blockchain.info: no price in its answer")
    return {"USD": found}
