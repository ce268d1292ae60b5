"""The money of a currency area, as central banks count it: series of months, one mechanism around all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

import msgspec

from marketcap.answers import DAY, Answer, day, gathered, malformed, numeral, said, within

BACK: Final = 900 * DAY
"""Two and a half years are asked for: a year before the newest month is among them, however late that comes."""

MONTHS: Final = BACK // (30 * DAY)
"""The same, of sources that count in months."""

OLDEST: Final = 275 * DAY
"""Nine months: what ends earlier is a series that nobody keeps any more, and money that has grown since."""

MOST: Final = 10**19
"""Whole units of any currency: Indonesia counts some 10^16 rupiah, Iran 10^17 rial."""


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """The money of one month."""

    currency: str
    amount: Decimal  # whole units of the currency
    as_of: int  # Unix seconds, of the month's first day


@dataclass(frozen=True, slots=True)
class Series:
    """What one provider tells: which money, in which unit, and how the answer's lines are found."""

    title: str  # of the provider
    expected: str  # in words: "a CSV with ..."
    currency: str  # ISO 4217
    unit: int  # whole units of the currency in one of the figures
    lines: Callable[[bytes], Iterable[tuple[str, str]]]  # month (YYYY-MM or YYYY-MM-DD) and figure, in any order
    aggregate: str = "M2"
    note: str = ""  # why it is another aggregate than M2
    comparable: bool = True  # False: the source says that no growth follows from its levels

    def decode(self, body: bytes, now: int) -> Answer[Amount]:
        """The money of each month, oldest first.

        An empty figure, or FRED's `.`, is a month without one, left out without a count. Raises OutsideMalformed, also
        where the newest month is older than nine months.
        """
        found = ((line[0] or "?", line) for line in self.lines(body))
        answer = gathered(self.title, self.expected, body, found, lambda line: self._amount(line, now), _month)
        rows = sorted(answer.rows, key=_month)
        if rows[-1].as_of < now - OLDEST:
            raise malformed(self.title, self.expected, f"a series that ends at {said(rows[-1].as_of)}", body)
        return Answer(tuple(rows), answer.refused)

    def _amount(self, line: tuple[str, str], now: int) -> Amount | None:
        month, figure = line
        if figure.strip() in {"", "."}:
            return None
        amount = within(numeral(figure, "the figure"), "the figure", most=MOST // self.unit) * self.unit
        return Amount(currency=self.currency, amount=amount, as_of=day(month, "the month", now))

    def newest(self, answer: Answer[Amount]) -> tuple[Amount, Decimal | None]:
        """The newest month, and its change in percent against the same month a year before.

        None where that month is not known, or levels are not comparable.
        """
        last = answer.rows[-1]
        before = [row for row in answer.rows if 364 * DAY <= last.as_of - row.as_of <= 366 * DAY]
        if not before or not self.comparable:
            return last, None
        return last, round((last.amount / before[0].amount - 1) * 100, 4)


def _month(amount: Amount) -> int:
    return amount.as_of


def since(now: int) -> date:
    """The day from which on months are asked for."""
    return datetime.fromtimestamp(now - BACK, UTC).date()


def month(text: str, form: str) -> str:
    """A day that a source writes in a form of its own (strptime's) as YYYY-MM; one in another form stays no date."""
    try:
        return datetime.strptime(text.strip(), form).replace(tzinfo=UTC).strftime("%Y-%m")
    except ValueError:
        return f"? {text}"


def figure(raw: msgspec.Raw) -> str:
    """A number of JSON, or a text that holds one, as it was written; null is an empty figure."""
    written = bytes(raw).decode("utf-8", "replace")
    return "" if written == "null" else written.removeprefix('"').removesuffix('"')
