"""The Reserve Bank of Australia's table D3: M3 of Australia as CSV. No key, no published limit.

Address: https://www.rba.gov.au/statistics/tables/, D3 "Monetary Aggregates", in thousand millions of AUD. Above the
data stand the table's title and lines of what each column is, the last of them `Series ID`; a line of data begins with
the month's last day, DD/MM/YYYY. Australia counts no M2. The bank says that levels are not adjusted for breaks, and
that growth should not be worked out from them: so there is no change. Its site refuses some networks (those of data
centres); it is then told as a source that fails.
"""

from __future__ import annotations

from typing import Final

from marketcap import money
from marketcap.answers import table

NAME: Final = "rba"
TITLE: Final = "Reserve Bank of Australia"
HOST: Final = "www.rba.gov.au"
LINK: Final = "https://www.rba.gov.au/statistics/tables/"
LIMITS: Final = ((10, 60),)
SERIES: Final = "DMAM3S"
"""M3, seasonally adjusted, at the end of the month."""

EXPECTED: Final = f"a CSV with Series ID and {SERIES}"


def path(now: int) -> str:
    """The whole table: it is not given in parts."""
    del now
    return "/statistics/tables/csv/d3-data.csv"


def _lines(body: bytes) -> list[tuple[str, str]]:
    lines = table(TITLE, EXPECTED, body, ("Series ID", SERIES), begins="Series ID")
    dated = [(at, figure) for at, figure in lines if at]
    return [
        (money.month(at, "%d/%m/%Y"), figure) for at, figure in dated[-money.MONTHS :]
    ]  # the file goes back to 1959


MONEY: Final = money.Series(
    title=TITLE, expected=EXPECTED, currency="AUD", unit=10**9, lines=_lines, aggregate="M3", comparable=False,
    note="M3: Australia counts no M2",
)  # fmt: skip
