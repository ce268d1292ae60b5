"""The Bank of Japan's time-series API: M2 of Japan as JSON. No key; frequent questions are asked not to be put.

Address and shape: https://www.stat-search.boj.or.jp/info/api_manual_en.pdf, "getDataCode": the series stand in
`RESULTSET`, each with `SERIES_CODE`, `UNIT`, and in `VALUES` two lists of one length, `SURVEY_DATES` (YYYYMM) and
`VALUES` (numbers, null where there is none). Errors come with HTTP 200, too; `STATUS` says whether it is one.

The bank wants to be named by who uses it: this uses the API of the Bank of Japan Time-Series Data Search, and the bank
does not guarantee what is shown.
"""

from __future__ import annotations

from typing import Final

import msgspec

from marketcap import money
from marketcap.answers import decoder, malformed, read

NAME: Final = "boj"
TITLE: Final = "Bank of Japan"
HOST: Final = "www.stat-search.boj.or.jp"
LINK: Final = "https://www.stat-search.boj.or.jp/index_en.html"
LIMITS: Final = ((4, 60),)
SERIES: Final = "MAM1NAM2M2MO"
"""M2, average amounts outstanding in the month, not adjusted for seasons (database MD02, "Money Stock")."""

UNIT: Final = "100 million yen"
EXPECTED: Final = f"MD02 {SERIES} in {UNIT}"


class _Values(msgspec.Struct):
    SURVEY_DATES: list[int | str]
    VALUES: list[msgspec.Raw]


class _Series(msgspec.Struct):
    SERIES_CODE: str
    UNIT: str
    VALUES: _Values


class _Body(msgspec.Struct):
    STATUS: int
    RESULTSET: list[_Series]


_body = decoder(_Body)


def path(now: int) -> str:
    """The last two and a half years."""
    return f"/api/v1/getDataCode?format=json&lang=en&db=MD02&code={SERIES}&startDate={money.since(now):%Y%m}"


def _lines(body: bytes) -> list[tuple[str, str]]:
    answer = read(TITLE, EXPECTED, _body, body)
    if answer.STATUS != 200 or len(answer.RESULTSET) != 1:
        raise malformed(TITLE, EXPECTED, f"status {answer.STATUS} and {len(answer.RESULTSET)} series", body)
    [series] = answer.RESULTSET
    if series.SERIES_CODE != SERIES or series.UNIT.strip().lower() != UNIT:
        raise malformed(TITLE, EXPECTED, f"{series.SERIES_CODE!r:.40} in {series.UNIT!r:.40}", body)
    dates, figures = series.VALUES.SURVEY_DATES, series.VALUES.VALUES
    if len(dates) != len(figures):
        raise malformed(TITLE, EXPECTED, f"{len(dates)} months and {len(figures)} figures", body)
    return [(money.month(str(at), "%Y%m"), money.figure(told)) for at, told in zip(dates, figures, strict=True)]


MONEY: Final = money.Series(title=TITLE, expected=EXPECTED, currency="JPY", unit=10**8, lines=_lines)
