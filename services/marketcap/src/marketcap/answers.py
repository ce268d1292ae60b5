"""Answers of sources outside, read strictly: what is not what was asked for is refused in words, never guessed.

Numbers come as exact decimals. A row that cannot be is left out and counted with its reason, the others stay; an answer
of which no row stays is OutsideMalformed, as is one of another shape.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from shared.errors import OutsideMalformed

DAY: Final = 86_400
WEEK: Final = 7 * DAY
MONTH: Final = 30 * DAY

_GENESIS: Final = 1_230_940_800
"""3 January 2009: no figure of ours is older than Bitcoin; one that says so has lost its date."""

_MAGNITUDE: Final = 30
"""Powers of ten that a figure may reach, up or down: all the money there is has 15 digits."""

_LONGEST: Final = 60
"""Characters of a number in a text."""

_NUMERAL: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,4})?", re.ASCII)
_BEGINS: Final = 80

CUT: Final = "a line that is cut off"

_READING: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises of bytes that are no JSON of the type that is asked for."""

T = TypeVar("T")
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, Meta(tz=True)]


class Number(Decimal):
    """A number of JSON, exact as it was written; a text in its place is refused."""

    __slots__ = ()


class Numeral(Decimal):
    """A number, or a text that holds one."""

    __slots__ = ()


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """What a source said: the rows that can be, and why each of the others was left out."""

    rows: tuple[T, ...]
    refused: tuple[str, ...] = ()


class Unfit(ValueError):
    """A row cannot be; the message says what of it, and what was expected."""


def _hook(kind: type[Any], value: Any) -> Any:
    if kind is Numeral and isinstance(value, str):
        if len(value) > _LONGEST or not _NUMERAL.fullmatch(value):
            raise ValueError(f"is the text {value[:_LONGEST]!r}, expected a number")
        value = Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"is {value!r:.60}, expected a number")  # noqa: TRY004  msgspec makes a ValidationError of this one
    exact = kind(value)
    if exact and abs(exact.adjusted()) > _MAGNITUDE:
        raise ValueError(f"is a number of magnitude 10^{exact.adjusted()}, expected at most 10^{_MAGNITUDE}")
    return exact


def decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """A decoder of answers, or of rows of them, to this type."""
    return msgspec.json.Decoder(kind, dec_hook=_hook, float_hook=Decimal)


def malformed(source: str, expected: str, why: object, body: bytes) -> OutsideMalformed:
    """The error, with the beginning of the answer: an error of the source's own stands there."""
    what = "a page of HTML" if body.lstrip()[:1] == b"<" else f"{why}"
    return OutsideMalformed(f"{source}: expected {expected}, got {what:.300}; the answer begins {body[:_BEGINS]!r}")


def read(source: str, expected: str, reader: msgspec.json.Decoder[T], body: bytes) -> T:
    """A whole answer. Raises OutsideMalformed."""
    try:
        return reader.decode(body)
    except _READING as error:
        raise malformed(source, expected, error, body) from error


def gathered(
    source: str,
    expected: str,
    body: bytes,
    found: Iterable[tuple[str, Any]],
    make: Callable[[Any], T | None],
    key: Callable[[T], Hashable],
) -> Answer[T]:
    """The rows that `make` makes of what was found; None leaves one out that nobody looks for, without a count.

    The first of two rows with one key stays. Raises OutsideMalformed where nothing stays.
    """
    rows: dict[Hashable, T] = {}
    refused: list[str] = []
    for name, raw in found:
        try:
            row = make(raw)
        except (*_READING, Unfit) as error:
            refused.append(f"{name:.60}: {error}"[:300])
            continue
        if row is None:
            continue
        if key(row) in rows:
            refused.append(f"{name:.60}: {key(row)!r:.60} is there a second time")
        else:
            rows[key(row)] = row
    if not rows:
        why = f"no row that can be ({refused[0]}, and {len(refused) - 1} more)" if refused else "no row at all"
        raise malformed(source, expected, why, body)
    return Answer(tuple(rows.values()), tuple(refused))


