"""The rates of the European Central Bank: all of them in one file, newest first.

`eurofxref-hist.zip` holds a CSV: a column `Date`, then one a currency, in units for a euro; `N/A` where there was none,
and a comma at the end of each line.
"""

from __future__ import annotations

import csv
import io
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from shared.errors import OutsideMalformed
from shared.outside.provider import Limit, Provider
from shared.prices import FX
from shared.series import DAY

EURO: Final = "EUR"

PROVIDER: Final = Provider(
    "ecb",
    "European Central Bank",
    "www.ecb.europa.eu",
    "https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates",
    (Limit(10, 3_600),),
)
PATH: Final = "/stats/eurofxref/eurofxref-hist.zip"

SINCE: Final = 1_262_304_000 // DAY
"""The first day that is kept: 1 January 2010, before bitcoin had a price."""

MOST_BYTES: Final = 20_000_000
"""Of the file when it is unpacked: ten times what it is today."""

FEWEST: Final = 10
"""Currencies of the newest day: less is no list."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Units of each currency for a euro."""

    day: int  # Unix time over 86,400
    newest: Mapping[str, Decimal]  # of every currency that is listed on that day
    past: Mapping[int, tuple[float, ...]]  # by day since SINCE: shared.prices.FX, 0 where there was none

    @property
    def iso_day(self) -> str:
        """The newest day as ISO 8601 writes it."""
        return datetime.fromtimestamp(self.day * DAY, UTC).date().isoformat()


def decode(body: bytes) -> Rates:
    """The ECB's archive. Raises OutsideMalformed; a rate that cannot be is left out."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            [name] = archive.namelist()
            with archive.open(name) as file:
                text = file.read(MOST_BYTES + 1)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise OutsideMalformed(f"ECB: {error}: expected an archive of one file; it begins {body[:40]!r}") from error
    if len(text) > MOST_BYTES:
        raise OutsideMalformed(f"ECB: more than {MOST_BYTES:,} bytes of rates")
    return _rates(io.TextIOWrapper(io.BytesIO(text), "utf-8", "replace", newline=""))


def _rates(text: Iterable[str]) -> Rates:
    try:
        return _read(csv.reader(text))
    except csv.Error as error:
        raise OutsideMalformed(f"ECB: {error}: expected lines of rates") from error


def _read(lines: Iterator[list[str]]) -> Rates:
    head = [name.strip() for name in next(lines, [])]
    if not head or head[0] != "Date" or "USD" not in head:
        raise OutsideMalformed(f"ECB: the columns are {head[:5]}: expected Date, then currencies with USD")
    places = [head.index(currency) if currency in head else 0 for currency in FX]
    newest: tuple[int, dict[str, Decimal]] = (0, {})
    past: dict[int, tuple[float, ...]] = {}
    for line in lines:
        day = _day(line[0]) if line else 0
        if day < SINCE:
            continue
        if day > newest[0]:
            listed = {name: rate for name, cell in zip(head, line, strict=False) if (rate := _exact(name, cell))}
            newest = (day, listed)
        past[day] = tuple(_number(line[place]) if 0 < place < len(line) else 0.0 for place in places)
    if len(newest[1]) < FEWEST:
        raise OutsideMalformed(f"ECB: {len(newest[1])} rates on its newest day: expected {FEWEST} or more")
    return Rates(newest[0], newest[1], past)


def _day(cell: str) -> int:
    try:
        return int(datetime.strptime(cell.strip(), "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) // DAY
    except ValueError:
        return 0


def _exact(name: str, cell: str) -> Decimal | None:
    try:
        rate = Decimal(cell.strip())
    except InvalidOperation:
        return None
    return rate if len(name) == 3 and rate.is_finite() and 0 < rate < 10**7 else None


def _number(cell: str) -> float:
    try:
        rate = float(cell)
    except ValueError:
        return 0.0
    return rate if math.isfinite(rate) and 0 < rate < 1e7 else 0.0


def cross(price: Decimal, base: str, currency: str, rates: Mapping[str, Decimal]) -> Decimal | None:
    """The price in another currency; None where a rate is missing."""
    ours, theirs = (Decimal(1) if name == EURO else rates.get(name) for name in (base, currency))
    return None if ours is None or theirs is None else price / ours * theirs
