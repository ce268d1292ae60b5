"""A guide that changes files, step by step, put into a copy of the tree: what it says is what is done."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from support.imports import ROOT

_STEP = re.compile(
    r"^(?:New file `(?P<new>[^`]+)`|In `(?P<old>[^`]+)`, (?P<how>above|below|instead of) `(?P<line>[^`\n]+)`):\n"
    r"```\w+\n(?P<text>.*?)```$",
    re.MULTILINE | re.DOTALL,
)


class Step(NamedTuple):
    """One block of the guide: the text of a new file, or lines at a line of one that is there."""

    path: str
    how: str  # empty for a new file, else where the text goes: above or below the line, or instead of it
    line: str
    text: str

    @property
    def lines(self) -> int:
        """That somebody has to write; empty ones do not count."""
        return sum(1 for line in self.text.splitlines() if line.strip())


def steps(guide: str) -> list[Step]:
    """What it says, in order."""
    found = [
        Step(match["new"] or match["old"], match["how"] or "", match["line"] or "", match["text"])
        for match in _STEP.finditer(guide)
    ]
    assert len(found) == guide.count("```") // 2, "a block of code stands without the file that it belongs to"
    return found


def copied(tree: Path) -> None:
    """The tree as git has it, with what is not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, tree / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def applied(step: Step, tree: Path) -> None:
    """The step done; the line that it names stands exactly once in its file."""
    path = tree / step.path
    if not step.how:
        assert not path.exists(), f"{step.path} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.text)
        return
    before = path.read_text().splitlines(keepends=True)
    [place] = [at for at, line in enumerate(before) if line.rstrip("\n") == step.line]
    kept = {"above": before[place:], "below": before[place + 1 :], "instead of": before[place + 1 :]}[step.how]
    begins = before[: place + (step.how == "below")]
    path.write_text("".join([*begins, step.text, *kept]))


def sources(tree: Path) -> Iterator[str]:
    """The folders that its modules are imported from."""
    for pattern in ("shared/src", "services/*/src", "deploy/local/src"):
        yield from map(str, sorted(tree.glob(pattern)))
