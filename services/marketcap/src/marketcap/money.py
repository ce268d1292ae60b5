"""The money of a currency area, as central banks count it: series of months."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec

from marketcap.answers import DAY, Answer, day, gathered, malformed, numeral, said, within

OLDEST: Final = 275 * DAY
"""Nine months: what ends earlier is a series that nobody keeps any more, and money that has grown since."""

MOST: Final = 10**19
"""Whole units of any currency: Indonesia counts some 10^16 rupiah, Iran 10^17 rial."""


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """The money of one month."""

    currency: str
    amount: Decimal  # whole units of the currency
    as_of: int  # Unix seconds, of the month's first day


def months(
    title: str, expected: str, body: bytes, lines: Iterable[tuple[str, ...]], currency: str, unit: int, now: int
) -> Answer[Amount]:
    """Months of a table's lines (date, figure), oldest first; figures are in `unit` of the currency.

    An empty figure, or FRED's `.`, is a month without one, left out without a count. Raises OutsideMalformed, also
    where the newest month is older than nine months.
    """

    def make(line: tuple[str, ...]) -> Amount | None:
        month, figure = line
        if figure.strip() in {"", "."}:
            return None
        amount = within(numeral(figure, "the figure"), "the figure", most=MOST // unit) * unit
        return Amount(currency=currency, amount=amount, as_of=day(month, "the month", now))

    answer = gathered(title, expected, body, ((line[0] or "?", line) for line in lines), make, lambda one: one.as_of)
    rows = sorted(answer.rows, key=lambda one: one.as_of)
    if rows[-1].as_of < now - OLDEST:
        raise malformed(title, expected, f"a series that ends at {said(rows[-1].as_of)}", body)
    return Answer(tuple(rows), answer.refused)


def newest(answer: Answer[Amount]) -> tuple[Amount, Decimal | None]:
    """The newest month, and its change against the same month a year before, percent; None where that is not known."""
    last = answer.rows[-1]
    before = [row for row in answer.rows if 364 * DAY <= last.as_of - row.as_of <= 366 * DAY]
    if not before:
        return last, None
    return last, round((last.amount / before[0].amount - 1) * 100, 4)
