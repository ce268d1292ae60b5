"""Each service imports only what its own package declares; modules stay small; entry points stay thin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.each import each

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {path.parents[2].name: path.parent.name for path in sorted(ROOT.glob("services/*/src/*/__init__.py"))}

# Runs in a process of its own: forbids every distribution outside the closure of one's declared dependencies.
_CHECK = r"""
import importlib, pkgutil, re, sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions

def name_of(text):
    return re.sub(r"[-_.]+", "-", text).lower()

def requirements(dist, extras):
    for line in distribution(dist).requires or ():
        spec, _, marker = line.partition(";")
        match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?", spec)
        wanted = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker)
        if wanted and wanted[1] not in extras:
            continue
        yield name_of(match[1]), frozenset(part.strip() for part in (match[2] or "").split(",") if part.strip())

def closure(start):
    seen, waiting = set(), [(name_of(start), frozenset())]
    while waiting:
        item = waiting.pop()
        if item in seen:
            continue
        seen.add(item)
        try:
            waiting += requirements(*item)
        except PackageNotFoundError:
            pass  # of another platform
    return {dist for dist, _ in seen}

dist, package, extra = sys.argv[1:]
allowed = closure(dist)
owners = {module: {name_of(d) for d in dists} for module, dists in packages_distributions().items()}
ours = "shared chain_ingest chain_metrics chain_history mempool market marketcap explorer web local_run"
for module in ours.split():
    owners[module] = {"bitcoin-dashboard-" + module.replace("_", "-")}  # editable: no files to learn it from
own = {module for module, dists in owners.items() if dists & allowed}
assert package in own and "shared" in own, (package, sorted(own))

class Forbid:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in owners and top not in own and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"{top} is not among the dependencies of {dist}", name=name)

sys.meta_path.insert(0, Forbid())
for module in [name for name in sys.modules if name.partition(".")[0] in owners]:
    if module.partition(".")[0] not in own:
        del sys.modules[module]
if extra:
    importlib.import_module(extra)
root = importlib.import_module(package)
for found in pkgutil.walk_packages(root.__path__, package + "."):
    if not found.name.endswith(".__main__"):  # runs the service
        importlib.import_module(found.name)
print("imported")
"""


def check(service: str, package: str, extra: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _CHECK, f"bitcoin-dashboard-{service}", package, extra],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("service", "package"), SERVICES.items())
def test_a_service_imports_only_what_it_declares(service: str, package: str) -> None:
    done = check(service, package)
    assert done.stdout == "imported\n", done.stderr


@pytest.mark.parametrize(
    ("service", "package", "module"),
    [
        ("web", "web", "zmq"),
        ("chain-ingest", "chain_ingest", "jinja2"),
        ("mempool", "mempool", "aiohttp"),
        ("chain-metrics", "chain_metrics", "shared.rpc"),
        ("mempool", "mempool", "chain_ingest.transaction"),
    ],
)
def test_it_would_fail_if_it_imported_more(service: str, package: str, module: str) -> None:
    done = check(service, package, module)
    assert done.returncode != 0
    assert "is not among the dependencies of" in done.stderr, done.stderr


def test_there_are_services_to_look_at() -> None:
    assert SERVICES.items() >= {"chain-ingest": "chain_ingest", "mempool": "mempool", "web": "web"}.items()


MODULES = [
    path for folder in ("shared/src", "services", "deploy/local/src") for path in sorted((ROOT / folder).rglob("*.py"))
]


def test_modules_are_small() -> None:
    long = {str(path.relative_to(ROOT)): lines for path in MODULES if (lines := path.read_text().count("\n")) > 310}
    assert not long, "a module does one thing, in some 300 lines at most"


def test_entry_points_are_thin() -> None:
    mains = [path for path in MODULES if path.name == "__main__.py"]
    assert len(mains) >= 4
    assert each(path.read_text().count("\n") <= 30 for path in mains)


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not [path for path in MODULES if path.stem in {"utils", "util", "helpers", "manager", "data", "process"}]
