"""The European Central Bank's data: M2 of the euro area as CSV. No key, no published limit."""

from __future__ import annotations

from typing import Final

from marketcap import money
from marketcap.answers import CUT, malformed, table

NAME: Final = "ecb_m2"
TITLE: Final = "European Central Bank"
HOST: Final = "data-api.ecb.europa.eu"
LINK: Final = "https://data.ecb.europa.eu/data/datasets/BSI/BSI.M.U2.Y.V.M20.X.1.U2.2300.Z01.E"
LIMITS: Final = ((30, 60),)
SERIES: Final = "M.U2.Y.V.M20.X.1.U2.2300.Z01.E"
"""M2 of the euro area, seasonally adjusted, outstanding at the end of the month, in millions of EUR."""

EXPECTED: Final = f"a CSV with KEY, TIME_PERIOD and OBS_VALUE of BSI.{SERIES}"


def path(now: int) -> str:
    """The last two and a half years."""
    del now
    return f"/service/data/BSI/{SERIES}?format=csvdata&lastNObservations={money.MONTHS}"


def _lines(body: bytes) -> list[tuple[str, str]]:
    lines = table(TITLE, EXPECTED, body, ("KEY", "TIME_PERIOD", "OBS_VALUE"))
    others = {key for key, _, _ in lines if key not in (f"BSI.{SERIES}", CUT)}
    if others:
        raise malformed(TITLE, EXPECTED, f"the series {min(others)!r:.80}", body)
    return [(month, figure) for _, month, figure in lines]


MONEY: Final = money.Series(title=TITLE, expected=EXPECTED, currency="EUR", unit=10**6, lines=_lines)
