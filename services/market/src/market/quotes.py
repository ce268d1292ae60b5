"""What each source said in each minute, kept so that the price of any of them can be worked out again."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from market.book import FRESH_MS, Book
from market.index import Judgement
from shared import redis, series
from shared.commit import Commands
from shared.domains import MARKET
from shared.keys import Keys
from shared.price_records import Quoted
from shared.price_views import PriceNow, QuoteNow
from shared.prices import PAIRS, VERDICTS, millionths
from shared.series import QUOTE_MINUTES
from shared.series_writer import SeriesWriter

_SILENT: Final = Quoted(0, VERDICTS.index("silent"))


class QuoteLog:
    """The series of them."""

    def __init__(self, keys: Keys) -> None:
        self.writer = SeriesWriter(QUOTE_MINUTES, keys, mirrored=False)

    async def load(self, client: redis.Client, keys: Keys) -> None:
        """Go on after what is in Redis."""
        there = await series.segments_of(client, keys, MARKET.slot)
        await self.writer.load(client, there.get(QUOTE_MINUTES.name, set()))

    def put(self, minute: int, book: Book, judgements: Mapping[str, Judgement], now_ms: int) -> None:
        """What was last said in a minute that is over."""
        self.writer.put(
            minute, tuple(self._of(source, currency, book, judgements, now_ms) for source, currency in PAIRS)
        )

    @staticmethod
    def _of(source: str, currency: str, book: Book, judgements: Mapping[str, Judgement], now_ms: int) -> Quoted:
        quote = book.quotes(currency).get(source)
        if quote is None or now_ms - quote.heard_ms > FRESH_MS or currency not in judgements:
            return _SILENT
        verdict = judgements[currency].verdicts.get(source, "silent")
        return Quoted(millionths(quote.price), VERDICTS.index(verdict))

    def flush(self, commands: Commands) -> None:
        """Commands for what was put since the last call."""
        self.writer.flush(commands)


def said_now(book: Book, judgements: Mapping[str, Judgement], prices: Mapping[str, PriceNow]) -> list[QuoteNow]:
    """What each source said last, with what became of it, and how far it is from the price."""
    return [
        QuoteNow(
            source=source,
            currency=currency,
            price=quote.price,
            heard_ms=quote.heard_ms,
            verdict=judgement.verdicts.get(source, "silent"),
            apart_percent=_apart(quote.price, prices.get(currency)),
        )
        for currency, judgement in judgements.items()
        for source, quote in sorted(book.quotes(currency).items())
    ]


def _apart(quoted: Decimal, price: PriceNow | None) -> float | None:
    return float((quoted / price.price - 1) * 100) if price is not None and price.price else None
