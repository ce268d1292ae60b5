"""The Bank of England's database: M4 of the United Kingdom as CSV. No key, no published limit.

Address: https://www.bankofengland.co.uk/boeapps/database/ (help, "download data in CSV from your own program"); with
`CSVF=TN` the file is a head, `DATE` and the series' code, and one line a month such as `31 Aug 2026,3100000`. Programs
that do not say who they are get 403; ours does say so. The bank counts no M2: `LPMAUYN` is M4, the money that it
publishes, which holds more than M2 elsewhere (deposits of any term).
"""

from __future__ import annotations

from typing import Final

from marketcap import money
from marketcap.answers import table

NAME: Final = "boe"
TITLE: Final = "Bank of England"
HOST: Final = "www.bankofengland.co.uk"
LINK: Final = "https://www.bankofengland.co.uk/statistics/tables"
LIMITS: Final = ((10, 60),)
SERIES: Final = "LPMAUYN"
"""M4, amounts outstanding at the end of the month, seasonally adjusted, in millions of GBP."""

EXPECTED: Final = f"a CSV with DATE and {SERIES}"


def path(now: int) -> str:
    """The last two and a half years."""
    return (
        f"/boeapps/database/_iadb-fromshowcolumns.asp?csv.x=yes&Datefrom={money.since(now):01/%b/%Y}&Dateto=now"
        f"&SeriesCodes={SERIES}&CSVF=TN&UsingCodes=Y&VPD=Y&VFD=N"
    )


def _lines(body: bytes) -> list[tuple[str, str]]:
    lines = table(TITLE, EXPECTED, body, ("DATE", SERIES))
    return [(money.month(at, "%d %b %Y"), figure) for at, figure in lines]


MONEY: Final = money.Series(
    title=TITLE, expected=EXPECTED, currency="GBP", unit=10**6, lines=_lines, aggregate="M4",
    note="M4: the Bank of England publishes no M2",
)  # fmt: skip
