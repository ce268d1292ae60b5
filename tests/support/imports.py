"""Which module imports which, read from the sources without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = ("shared/src", "services/*/src", "deploy/local/src")


@cache
def modules() -> Mapping[str, Path]:
    """Every module of ours by its dotted name; a package goes by the name of its folder."""
    found = {}
    for source in sorted(folder for pattern in SOURCES for folder in ROOT.glob(pattern)):
        for path in sorted(source.rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(*, types: bool = False) -> Mapping[str, frozenset[str]]:
    """Of each module, the modules of ours that it imports when it runs; with `types` also for the type checker."""
    known = modules()
    return {name: frozenset(_imported(path, known, types) - {name}) for name, path in known.items()}


def _imported(path: Path, known: Mapping[str, Path], types: bool) -> set[str]:
    found = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if types else _run(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}: a relative import"
            assert not node.level, f"{path}: a relative import"
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & known.keys()
            found |= inside
            if len(inside) < len(node.names) and node.module in known:
                found.add(node.module)
    return found


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """The statements below a node, but for those below `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _run(child)


def circle(graph: Mapping[str, frozenset[str]]) -> list[str]:
    """Some names that lead back to the first of them; empty where there are none such."""
    done: set[str] = set()

    def follow(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if found := follow(other, [*way, name]):
                return found
        done.add(name)
        return []

    for name in sorted(graph):
        if found := follow(name, []):
            return found
    return []
