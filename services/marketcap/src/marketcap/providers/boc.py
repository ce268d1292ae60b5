"""The Bank of Canada's Valet API: M2 (gross) of Canada as JSON. No key; how often one may ask is not published.

Address and shape: https://www.bankofcanada.ca/valet/docs, "Observations by series": `/observations/SERIES/json` with
`start_date`; each of `observations` has its date in `d` and, under the name of the series, the figure as a text in `v`.
Series and unit: https://www.bankofcanada.ca/rates/banking-and-financial-statistics/
selected-monetary-aggregates-and-their-components-formerly-e1/, "month-end, millions of dollars".
"""

from __future__ import annotations

from typing import Final

import msgspec

from marketcap import money
from marketcap.answers import decoder, malformed, read

NAME: Final = "boc"
TITLE: Final = "Bank of Canada"
HOST: Final = "www.bankofcanada.ca"
LINK: Final = (
    "https://www.bankofcanada.ca/rates/banking-and-financial-statistics/"
    "selected-monetary-aggregates-and-their-components-formerly-e1/"
)
LIMITS: Final = ((10, 60),)
SERIES: Final = "V41552796"
"""M2 (gross), seasonally adjusted, at the end of the month, in millions of CAD."""

EXPECTED: Final = f"observations of {SERIES}"


class _Cell(msgspec.Struct):
    v: msgspec.Raw


class _Observation(msgspec.Struct, rename={"cell": SERIES}):
    d: str
    cell: _Cell | None = None


class _Body(msgspec.Struct):
    observations: list[_Observation]


_body = decoder(_Body)


def path(now: int) -> str:
    """The last two and a half years."""
    return f"/valet/observations/{SERIES}/json?start_date={money.since(now).isoformat()}"


def _lines(body: bytes) -> list[tuple[str, str]]:
    told = read(TITLE, EXPECTED, _body, body).observations
    if told and all(one.cell is None for one in told):
        raise malformed(TITLE, EXPECTED, "those of other series", body)
    return [(one.d, money.figure(one.cell.v) if one.cell else "") for one in told]


MONEY: Final = money.Series(title=TITLE, expected=EXPECTED, currency="CAD", unit=10**6, lines=_lines)
