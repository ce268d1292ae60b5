"""Who may import whom inside web: nothing goes against the grain, and what is found by itself is found once."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

WEB: Final = Path(__file__).parents[2] / "services/web/src/web"

_CHARTS: Final = {"charts", "charts.data"}
MAY_IMPORT: Final[dict[str, set[str]]] = {
    "words": set(),
    "http": set(),
    "state": set(),
    "finding": set(),
    "push": {"http"},
    "endpoints": {"http", "state"},
    "charts": {"charts.data", "http", "state"},
    "charts.data": {"charts", "http", "state"},
    "charts.metrics": _CHARTS | {"finding", "http", "state", "words"},
    "charts.drawing": _CHARTS | {"words"},
    "charts.serving": _CHARTS | {"charts.metrics", "http", "state"},
    "compat": _CHARTS | {"endpoints", "finding", "http", "state"},
    "api": _CHARTS | {"charts.metrics", "charts.serving", "endpoints", "http", "state"},
    "pages": _CHARTS | {"charts.metrics", "charts.drawing", "charts.serving", "finding", "http", "state", "words"},
}
"""Besides themselves. What is named nowhere here (website, app, operators, telemetry) puts the parts together, and
nobody imports it."""

THE_TOP: Final = {"", "__main__", "app", "operators", "telemetry", "website"}


def room(module: str) -> str:
    """The innermost room that a module lies in."""
    parts = module.split(".")[1:]
    if parts[:1] == ["charts"] and ".".join(parts[:2]) in MAY_IMPORT:
        return ".".join(parts[:2])
    return parts[0] if parts else ""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(WEB.rglob("*.py")):
        names = ("web", *path.relative_to(WEB).with_suffix("").parts)
        yield ".".join(names[:-1] if names[-1] == "__init__" else names), path


def imported(path: Path) -> Iterator[str]:
    """Every module of ours that a file names in an import, wherever that stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (_named(f"{node.module}.{alias.name}") for alias in node.names)


def _named(name: str) -> str:
    """`web.charts.span` of `web.charts.span.Span`."""
    parent = name.rpartition(".")[0]
    at = WEB.parent.joinpath(*name.split("."))
    return name if at.is_dir() or at.with_suffix(".py").is_file() else parent


def against(module: str, names: Iterator[str]) -> list[str]:
    """What this module may not import."""
    here = room(module)
    allowed = None if here in THE_TOP else MAY_IMPORT[here] | {here}
    ours = [name for name in names if name.split(".")[0] == "web"]
    if allowed is None:
        return []
    return [f"{module} imports {name}" for name in ours if room(name) not in allowed]


def test_nothing_is_imported_against_the_grain() -> None:
    every = list(modules())
    assert {room(name) for name, _ in every} == MAY_IMPORT.keys() | THE_TOP
    assert [line for name, path in every for line in against(name, imported(path))] == []


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
    assert bool(against(module, iter([name]))) is wrong


def test_no_module_of_web_unpacks_what_a_service_keeps_for_itself() -> None:
    """Packed records are shared's to read, and of a service's keys only those that are told to others are asked for."""
    private = ("history_state", "history_pools", "history_recent", "history_largest", "checkpoint")
    for name, path in modules():
        tree = ast.parse(path.read_text())
        assert "struct" not in set(imported(path)), name
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not [key for key in attributes if key.startswith(private) or key.endswith("checkpoint")], name


def test_every_service_can_be_imported_without_web() -> None:
    """Web is the end of the road: shared and the services know nothing of it."""
    for folder in ("shared/src", *(f"services/{name}/src" for name in ("chain-metrics", "chain-history", "mempool"))):
        for path in (WEB.parents[3] / folder).rglob("*.py"):
            assert not [name for name in imported(path) if name.split(".")[0] == "web"], path
    assert importlib.util.find_spec("web") is not None
