"""Compiled templates: kept from one start to the next, and never older than their source."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader

from web.pages.compiled import Compiled


class Start:
    """One start of a process that renders a template."""

    def __init__(self, folder: Path, kept: Path) -> None:
        self.compiled = 0
        environment = Environment(loader=FileSystemLoader(folder), bytecode_cache=Compiled(kept), autoescape=True)
        compiles = environment.compile

        def counted(*args: Any, **more: Any) -> Any:
            self.compiled += 1
            return compiles(*args, **more)

        environment.compile = counted  # type: ignore[method-assign]  # it is counted, and done
        self.said = environment.get_template("page.html").render(what="it")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "page.html").write_text("This is {{ what }}.")
    return tmp_path


def started(folder: Path) -> tuple[int, str]:
    start = Start(folder, folder / "kept")
    return start.compiled, start.said


def test_the_next_start_finds_what_was_compiled(folder: Path) -> None:
    assert started(folder) == (1, "This is it.")
    [kept] = (folder / "kept").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o644
    assert started(folder) == (0, "This is it.")
    (folder / "page.html").write_text("That was {{ what }}.")
    assert started(folder) == (1, "That was it.")
    assert started(folder) == (0, "That was it.")


@pytest.mark.parametrize("left", [0, 5, 40, -1])
def test_what_is_damaged_is_made_anew(folder: Path, left: int) -> None:
    started(folder)
    [kept] = (folder / "kept").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:left])
    assert started(folder) == (1, "This is it.")
    assert kept.read_bytes() == whole
    kept.write_bytes(whole[:30] + b"nonsense" + whole[38:])
    assert started(folder) == (1, "This is it.")


def test_where_nothing_may_be_written_it_goes_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "kept").write_text("no folder")
    assert started(folder) == started(folder) == (1, "This is it.")
    (folder / "kept").unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert started(folder) == (1, "This is it.")
    assert not (folder / "kept").exists()
