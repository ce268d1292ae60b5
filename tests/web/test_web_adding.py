"""A built wheel of web is whole, and a page, a document and a metric are added to it by nothing but their own files."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from support.each import each

SERVICE: Final = Path(__file__).parents[2] / "services/web"

_BUILD: Final = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"

_LOOK: Final = """
import json, sys
sys.path.insert(0, sys.argv[1])
import asyncio, structlog
import web
assert web.__file__.startswith(sys.argv[1]), web.__file__
from shared.keys import Keys
from shared.networks import NETWORKS
from web.charts.metrics import METRICS
from web.compat import past
from web.http.assets import Assets
from web.pages.found import CARDS, PAGES
from web.pages.rendering import Pages
from web.state.reading import State
from web.state.snapshot import Snapshot
from web.website import endpoints

async def look():
    log = structlog.get_logger()
    state = State(Snapshot(NETWORKS["main"]), Keys("main"), None, log)
    pages = Pages(state, Assets(log).urls, "0.1.0", ("txs",), log)
    shown = {page.name: pages.page(page).body.decode() for page in PAGES.values() if page.routes is None}
    found = {"pages": shown, "cards": [*CARDS], "metrics": [*METRICS], "broken": pages.broken()}
    found["paths"] = [one.path for one in endpoints()] + [path for one in past.every() for path in one.paths]
    found["nodes"] = [one.build(state).body.decode() for one in endpoints() if one.path == "/api/v1/nodes"]
    return found

print(json.dumps(asyncio.run(look())))
"""

_ADDED: Final = {
    "web/pages/nodes/__init__.py": """
from web.pages.page import STATUS, Page, cards

_card = cards(__name__)
PAGE = Page("nodes", "/network/nodes", "Nodes of the network", place=45, shows=(_card("reachable", STATUS),))
""",
    "web/pages/nodes/page.html": """
{% extends "layout.html" %}
{% block content %}
<h1>Nodes</h1>
{{ cards.reachable }}
{% endblock %}
""",
    "web/pages/nodes/reachable.html": """
<section class="card" data-card="reachable">{{ s.network.name }}, reachable</section>
""",
    "web/api/nodes.py": """
from web.endpoints import Endpoints
from web.http.answers import document

ENDPOINTS = Endpoints()


@ENDPOINTS.get("/api/v1/nodes", shows=("status",))
def nodes(s, now):
    return document({"network": s.network.name})
""",
    "web/charts/metrics/nodes.py": """
from web.charts.metric import Metric


async def chart(material):
    raise NotImplementedError


METRIC = Metric("nodes", "Nodes", "How many nodes can be reached.", chart, place=15)
""",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as a package registry would get it."""
    folder = tmp_path_factory.mktemp("wheel")
    done = run(_BUILD, str(folder), cwd=SERVICE)
    return folder / done.strip().splitlines()[-1]


def run(program: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def look(folder: Path) -> str:
    return run(_LOOK, str(folder), cwd=folder)


def test_a_wheel_holds_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        held = set(packed.namelist())
    source = SERVICE / "src"
    ours = {str(path.relative_to(source)) for path in (source / "web").rglob("*") if path.is_file()}
    assert {name for name in ours if "__pycache__" not in name} <= held


def test_what_is_added_is_found(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path)
    for name, text in _ADDED.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    found = json.loads(look(tmp_path))
    assert [*found["pages"]] == [
        "overview", "mempool", "blocks", "network_nodes", "price_sources", "nodes", "status",
        "api",
    ]  # fmt: skip
    assert "main, reachable" in found["pages"]["nodes"]
    assert each('<a href="/network/nodes"' in html for html in found["pages"].values())
    assert "reachable" in found["cards"]
    assert found["metrics"] == ["price", "difficulty", "nodes", "hashrate", "tx-volume", "tx-amount", "tx-fees"]
    assert "/api/v1/nodes" in found["paths"]
    assert found["nodes"] == ['{"network":"main"}']
    assert found["broken"] == []


def test_two_cards_of_one_name_are_refused(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path)
    name, text = next(iter(_ADDED.items()))
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(text.replace("reachable", "fees"))
    with pytest.raises(AssertionError, match="two cards are called fees: in mempool and in nodes"):
        look(tmp_path)
