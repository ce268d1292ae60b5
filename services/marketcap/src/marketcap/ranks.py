"""Ranks by day, which nobody can tell again: written now and then, and forgotten where somebody asks for that. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from marketcap.ranking import Ranked
from shared.assets import LISTS
from shared.commit import Commands
from shared.keys import Keys
from shared.series import DAY

EVERY_SECONDS: Final = 600
"""Between two times that today's ranks of a list are written."""

MOST: Final = 100
"""Assets of a list of whose ranks and values the past is kept; Bitcoin is one more where it stands below."""


class Ranks:
    """What is written of the past of each list."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._written: dict[str, int] = {}  # Unix seconds at which today's were, by list

    def write(self, commands: Commands, name: str, rows: Sequence[Ranked], now: int) -> None:
        """Commands for today's ranks of a list, where it is time to; `now` in Unix seconds."""
        if 0 <= now - self._written.get(name, -EVERY_SECONDS) < EVERY_SECONDS:
            return
        self._written[name] = now
        kept = [*rows[:MOST], *(row for row in rows[MOST:] if row.asset.id == "bitcoin")]
        ranks = [(row.asset.id, row.rank, round(row.asset.value)) for row in kept]
        commands.add("HSET", self._keys.ranks(name), str(now // DAY), msgspec.json.encode(ranks))

    def forget(self, commands: Commands) -> None:
        """Commands that drop all of it; today's are written with the next list."""
        self._written.clear()
        for name in LISTS:
            commands.add("DEL", self._keys.ranks(name))
