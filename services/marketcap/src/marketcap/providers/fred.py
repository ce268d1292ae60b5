"""FRED, the St. Louis Fed's data: M2 of the United States as CSV. No key, no published limit.

FRED's series of other countries' M2 and M3 (those of the IMF and the OECD: MYAGM2CNM189N, MYAGM2JPM189S,
MABMM301JPM189S, MABMM301GBM189S, MABMM301CHM189S, MABMM301CAM189S) ended between 2017 and 2023, so none of them is
asked: what money those countries have now, they do not say.
"""

from __future__ import annotations

from typing import Final

from marketcap import money
from marketcap.answers import table

NAME: Final = "fred"
TITLE: Final = "FRED, Federal Reserve Bank of St. Louis"
HOST: Final = "fred.stlouisfed.org"
LINK: Final = "https://fred.stlouisfed.org/series/M2SL"
LIMITS: Final = ((30, 60),)
SERIES: Final = "M2SL"
"""M2 of the United States, seasonally adjusted, monthly, in thousand millions of USD (release H.6)."""

EXPECTED: Final = f"a CSV with observation_date and {SERIES}"


def path(now: int) -> str:
    """The last two and a half years."""
    return f"/graph/fredgraph.csv?id={SERIES}&cosd={money.since(now).isoformat()}"


def _lines(body: bytes) -> list[tuple[str, str]]:
    return [(month, figure) for month, figure in table(TITLE, EXPECTED, body, ("observation_date", SERIES))]


MONEY: Final = money.Series(title=TITLE, expected=EXPECTED, currency="USD", unit=10**9, lines=_lines)
