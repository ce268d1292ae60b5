"""Who may import whom inside web: nothing goes against the grain, and what is found by itself is found once."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Final

import pytest

from shared.keys import Keys
from support.imports import imports, modules

_CHARTS: Final = {"charts", "charts.data"}
MAY_IMPORT: Final[dict[str, set[str]]] = {
    "words": set(),
    "http": {"words"},
    "state": {"words"},
    "finding": set(),
    "push": {"http", "words"},
    "endpoints": {"http", "state"},
    "charts": {"charts.data", "http", "state", "words"},
    "charts.data": {"charts", "http", "state", "words"},
    "charts.metrics": _CHARTS | {"finding", "http", "state", "words"},
    "charts.drawing": _CHARTS | {"words"},
    "charts.serving": _CHARTS | {"charts.metrics", "http", "state", "words"},
    "miners": _CHARTS | {"http", "state", "words"},
    "ranks": {"http", "state"},
    "lookups": {"http", "push", "state", "words"},
    "compat": _CHARTS | {"endpoints", "finding", "http", "lookups", "miners", "state", "words"},
    "api": _CHARTS
    | {"charts.metrics", "charts.serving", "endpoints", "http", "lookups", "miners", "ranks", "state", "words"},
    "pages": _CHARTS
    | {
        "charts.metrics",
        "charts.drawing",
        "charts.serving",
        "finding",
        "http",
        "lookups",
        "miners",
        "ranks",
        "state",
        "words",
    },
}
"""Besides themselves. What is named nowhere here (website, gate, app, operators, telemetry) puts the parts together,
and nobody imports it."""

THE_TOP: Final = {"", "__main__", "app", "gate", "operators", "telemetry", "website"}


def room(module: str) -> str:
    """The innermost room that a module lies in."""
    parts = module.split(".")[1:]
    if parts[:1] == ["charts"] and ".".join(parts[:2]) in MAY_IMPORT:
        return ".".join(parts[:2])
    return parts[0] if parts else ""


def against(module: str, names: Iterable[str]) -> list[str]:
    """What this module may not import."""
    here = room(module)
    if here in THE_TOP:
        return []
    ours = sorted(name for name in names if in_web(name))
    return [f"{module} imports {name}" for name in ours if room(name) not in MAY_IMPORT[here] | {here}]


def in_web(module: str) -> bool:
    return module.partition(".")[0] == "web"


def test_nothing_is_imported_against_the_grain() -> None:
    every = {name: names for name, names in imports(types=True).items() if in_web(name)}
    assert {room(name) for name in every} == MAY_IMPORT.keys() | THE_TOP
    assert [line for name, names in every.items() for line in against(name, names)] == []


@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        ("web.state.reading", "web.pages.found", True),
        ("web.compat.fees", "web.api.overview", True),
        ("web.charts.data.measured", "web.charts.metrics.tx_fees", True),
        ("web.pages.mempool", "web.website", True),
        ("web.push.live", "web.state.reading", True),
        ("web.pages.charts.glance", "web.charts.drawing.marks", False),
        ("web.website", "web.pages.found", False),
    ],
)
def test_the_rule_tells_right_from_wrong(module: str, name: str, wrong: bool) -> None:
    assert bool(against(module, [name])) is wrong


PRIVATE: Final = {"state", "checkpoint", "producer", "published", "history_pools", "history_recent", "history_largest"}
"""Of shared.keys.Keys what a service keeps for itself."""


def private_to_services(source: str) -> list[str]:
    """What of this source is not web's to know: a service's own keys, and how records are packed."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in PRIVATE and ast.unparse(node.value).endswith("keys"):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [name for name in names if name == "struct"]
    return found


def test_no_module_of_web_unpacks_what_a_service_keeps_for_itself() -> None:
    """Packed records are shared's to read, and of a service's keys only those that are told to others are asked for."""
    assert {name for name in PRIVATE if hasattr(Keys, name)} == PRIVATE
    for name, path in modules().items():
        if in_web(name):
            assert not private_to_services(path.read_text()), name


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("raw = self._keys.state(HISTORY)", ["self._keys.state"]),
        ("key = keys.history_recent", ["keys.history_recent"]),
        ("import struct", ["struct"]),
        ("from struct import Struct", ["struct"]),
        ("state = self.site.state", []),
        ("key = self._keys.views(HISTORY)", []),
    ],
)
def test_what_is_private_is_seen(source: str, found: list[str]) -> None:
    assert private_to_services(source) == found
