"""The Swiss National Bank's data portal: M2 of Switzerland as CSV. No key, no published limit.

Address and shape: https://data.snb.ch/en/help_api; of the cube `snbmonagg` the dimensions D0 (`B`: level, in millions
of CHF) and D1 (`GM2`: M2). The file has `CubeId` and `PublishingDate` above an empty line, then a head; its cells are
quoted and parted by semicolons, months are YYYY-MM, a month without a figure has an empty one.
"""

from __future__ import annotations

from typing import Final

from marketcap import money
from marketcap.answers import CUT, malformed, table

NAME: Final = "snb"
TITLE: Final = "Swiss National Bank"
HOST: Final = "data.snb.ch"
LINK: Final = "https://data.snb.ch/en/topics/snb/cube/snbmonagg"
LIMITS: Final = ((30, 60),)
LEVEL, M2 = "B", "GM2"
EXPECTED: Final = f"a CSV with Date and Value of snbmonagg, D0 {LEVEL} and D1 {M2}"


def path(now: int) -> str:
    """The last two and a half years."""
    return f"/api/cube/snbmonagg/data/csv/en?dimSel=D0({LEVEL}),D1({M2})&fromDate={money.since(now):%Y-%m}"


def _lines(body: bytes) -> list[tuple[str, str]]:
    lines = table(TITLE, EXPECTED, body, ("Date", "D0", "D1", "Value"), begins="Date", delimiter=";")
    others = {(level, name) for _, level, name, _ in lines} - {(LEVEL, M2), (CUT, CUT)}
    if others:
        raise malformed(TITLE, EXPECTED, f"the series {min(others)!r:.80}", body)
    return [(month, figure) for month, _, _, figure in lines]


MONEY: Final = money.Series(title=TITLE, expected=EXPECTED, currency="CHF", unit=10**6, lines=_lines)
