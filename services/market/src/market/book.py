"""What each exchange said last, and what is held against it: its age, its clock, that it repeats itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Final

from market.exchange import Said
from market.index import Opinion, Verdict

FRESH_MS: Final = 60_000
"""What was heard longer ago counts no more."""

FROZEN_MS: Final = 300_000
"""Who says the same price of the same moment for so long, over and over, repeats itself."""

SKEW_MS: Final = 120_000
"""How far the clock of an exchange may be from those of the others: what it says is that late, or early."""

QUORUM: Final = 3
"""Clocks that tell whether it is ours that is wrong."""


@dataclass(slots=True)
class Quote:
    """The last of one source in one currency. Milliseconds by Redis' clock, but `time_ms` by the source's own."""

    price: Decimal
    time_ms: int | None
    heard_ms: int
    moved_ms: int  # since when it has been saying this


class Book:
    """All of them."""

    def __init__(self) -> None:
        self._quotes: dict[str, dict[str, Quote]] = {}  # by currency and source

    def hear(self, source: str, said: Said, now_ms: int) -> bool:
        """Take one quote down; returns whether the source says something else than before."""
        held = self._quotes.setdefault(said.currency, {})
        before = held.get(source)
        same = before is not None and (before.price, before.time_ms) == (said.price, said.time_ms)
        moved_ms = before.moved_ms if before is not None and same else now_ms
        held[source] = Quote(said.price, said.time_ms, now_ms, moved_ms)
        return not same

    def set_back(self, now_ms: int) -> None:
        """The clock was set back to this: nothing was heard later."""
        for held in self._quotes.values():
            for quote in held.values():
                quote.heard_ms, quote.moved_ms = min(quote.heard_ms, now_ms), min(quote.moved_ms, now_ms)

    def forget(self, source: str) -> None:
        """Take out all that a source has said."""
        for held in self._quotes.values():
            held.pop(source, None)

    def sources(self) -> set[str]:
        """Everybody who has said anything."""
        return {source for held in self._quotes.values() for source in held}

    def quotes(self, currency: str) -> dict[str, Quote]:
        """By source."""
        return self._quotes.get(currency, {})

    @property
    def currencies(self) -> Iterable[str]:
        """Those that anybody has quoted."""
        return self._quotes.keys()

    def heard_ms(self, source: str, currency: str) -> int:
        """When this source last quoted the currency; 0: never."""
        quote = self.quotes(currency).get(source)
        return 0 if quote is None else quote.heard_ms

    def opinions(self, currency: str, now_ms: int) -> list[Opinion]:
        """What is said of a currency now, with what is held against it."""
        clocks = self._clocks(now_ms)
        reference = median(clocks.values()) if len(clocks) >= QUORUM else 0.0
        return [
            Opinion(source, quote.price, _against(quote, clocks.get(source), reference, now_ms))
            for source, quote in self.quotes(currency).items()
        ]

    def _clocks(self, now_ms: int) -> dict[str, int]:
        """How far each source's clock is ahead of ours: by its newest moment, since some pairs are seldom traded.

        Where enough of them agree that they are, it is ours that is wrong.
        """
        found: dict[str, int] = {}
        for held in self._quotes.values():
            for source, quote in held.items():
                if quote.time_ms is not None and now_ms - quote.heard_ms <= FRESH_MS:
                    ahead = quote.time_ms - quote.heard_ms
                    found[source] = max(found.get(source, ahead), ahead)
        return found


def _against(quote: Quote, ahead: int | None, reference: float, now_ms: int) -> Verdict | None:
    if now_ms - quote.heard_ms > FRESH_MS:
        return "late"
    if quote.heard_ms - quote.moved_ms > FROZEN_MS:
        return "frozen"
    if quote.time_ms is not None and ahead is not None and abs(ahead - reference) > SKEW_MS:
        return "its clock is wrong"
    return None
