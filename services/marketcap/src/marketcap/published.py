"""The addresses that holders published as their own, `published.csv`: what lies there anybody can check."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Final

import msgspec

from marketcap.treasuries import Published
from shared.assets import Claim, HolderKind
from shared.errors import ConfigError

COLUMNS: Final = ("kind", "name", "symbol", "address", "source", "link", "as_of")


def addresses() -> Mapping[str, tuple[Published, ...]]:
    """Those of the table, by the holder's key."""
    return parsed(resources.files("marketcap").joinpath("published.csv").read_text("utf-8"))


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
    holder = Claim(
        name=row["name"], kind=msgspec.convert(row["kind"], HolderKind), symbol=row["symbol"] or None, country=None,
        satoshi=0, cost=None, source=row["source"], link=row["link"], as_of=as_of,
    )  # fmt: skip
    return holder.key, Published(address=row["address"], source=row["source"], link=row["link"], as_of=as_of)
