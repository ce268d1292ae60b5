"""The European Central Bank's data: M2 of the euro area as CSV. No key, no published limit."""

from __future__ import annotations

from typing import Final

from marketcap.answers import CUT, Answer, malformed, table
from marketcap.money import Amount, months

NAME: Final = "ecb_m2"
TITLE: Final = "European Central Bank"
HOST: Final = "data-api.ecb.europa.eu"
LINK: Final = "https://data.ecb.europa.eu/data/datasets/BSI/BSI.M.U2.Y.V.M20.X.1.U2.2300.Z01.E"
LIMITS: Final = ((30, 60),)
SERIES: Final = "M.U2.Y.V.M20.X.1.U2.2300.Z01.E"
"""M2 of the euro area, seasonally adjusted, outstanding at the end of the month, in millions of EUR."""

CURRENCY: Final = "EUR"
UNIT: Final = 10**6
_BACK: Final = 30


def path() -> str:
    """The last two and a half years."""
    return f"/service/data/BSI/{SERIES}?format=csvdata&lastNObservations={_BACK}"


def decode(body: bytes, now: int) -> Answer[Amount]:
    """The money of each month, oldest first. Raises OutsideMalformed."""
    expected = f"a CSV with KEY, TIME_PERIOD and OBS_VALUE of BSI.{SERIES}"
    lines = table(TITLE, expected, body, ("KEY", "TIME_PERIOD", "OBS_VALUE"))
    others = {key for key, _, _ in lines if key not in (f"BSI.{SERIES}", CUT)}
    if others:
        raise malformed(TITLE, expected, f"the series {min(others)!r:.80}", body)
    return months(TITLE, expected, body, (line[1:] for line in lines), CURRENCY, UNIT, now)
