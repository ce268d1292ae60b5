"""Which rank Bitcoin had on each day, and which the other assets had some time ago. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

BITCOIN: Final = "bitcoin"

PERIODS: Final = {"1d": 1, "1w": 7, "1m": 30}
"""Days that ranks are compared over."""

MARKED: Final = ("1w", "1d", "1m")
"""Which of them a list marks: the first whose day is known."""


class Place(NamedTuple):
    """Bitcoin on one day; a day without one is not known."""

    day: int  # Unix time over 86,400
    rank: int
    value_usd: int


@dataclass(frozen=True, slots=True)
class Past:
    """Of one list."""

    name: str  # of shared.assets.LISTS
    places: tuple[Place, ...]  # in rising time
    before: Mapping[str, Mapping[str, int]]  # ranks by the assets' ids, by PERIODS; without those that are not known

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return bool(self.places or self.before)

    @property
    def marked(self) -> str:
        """Which period is marked beside the ranks of today; empty where none can be."""
        return next((name for name in MARKED if name in self.before), "")

    def moves(self, asset: str, rank: int) -> dict[str, int]:
        """By how many places an asset that is at `rank` now rose (above zero) or fell over each period that is known.

        An asset that was not among those kept has none: nobody knows its rank.
        """
        return {name: ranks[asset] - rank for name, ranks in self.before.items() if asset in ranks}


class Row(NamedTuple):
    """One asset on one day, as marketcap writes it (shared.keys)."""

    id: str
    rank: int
    value_usd: int


_rows: Final = msgspec.json.Decoder(list[Row])


def rows(raw: bytes) -> list[Row]:
    """A day's rows. Raises msgspec.DecodeError."""
    return _rows.decode(raw)


def bitcoin(day: int, found: list[Row]) -> Place | None:
    """Its place among them; None where it has none."""
    return next((Place(day, row.rank, row.value_usd) for row in found if row.id == BITCOIN), None)
