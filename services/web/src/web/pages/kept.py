"""Rows of long tables as they were rendered last: of a list that changed, most rows are as they were.

A row is a macro of its template that is told everything that it shows, texts for the most part. So one that is told
the same, for a reader of the same language and currency, is the same.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from markupsafe import Markup

from web.words.reader import reader

KEPT: Final = 3_000
"""Rows kept at most, some 3 kB each with what they were told."""


class Rows:
    """The rows of every table that are asked for through it; the one that was asked for longest ago goes first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Hashable, ...], Markup] = OrderedDict()
        self.rendered = 0
        """Rows that were rendered, for whoever measures."""

    def shown(self, name: str, row: Callable[..., Markup], *told: Hashable) -> Markup:
        """What the macro `row` makes of what it is told; `name` tells it from the macros of other tables."""
        key = (name, reader().key, *told)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = row(*told)
            self.rendered += 1
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return kept
