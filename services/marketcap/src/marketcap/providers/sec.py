"""The SEC's frames: shares outstanding as every filer states them on the cover of its reports.

It wants a User-Agent with a contact, and at most 10 requests a second. A frame holds the facts of one quarter, so the
newest of each filer is looked for in several (`paths`, `newest`). Facts that a filer states for each class of its
shares apart are often missing from frames; where they are there, they are rows of one filing and are summed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Final, Literal

import msgspec

from marketcap.answers import DAY, Answer, Name, Number, Unfit, day, decoder, gathered, malformed, read, said, within

NAME: Final = "sec"
TITLE: Final = "SEC EDGAR"
HOST: Final = "data.sec.gov"
LINK: Final = "https://www.sec.gov/search-filings"
LIMITS: Final = ((10, 1),)
EXPECTED: Final = "a frame of dei:EntityCommonStockSharesOutstanding in shares"
QUARTERS: Final = 5
OLDEST: Final = 457 * DAY
"""15 months: a filer of yearly reports alone may be 12 months and the time to file late."""

MOST_SHARES: Final = 10**12
"""The largest banks of the world have some 4 * 10^11; more is a filer's mistake of scale."""

MOST_CIK: Final = 10**10


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """Shares outstanding of one filer."""

    cik: int
    name: str  # as the SEC has it
    shares: int
    classes: int  # that were summed
    filing: str  # accession number
    as_of: int  # Unix seconds, of the date on the cover

    @property
    def link(self) -> str:
        """The filing, for people."""
        return f"https://www.sec.gov/Archives/edgar/data/{self.cik}/{self.filing.replace('-', '')}/"


class _Frame(msgspec.Struct):
    tag: Literal["EntityCommonStockSharesOutstanding"]
    uom: Literal["shares"]
    data: list[msgspec.Raw]


class _Row(msgspec.Struct, frozen=True):
    accn: Name
    cik: int
    entityName: Name
    end: str
    val: Number


_frame = decoder(_Frame)
_fact = decoder(_Row)


def path(year: int, quarter: int) -> str:
    """The frame of one quarter, 1 to 4."""
    return f"/api/xbrl/frames/dei/EntityCommonStockSharesOutstanding/shares/CY{year}Q{quarter}I.json"


def paths(now: int) -> tuple[str, ...]:
    """The frames to ask, newest first: of this quarter (404 while nobody has filed) and those before."""
    today = datetime.fromtimestamp(now, UTC)
    last = today.year * 4 + (today.month - 1) // 3
    return tuple(path(place // 4, place % 4 + 1) for place in range(last, last - QUARTERS, -1))


def decode(body: bytes, now: int) -> Answer[Shares]:
    """Shares outstanding by filer. Raises OutsideMalformed.

    Left out and counted: a filing older than 15 months, of no share or of absurdly many, and the same fact twice.
    """
    frame = read(TITLE, EXPECTED, _frame, body)
    rows: dict[tuple[int, int, str], list[_Row]] = {}
    refused: list[str] = []
    for place, raw in enumerate(frame.data, 1):
        try:
            row = _fact.decode(raw)
            end = _checked(row, now)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, Unfit) as error:
            refused.append(f"row {place}: {error}"[:300])
            continue
        classes = rows.setdefault((row.cik, end, row.accn), [])
        if row in classes:
            refused.append(f"row {place}: {row.entityName:.60} states {row.val} shares a second time")
        else:
            classes.append(row)
    if not rows:
        why = f"no row that can be ({refused[0]}, and {len(refused) - 1} more)" if refused else "no row at all"
        raise malformed(TITLE, EXPECTED, why, body)
    found = ((f"CIK {cik}", (cik, end, classes)) for (cik, end, _), classes in sorted(rows.items(), reverse=True))
    newest = (next(filings) for _, filings in groupby(found, key=lambda one: one[1][0]))
    answer = gathered(TITLE, EXPECTED, body, newest, _summed, lambda one: one.cik)
    return Answer(answer.rows, (*refused, *answer.refused))


def _checked(row: _Row, now: int) -> int:
    """The date of a row that can be. Raises Unfit."""
    if not 0 < row.cik < MOST_CIK:
        raise Unfit(f"cik is {row.cik}, expected a number of at most 10 digits")
    within(row.val, f"val of {row.entityName:.60}", most=MOST_SHARES)
    if row.val != row.val.to_integral_value():
        raise Unfit(f"val of {row.entityName:.60} is {row.val}, expected whole shares")
    end = day(row.end, f"end of {row.entityName:.60}", now)
    if end < now - OLDEST:
        raise Unfit(f"{row.entityName:.60} last filed as of {said(end)}: older than 15 months")
    return end


def _summed(filing: tuple[int, int, list[_Row]]) -> Shares:
    cik, end, classes = filing
    total = sum((row.val for row in classes), Decimal(0))
    within(total, f"the sum of the classes of {classes[0].entityName:.60}", most=MOST_SHARES)
    return Shares(
        cik=cik,
        name=classes[0].entityName.strip(),
        shares=int(total),
        classes=len(classes),
        filing=classes[0].accn,
        as_of=end,
    )


def newest(answers: Iterable[Answer[Shares]]) -> dict[int, Shares]:
    """Of each filer, by CIK, what it stated last."""
    latest: dict[int, Shares] = {}
    for answer in answers:
        for row in answer.rows:
            if row.cik not in latest or row.as_of > latest[row.cik].as_of:
                latest[row.cik] = row
    return latest
