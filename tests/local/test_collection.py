"""Every process that collects the tests finds the same ones: no name of a test holds the moment of its collection."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]

CLOCKS: Final = {"time", "time_ns", "monotonic", "now", "utcnow", "today", "uuid4", "random", "randint", "getpid"} | {
    "token_hex",
    "token_bytes",
    "randbytes",
    "urandom",
}
"""Functions whose answer differs from process to process."""


def called(node: ast.AST) -> Iterator[str]:
    """Names of the functions that are called in it."""
    for one in ast.walk(node):
        if isinstance(one, ast.Call):
            yield one.func.attr if isinstance(one.func, ast.Attribute) else getattr(one.func, "id", "")


def named(node: ast.AST) -> set[str]:
    """Names that it reads."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def moving(source: str) -> list[str]:
    """Parameters of tests and fixtures that differ from process to process, as they are written."""
    tree = ast.parse(source)
    unsteady: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if CLOCKS & set(called(statement.value)) or unsteady & named(statement.value):
                unsteady.update(*(named(target) for target in targets))
    found = []
    for one in ast.walk(tree):
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in one.decorator_list:
                if not isinstance(decorator, ast.Call) or any(keyword.arg == "ids" for keyword in decorator.keywords):
                    continue
                if CLOCKS & set(called(decorator)) or unsteady & named(decorator):
                    found.append(f"{one.name}: {ast.unparse(decorator)}")
    return found


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_no_name_of_a_test_holds_the_clock(path: Path) -> None:
    assert not moving(path.read_text())


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("NOW = int(time.time())\n@mark.parametrize('x', [1, NOW - 3])\ndef test(x): ...", 1),
        ("NOW: int = int(time.time())\nTHEN = NOW - 5\n@mark.parametrize('x', [THEN])\nasync def test(x): ...", 1),
        ("@pytest.fixture(params=[uuid4()])\ndef one(request): ...", 1),
        ("NOW = int(time.time())\n@mark.parametrize('x', [NOW], ids=['now'])\ndef test(x): ...", 0),
        ("NOW = int(time.time())\n@mark.parametrize('x', [1, 2])\ndef test(x): assert x < NOW", 0),
    ],
)
def test_what_is_found(source: str, faults: int) -> None:
    assert len(moving(source)) == faults
