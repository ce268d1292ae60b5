"""The exchanges that are asked: each is one file, and this list."""

from __future__ import annotations

from typing import Final

from market.exchange import Exchange
from market.exchanges import bitfinex, bitstamp, coinbase, gemini, kraken

EXCHANGES: Final[tuple[Exchange, ...]] = (
    coinbase.EXCHANGE,
    kraken.EXCHANGE,
    bitstamp.EXCHANGE,
    bitfinex.EXCHANGE,
    gemini.EXCHANGE,
)
