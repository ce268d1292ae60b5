"""Where fees are told, and the fees of a quiet chain."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from shared.views import PreciseFees
from support.web_samples import mempool

FEES: Final = ("/api/v1/fees/recommended", "/api/v1/fees/precise", "/api/v1/fees/mempool-blocks", "/api/mempool")
"""Every address that says what a transaction should pay."""


def precise() -> dict[str, Any]:
    """The mempool of a quiet chain: the node accepts 0.1 sat/vB, and that is enough."""
    views = mempool(3, 900)
    low = PreciseFees(fastestFee=0.1, halfHourFee=0.1, hourFee=0.1, economyFee=0.1, minimumFee=0.1)
    return {**views, "fees": msgspec.structs.replace(views["fees"], precise=low, next_block_full=False)}
