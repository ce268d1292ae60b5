"""Who tells the closes of all days at once: each is one file, and this list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from market.aggregates import blockchain_info, mempool_space
from shared.outside.provider import Provider


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What one of them declares."""

    provider: Provider
    path: str
    decode: Callable[[bytes], Mapping[str, Mapping[int, Decimal]]]  # by currency and day
    most: int  # bytes of an answer
    currencies: tuple[str, ...]


AGGREGATES: Final = (
    Aggregate(blockchain_info.PROVIDER, blockchain_info.PATH, blockchain_info.decode, 8_000_000, ("USD",)),
    Aggregate(
        mempool_space.PROVIDER,
        mempool_space.PATH,
        mempool_space.decode,
        mempool_space.MOST_BYTES,
        mempool_space.CURRENCIES,
    ),
)
