"""A block held against what mempool recorded just before it came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from explorer.core.answers import Header
from shared.expected import START, TXID, Comparison, Record, split
from shared.keys import EXPECTED_KEEP
from shared.lookups.block import LISTED, Expected, NotExpected, Row
from shared.lookups.parts import Tip

Unlike = Literal["added", "unseen"]


class Marks:
    """Which transactions of a block were not expected."""

    def __init__(self, comparison: Comparison | None) -> None:
        self._unlike: dict[str, Unlike] = {}
        if comparison is not None:
            self._unlike |= dict.fromkeys((part.hex() for part in split(comparison.added, START)), "added")
            self._unlike |= dict.fromkeys((part.hex() for part in split(comparison.unseen, START)), "unseen")

    def of(self, row: Row) -> Unlike | None:
        """How it was not expected; None where it was, and of the coinbase."""
        return self._unlike.get(row.txid[: 2 * START]) if row.position else None

    def marked(self, rows: Sequence[Row]) -> list[Row]:
        """The same rows, each with what it is."""
        if not self._unlike:
            return list(rows)
        return [
            row if (unlike := self.of(row)) is None else msgspec.structs.replace(row, unlike=unlike) for row in rows
        ]


def expected(record: Record, rows: Sequence[Row], marks: Marks) -> Expected | None:
    """What was expected in a block of these rows; None where that is not known."""
    recorded, found = record.recorded, record.comparison
    if recorded is None or found is None:
        return None
    due = found.matched + found.missing_count
    return Expected(
        at_ms=recorded.at_ms,
        matched=found.matched,
        share=found.matched / due if due else None,
        missing_count=found.missing_count,
        fresh_count=found.fresh_count,
        added_count=found.added_count,
        unseen_count=found.unseen_count,
        missing=[txid.hex() for txid in split(found.missing, TXID)],
        fresh=[txid.hex() for txid in split(found.fresh, TXID)],
        added=_highest(rows, lambda row: marks.of(row) == "added"),
        unseen=_highest(rows, lambda row: marks.of(row) == "unseen"),
    )


def _highest(rows: Sequence[Row], wanted: Callable[[Row], bool]) -> list[str]:
    """Txids of these rows, highest feerate first."""
    found = sorted(filter(wanted, rows), key=lambda row: (-(row.fee or 0) / row.weight, row.position))
    return [row.txid for row in found[:LISTED]]


def why_not(record: Record, header: Header, tip: Tip) -> NotExpected:
    """Why nothing is known of what was expected."""
    since_ms = record.since_ms
    why: Literal["before", "old", "not-whole", "nothing"] = "nothing"
    if record.recorded is not None:
        why = "not-whole"
    elif since_ms is not None and header.time * 1000 < since_ms:
        why = "before"
    elif since_ms is not None and tip.height - header.height >= EXPECTED_KEEP:
        why = "old"
    return NotExpected(why=why, since_ms=since_ms)
