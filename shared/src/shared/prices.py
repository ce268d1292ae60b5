"""What a bitcoin costs: currencies, sources, and how a price is kept.

A price is a Decimal in units of its currency; in records it is a whole number of millionths.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

MILLION: Final = 1_000_000
"""Parts of a unit of a currency that records count."""

DIRECT: Final = ("USD", "EUR", "JPY", "GBP", "CHF", "CAD", "AUD")
"""Currencies that exchanges quote, in the order in which they are shown; each has a history of its own."""

FX: Final = (
    "USD", "JPY", "GBP", "CHF", "CAD", "AUD", "CNY", "INR", "KRW", "BRL", "MXN", "ZAR", "TRY", "SEK", "NOK", "DKK",
    "PLN", "CZK", "HUF", "RON", "BGN", "HRK", "RUB", "ISK", "ILS", "HKD", "SGD", "NZD", "THB", "IDR", "MYR", "PHP",
)  # fmt: skip
"""Currencies of which the rate against the euro is kept, in the order of the record: new ones are added at the end, in
a new layout. The last rate is kept of every currency that the ECB lists."""

TOLD_IN: Final = (*DIRECT, *sorted({*FX} - {*DIRECT, "BGN", "HRK", "RUB"}))
"""In what values can be told, as ISO 4217 spells it: what exchanges quote first. Not what is no more, or what the ECB
lists no more."""

BEGINNING: Final = 1_279_324_800
"""17 July 2010, midnight UTC, Unix seconds: the first day on which bitcoin was traded at an exchange."""

RATES_STAND: Final = 7
"""Days that a rate of the ECB stands for at most: it sets none at weekends and holidays."""

SOURCES: Final = {
    1: "market",
    2: "bitstamp",
    3: "coinbase",
    4: "kraken",
    5: "bitfinex",
    6: "gemini",
    7: "mempool.space",
    8: "blockchain.info",
    9: "cross",
    10: "sample",
}
"""Whose a price of the past is, by the number in its record: `market` is the median that was published here, `cross`
another currency's price through the rates of the European Central Bank."""

NUMBERS: Final = {name: number for number, name in SOURCES.items()}

PAIRS: Final = (
    *(("coinbase", currency) for currency in ("USD", "EUR", "GBP")),
    *(("kraken", currency) for currency in DIRECT),
    *(("bitstamp", currency) for currency in ("USD", "EUR", "GBP")),
    *(("bitfinex", currency) for currency in ("USD", "EUR", "GBP", "JPY")),
    *(("gemini", currency) for currency in ("USD", "EUR", "GBP")),
)
"""Who quotes what, in the order of the record: new ones are added at the end, in a new layout."""

VERDICTS: Final = ("silent", "used", "outlier", "late", "its clock is wrong", "frozen", "no cross")
"""What became of a quote, by the number in its record: each that is used weighs the same."""

WORTH: Final = {
    "market": 5, "bitstamp": 4, "coinbase": 4, "kraken": 4, "bitfinex": 4, "gemini": 4, "mempool.space": 3,
    "blockchain.info": 2, "cross": 1, "sample": 0,
}  # fmt: skip
"""What is worth more replaces what is worth less, and is never replaced by it."""


def millionths(price: Decimal) -> int:
    """A price as records keep it."""
    return int(price * MILLION)


def price_of(kept: int) -> Decimal:
    """The price that a record keeps."""
    return Decimal(kept) / MILLION
