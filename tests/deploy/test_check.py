"""deploy/check finds what Kubernetes would refuse, and says so when it cannot look."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on this machine")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the check looks at, to be spoilt."""
    for name in ("check", "kubernetes", "prometheus"):
        source = ROOT / "deploy" / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        (tmp_path / "deploy").mkdir(exist_ok=True)
        copy(source, tmp_path / "deploy" / name)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


def check(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(folder / "deploy/check")]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **env})


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@needs_kubectl
def test_what_is_there_is_taken(checkout: Path) -> None:
    said = check(checkout)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.count("\n") == 1


@needs_kubectl
def test_a_slip_and_a_kind_that_nobody_knows_are_refused(checkout: Path) -> None:
    base = checkout / "deploy/kubernetes/base"
    replace(base / "closed.yaml", "revisionHistoryLimit", "revisionHistoryLimits")
    replace(
        base / "disruptions.yaml",
        "kind: PodDisruptionBudget\nmetadata: {name: web}",
        "kind: Budget\nmetadata: {name: web}",
    )
    said = check(checkout)
    assert said.returncode == 1
    assert "revisionHistoryLimits" in said.stderr
    assert "kind Budget" in said.stderr
    assert "ScaledObject" not in said.stderr  # of those that are known to be others'


@needs_kubectl
def test_an_overlay_that_cannot_be_built_is_named(checkout: Path) -> None:
    replace(checkout / "deploy/kubernetes/overlays/sentinel/kustomization.yaml", "scaling-sentinel", "scaling-centinel")
    said = check(checkout)
    assert said.returncode == 1
    assert "sentinel cannot be built" in said.stderr
    assert "cluster cannot be built" not in said.stderr


def test_rules_that_were_not_written_anew_are_refused(checkout: Path) -> None:
    replace(checkout / "deploy/prometheus/rules.yaml", "for: 1m", "for: 2m")
    said = check(checkout)
    assert said.returncode == 1
    assert "deploy/prometheus/object >" in said.stderr


def test_without_kubectl_one_line_says_so(checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "dirname", "diff", "cat", "grep", "sed"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    said = check(checkout, PATH=str(programs))
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.count("\n") == 1
    assert "kubectl is not on this machine" in said.stdout


def test_lint_calls_it() -> None:
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    assert "deploy/check" in lint
