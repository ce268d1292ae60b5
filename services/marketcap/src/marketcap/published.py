"""The addresses that holders published as their own, `published.csv`: what lies there anybody can check."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from marketcap.treasuries import Published
from shared.assets import Claim, HolderKind
from shared.errors import ConfigError

DEMONSTRATED: Final = "Demonstration Holdings"
"""The holder of the demonstration, whose addresses its generator pays to."""

COLUMNS: Final = ("kind", "name", "symbol", "address", "source", "link", "as_of")


def addresses() -> Mapping[str, tuple[Published, ...]]:
    """Those of the table, by the holder's key."""
    return parsed(resources.files("marketcap").joinpath("published.csv").read_text("utf-8"))


def demonstrated() -> Mapping[str, tuple[Published, ...]]:
    """Those of the demonstration, one a line of the file DASHBOARD_DEMO_PUBLISHED_FILE; none where there is none."""
    path = Path(os.environ.get("DASHBOARD_DEMO_PUBLISHED_FILE") or os.devnull)
    try:
        named, as_of = path.read_text("utf-8").split(), int(path.stat().st_mtime)
    except OSError:
        return {}
    made = tuple(Published(address=one, source="Generated", link="", as_of=as_of) for one in named)
    return {_holder(DEMONSTRATED, "company", None, "Generated", "", as_of).key: made} if made else {}


def parsed(text: str) -> Mapping[str, tuple[Published, ...]]:
    """The addresses of a table, by the holder's key. Raises ConfigError, which names the line."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line and not line.startswith("#")]
    if not lines or tuple(lines[0][1].split(",")) != COLUMNS:
        raise ConfigError(f"published.csv: expected the head {','.join(COLUMNS)}")
    found: dict[str, tuple[Published, ...]] = {}
    for number, line in lines[1:]:
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        try:
            key, made = _made(dict(zip(COLUMNS, cells, strict=True)))
        except ValueError as error:  # msgspec's is one
            raise ConfigError(f"published.csv, line {number}: {error}") from error
        found[key] = (*found.get(key, ()), made)
    return found


def _made(row: Mapping[str, str]) -> tuple[str, Published]:
    if not (row["name"] and row["address"] and row["source"] and row["link"].startswith("https://")):
        raise ValueError("expected a name, an address, a source and a link")
    as_of = int(datetime.fromisoformat(row["as_of"]).replace(tzinfo=UTC).timestamp())
    kind: HolderKind = msgspec.convert(row["kind"], HolderKind)
    holder = _holder(row["name"], kind, row["symbol"] or None, row["source"], row["link"], as_of)
    return holder.key, Published(address=row["address"], source=row["source"], link=row["link"], as_of=as_of)


def _holder(name: str, kind: HolderKind, symbol: str | None, source: str, link: str, as_of: int) -> Claim:
    """One that claims nothing: its key is that of those that do."""
    return Claim(
        name=name, kind=kind, symbol=symbol, country=None, satoshi=0, cost=None, source=source, link=link, as_of=as_of
    )
