"""What the documents say is what the code does."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from docs import packages_page
from docs.events_page import render
from shared import settings
from shared.variables import Reader
from support.each import each

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", ".cache", ".data", "node_modules", ".pytest_cache"} & set(path.relative_to(ROOT).parts)
]
SERVICES = sorted(path.parent for path in ROOT.glob("services/*/pyproject.toml"))


class Recorder(Mapping[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def variables(text: str) -> set[str]:
    """Variables in the first column of a table."""
    rows = re.findall(r"^\| (`[A-Z<][^|]*) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([A-Z<][A-Za-z_>0-9]*)`", row)}


def test_every_variable_is_documented_and_every_documented_one_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    reader = Reader
    monkeypatch.setattr(settings, "Reader", lambda values: reader(recorder))
    settings.load({}, ROOT / "no-such-folder")
    read = {re.sub(r"^MAIN_(?=RPC|ZMQ|ELECTRUM)", "<NODE>_", name) for name in recorder.asked} | {"ENV_DIR"}
    assert variables((ROOT / "docs/configuration.md").read_text()) == read


@pytest.mark.parametrize("folder", SERVICES, ids=lambda folder: folder.name)
def test_each_service_says_what_it_is(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    for heading in ("## Streams", "## Keys", "## Environment"):
        assert heading in text, f"{folder.name}/README.md lacks {heading!r}"
    known = variables((ROOT / "docs/configuration.md").read_text()) | {"DASHBOARD_DEMO"}
    assert variables(text) <= known, f"{folder.name}/README.md names variables that nothing reads"
    assert folder.name in (ROOT / "README.md").read_text()


def test_the_events_page_is_made_from_the_types() -> None:
    assert (ROOT / "docs/events.md").read_text() == render(), "run make docs"


def test_the_packages_are_drawn_as_they_are() -> None:
    assert packages_page.PAGE.read_text() == packages_page.page(), "run make docs"


def test_each_dependency_has_its_reason() -> None:
    projects = [ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")]
    wanted: set[str] = set()
    for project in projects:
        if ".venv" in project.parts:
            continue
        document = tomllib.loads(project.read_text())
        listed = [*document["project"].get("dependencies", []), *document.get("dependency-groups", {}).get("dev", [])]
        for extra in document["project"].get("optional-dependencies", {}).values():
            listed += extra
        wanted |= {re.split(r"[\[;<>=! ]", name)[0] for name in listed}
    table = (ROOT / "README.md").read_text().partition("## Dependencies")[2]
    named = {name.strip() for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for name in row.split(",")}
    wanted = {name for name in wanted if not name.startswith("bitcoin-dashboard")}
    assert wanted <= named, f"README's table of dependencies lacks {sorted(wanted - named)}"
    assert named - {"library", "---"} <= wanted, f"README names what is not used: {sorted(named - wanted)}"


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        for target in re.findall(r"`make ([a-z-]+)", document.read_text()):
            assert target in targets, f"{document.relative_to(ROOT)} names make {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.relative_to(ROOT)} links to {target}"


def test_no_machine_path_and_no_secret_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files", "env"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert each(name.endswith(".example") for name in listed.split())
