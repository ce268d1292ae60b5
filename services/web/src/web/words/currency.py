"""In which currency values are told beside their bitcoin. `counting` says which one is rendered in; without it, USD."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from shared.prices import TOLD_IN

COOKIE: Final = "currency"
"""The cookie with the currency that a reader has chosen."""

CURRENCIES: Final = TOLD_IN
"""What a reader may choose."""

USUAL: Final = "USD"
"""Where neither the reader nor the operator (`CURRENCY`) chose another."""

SYMBOLS: Final = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
"""Of currencies that everybody knows by one; the others go by their code."""

_COUNTED: ContextVar[str] = ContextVar("currency", default=USUAL)


def counted() -> str:
    """The currency that is rendered in now."""
    return _COUNTED.get()


@contextmanager
def counting(currency: str) -> Iterator[None]:
    """Render in this currency meanwhile."""
    token = _COUNTED.set(currency)
    try:
        yield
    finally:
        _COUNTED.reset(token)


def chosen(code: str | None) -> str | None:
    """The currency that a code asks for; None where it is none of ours."""
    code = (code or "").strip().upper()
    return code if code in CURRENCIES else None
