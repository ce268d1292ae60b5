"""Draws the packages into docs/architecture.md from their imports: `python tests/docs/packages_page.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from support.imports import ROOT, imports, modules

PAGE: Final = ROOT / "docs/architecture.md"
BEGIN: Final = "<!-- packages: drawn by `make docs` -->"
END: Final = "<!-- end of packages -->"


def room(name: str) -> str:
    """Where a module lies: its folder."""
    path = modules()[name]
    return name if path.name == "__init__.py" else name.rpartition(".")[0] or name


def _rooms() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, others in imports().items():
        found.setdefault(room(name), set()).update(room(other) for other in others)
    return {name: others - {name} for name, others in sorted(found.items())}


def _drawing(rooms: Mapping[str, set[str]]) -> Iterator[str]:
    """An arrow from who imports to what is imported; a folder's parts stand inside it, `shared` on the right."""
    yield "```mermaid"
    yield "graph LR"
    for package in sorted({name.partition(".")[0] for name in rooms}):
        inside = [name for name in rooms if name.partition(".")[0] == package]
        yield f"  subgraph {package}"
        yield from (f"    {_id(name)}[{name.partition('.')[2] or package}]" for name in inside)
        yield "  end"
    for name, others in rooms.items():
        yield from (f"  {_id(name)} --> {_id(other)}" for other in sorted(others))
    yield "```"


def _id(name: str) -> str:
    return name.replace(".", "_") + "_"


def _layers() -> Iterator[str]:
    """The modules of shared: each line imports from the lines above it alone."""
    left = {name: set(others) for name, others in imports().items() if name.startswith("shared.")}
    placed: set[str] = set()
    yield "```"
    while left:
        layer = sorted(name for name, others in left.items() if others - {"shared"} <= placed)
        yield " ".join(name.removeprefix("shared.") for name in layer)
        placed |= {*layer}
        for name in layer:
            del left[name]
    yield "```"


def render() -> str:
    """What stands between the marks."""
    words = "The modules of `shared`; each line imports from the lines above it alone:"
    return "\n".join([BEGIN, *_drawing(_rooms()), "", words, *_layers(), END])


def page() -> str:
    """The whole page with its drawing made anew."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return before + render() + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page())
