"""The script that makes .venv, on a workspace of one tiny package that needs nothing from outside."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "local" / "venv"

# A build backend that fits into the package: an editable wheel is a .pth file with the folder's name in it.
BACKEND = """
import zipfile
from pathlib import Path

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "tiny-1-py3-none-any.whl"
    info = "tiny-1.dist-info"
    with zipfile.ZipFile(Path(folder) / name, "w") as wheel:
        wheel.writestr("tiny.pth", str(Path("src").absolute()))
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""
PROJECT = """
[project]
name = "tiny"
version = "1"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    for path, text in {
        "requirements/dev.txt": "",
        "shared/pyproject.toml": PROJECT,
        "shared/backend.py": BACKEND,
        "shared/src/tiny.py": "there = True\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "deploy" / "local").mkdir(parents=True)
    shutil.copy(SCRIPT, root / "deploy" / "local" / "venv")
    return root


def make(root: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Call it from elsewhere, as make does not."""
    return subprocess.run(
        [root / "deploy" / "local" / "venv"],
        cwd="/",
        env={**os.environ, **env},
        check=False,
        capture_output=True,
        text=True,
    )


def imports_tiny(root: Path) -> bool:
    return (
        subprocess.run([root / ".venv/bin/python", "-c", "import tiny; assert tiny.there"], check=False).returncode == 0
    )


def test_makes_it_once_and_repairs_it(workspace: Path) -> None:
    first = make(workspace)
    assert first.returncode == 0, first.stderr
    assert "venv: making .venv" in first.stderr
    assert imports_tiny(workspace)

    began = time.monotonic()
    again = make(workspace)
    assert (again.returncode, again.stderr) == (0, "")
    assert time.monotonic() - began < 1

    # The lock changed: installed into what is there.
    (workspace / "requirements" / "dev.txt").write_text("# a comment\n")
    changed = make(workspace)
    assert changed.returncode == 0, changed.stderr
    assert "installing" in changed.stderr
    assert "making" not in changed.stderr

    # What has no hash is refused, and not taken for done.
    (workspace / "requirements" / "dev.txt").write_text("idna==3.10\n")
    refused = make(workspace)
    assert refused.returncode != 0
    assert "hash" in (refused.stdout + refused.stderr).lower()
    assert not (workspace / ".venv" / ".ready").exists()

    # Interrupted half-way: made anew.
    (workspace / "requirements" / "dev.txt").write_text("")
    (workspace / ".venv" / "lib").rename(workspace / ".venv" / "library")
    repaired = make(workspace)
    assert repaired.returncode == 0, repaired.stderr
    assert "making" in repaired.stderr
    assert not (workspace / ".venv" / "library").exists()
    assert imports_tiny(workspace)

    # The folder moved: what is inside still names the old place.
    moved = workspace.rename(workspace.with_name("moved"))
    followed = make(moved)
    assert followed.returncode == 0, followed.stderr
    assert "making" in followed.stderr
    assert imports_tiny(moved)
    assert str(moved) in (moved / ".venv" / "bin" / "pip").read_text()


OLD = 'case $1 in -V) echo Python 3.9.2;; -c) [ -z "$2" ];; esac'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (OLD, "is Python 3.9.2; expected Python 3.11 or later"),
        ("exit 127", "does not run; expected an interpreter"),
    ],
)
def test_an_interpreter_that_will_not_do_is_named(workspace: Path, body: str, message: str) -> None:
    python = workspace / "python"
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)
    refused = make(workspace, PYTHON=str(python))
    assert refused.returncode == 1
    assert f"PYTHON={python} {message}" in refused.stderr
    assert not (workspace / ".venv").exists()


def test_neither_ensurepip_nor_apt(workspace: Path, tmp_path: Path) -> None:
    """A Python whose ensurepip is away, and a PATH without apt."""
    if list(Path("/usr/share/python-wheels").glob("pip-*.whl")):
        pytest.skip("this machine has Debian's pip wheel")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "sha256sum", "cut", "mkdir", "mktemp", "rm", "touch", "find", "grep", "flock"):
        (tools / name).symlink_to(shutil.which(name) or name)
    python = tools / "python"
    python.write_text(
        f'#!/bin/sh\n[ "$2" = "import ensurepip, venv" ] && exit 1\nexec {shutil.which("python3")} "$@"\n'
    )
    python.chmod(0o755)
    refused = make(workspace, PATH=str(tools), PYTHON=str(python))
    assert refused.returncode == 1
    assert "no ensurepip and there is no apt" in refused.stderr