def numbered(raws: Iterable[msgspec.Raw]) -> Iterator[tuple[str, msgspec.Raw]]:
    """Rows of a list, named by their place."""
    return ((f"row {place}", raw) for place, raw in enumerate(raws, 1))


def table(
    source: str, expected: str, body: bytes, columns: tuple[str, ...], *, begins: str = "", delimiter: str = ","
) -> list[tuple[str, ...]]:
    """These columns of a CSV answer with a head. Raises OutsideMalformed where one is missing.

    The head is the first line, or where `begins` is named the first line that begins with that cell. A line that is cut
    off has CUT in all of them: one that is too short, and a last one without an end whose figure is the last on it and
    not closed by a quote, since a part of a number is a number.
    """
    try:
        lines = list(csv.reader(body.decode("utf-8-sig").splitlines(), strict=True, delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        raise malformed(source, expected, error, body) from error
    if begins:
        lines = lines[next((at for at, line in enumerate(lines) if line and line[0] == begins), len(lines)) :]
    head = lines[0] if lines else []
    lacking = [column for column in columns if head.count(column) != 1]
    if lacking:
        raise malformed(source, expected, f"a head without {', '.join(lacking)}", body)
    places = [head.index(column) for column in columns]
    open_end = not body.endswith((b"\n", b"\r", b'"')) and max(places) == len(head) - 1
    cut = [len(line) < len(head) for line in lines[1:]]
    cut[-1:] = [open_end or cut[-1]] if cut else []
    return [
        (CUT,) * len(places) if short else tuple(line[place] for place in places)
        for line, short in zip(lines[1:], cut, strict=True)
        if line
    ]


def numeral(text: str, what: str) -> Decimal:
    """The number in a text. Raises Unfit."""
    try:
        number: Numeral = _hook(Numeral, text)
    except ValueError as error:
        raise Unfit(f"{what} {error}") from error
    return Decimal(number)


def within(value: Decimal, what: str, *, least: Decimal | int = 0, most: Decimal | int) -> Decimal:
    """A figure above `least` and up to `most`, as a plain decimal. Raises Unfit."""
    if not least < value <= most:
        raise Unfit(f"{what} is {float(value):.10g}, expected above {float(least):.10g} and at most {float(most):.10g}")
    return Decimal(value)


def percent(value: Decimal | None, what: str) -> Decimal | None:
    """A change in percent: nothing loses more than all; None where it is not known. Raises Unfit."""
    if value is None:
        return None
    if not -100 <= value <= 10**6:
        raise Unfit(f"{what} is {float(value):.10g} %, expected from -100 to a million")
    return Decimal(value)


def seconds(moment: datetime | int, what: str, now: int) -> int:
    """A moment as Unix seconds: after Bitcoin began, and not after tomorrow. Raises Unfit."""
    time = moment if isinstance(moment, int) else int(moment.timestamp())
    if not _GENESIS <= time <= now + DAY:
        raise Unfit(f"{what} is {said(time)}, expected a time from 2009 until now")
    return time


def day(text: str, what: str, now: int) -> int:
    """The first second (UTC) of a day that is written YYYY-MM-DD or a month YYYY-MM. Raises Unfit."""
    try:
        begun = date.fromisoformat(text if len(text) != len("YYYY-MM") else f"{text}-01")
    except ValueError as error:
        raise Unfit(f"{what} is {text[:40]!r}, expected a date such as 2026-01-31") from error
    return seconds(datetime(begun.year, begun.month, begun.day, tzinfo=UTC), what, now)


def said(time: int) -> str:
    """A moment in words, whatever its number is."""
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"the number {time}"


def country(text: str | None) -> str | None:
    """An ISO 3166 code of two letters, or None where there is none."""
    code = (text or "").strip().upper()
    return code if len(code) == 2 and code.isascii() and code.isalpha() else None
