"""FRED, the St. Louis Fed's data: M2 of the United States as CSV. No key, no published limit.

FRED's series of other countries' M2 and M3 (those of the IMF and the OECD: MYAGM2CNM189N, MYAGM2JPM189S,
MABMM301JPM189S, MABMM301GBM189S, MABMM301CHM189S, MABMM301CAM189S) ended between 2017 and 2023, so none of them is
asked: what money those countries have now, they do not say.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from marketcap.answers import DAY, Answer, table
from marketcap.money import Amount, months

NAME: Final = "fred"
TITLE: Final = "FRED, Federal Reserve Bank of St. Louis"
HOST: Final = "fred.stlouisfed.org"
LINK: Final = "https://fred.stlouisfed.org/series/M2SL"
LIMITS: Final = ((30, 60),)
SERIES: Final = "M2SL"
"""M2 of the United States, seasonally adjusted, monthly, in thousand millions of USD (release H.6)."""

CURRENCY: Final = "USD"
UNIT: Final = 10**9
_BACK: Final = 900 * DAY


def path(now: int) -> str:
    """The last two and a half years."""
    since = datetime.fromtimestamp(now - _BACK, UTC).date()
    return f"/graph/fredgraph.csv?id={SERIES}&cosd={since.isoformat()}"


def decode(body: bytes, now: int) -> Answer[Amount]:
    """The money of each month, oldest first. Raises OutsideMalformed."""
    expected = f"a CSV with observation_date and {SERIES}"
    lines = table(TITLE, expected, body, ("observation_date", SERIES))
    return months(TITLE, expected, body, lines, CURRENCY, UNIT, now)
