"""A figure, what it is held against, and how they are printed and kept."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement as it was seen. `better` says whether more or less is wanted; None where it is only told."""

    name: str
    value: float
    unit: str
    target: float | None = None
    better: str = "less"
    baseline: float | None = None
    baseline_name: str = ""

    @property
    def verdict(self) -> str:
        """Whether the target is reached."""
        if self.target is None:
            return ""
        reached = self.value <= self.target if self.better == "less" else self.value >= self.target
        return "reached" if reached else "MISSED"


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(percent / 100 * len(ordered)) - 1)]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of text."""
    rows = [("figure", "measured", "unit", "target", "", "baseline in the same run")]
    for figure in figures:
        limit = "" if figure.target is None else ("<= " if figure.better == "less" else ">= ") + _number(figure.target)
        held = f"{_number(figure.baseline)} {figure.baseline_name}".strip()
        rows.append((figure.name, _number(figure.value), figure.unit, limit, figure.verdict, held))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = {1, 3}
    lines = []
    for row in rows:
        cells = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def write(figures: Sequence[Figure], path: Path) -> None:
    """Keep the figures, with the machine that they were seen on."""
    document = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "load_1m": os.getloadavg()[0],
        },
        "figures": [{**asdict(figure), "verdict": figure.verdict} for figure in figures],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
