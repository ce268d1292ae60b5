"""Habits of the tests themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from support.each import each
from support.order import LONG

TESTS = Path(__file__).resolve().parents[1]


def content_with_nothing(source: str) -> list[int]:
    """Lines that assert `all(…)`, which holds for what is empty."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Call) and ast.unparse(node.test.func) == "all"
    ]


def test_no_test_is_content_with_nothing() -> None:
    assert content_with_nothing("assert all(x for x in y)") == [1]
    for path in TESTS.rglob("*.py"):
        assert not content_with_nothing(path.read_text()), f"{path.name}: use support.each"


def test_each_wants_something() -> None:
    assert each([1])
    assert not each([1, 0])
    with pytest.raises(AssertionError, match="nothing to look at"):
        each(number for number in range(0))


def test_what_runs_first_is_there() -> None:
    assert each((TESTS / f"{name}.py").is_file() for name in LONG)
    assert len(set(LONG)) == len(LONG)
