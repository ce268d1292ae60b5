"""Why what was entered is no wallet. Nothing here ever holds a part of it: a word of ours, places and counts."""

from __future__ import annotations

from typing import NoReturn

from shared.errors import DashboardError
from shared.lookups.wallet import Refused, Why


class NotAWallet(DashboardError):
    """What was entered cannot be read; `refused` says why."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.why)
        self.refused = refused


def refuse(why: Why, *, at: int | None = None, word: str = "", most: int | None = None) -> NoReturn:
    """Raises NotAWallet; `at` counts characters from 0. What led here is left out: it might quote what was entered."""
    raise NotAWallet(Refused(why=why, position=None if at is None else at + 1, word=word, most=most)) from None
