"""The service of docs/adding-a-service.md, added to a copy of the tree as the guide says, and run."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from local_run.node import RegtestNode
from local_run.ports import pick
from support import guide, stack
from support.imports import ROOT
from support.stack import Stack, until
from support.web_harness import Events

GUIDE: Final = ROOT / "docs/adding-a-service.md"
OWN: Final = "services/peers/"
MOST: Final = 60
"""Lines outside the service's own folder, empty ones not counted."""

VIEWS: Final = "{regtest:peers}:views"
STREAM: Final = "{regtest:peers}:peers"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The copy, with every step of the guide done."""
    folder = tmp_path_factory.mktemp("tree")
    guide.copied(folder)
    for step in guide.steps(GUIDE.read_text()):
        guide.applied(step, folder)
    return folder


def test_it_is_few_lines_outside_its_own_folder() -> None:
    steps = guide.steps(GUIDE.read_text())
    assert {step.path for step in steps if step.path.startswith(OWN)} >= {f"{OWN}src/peers/app.py"}
    outside = sum(step.lines for step in steps if not step.path.startswith(OWN))
    assert 0 < outside < MOST
    print(f"{outside} lines outside {OWN}")


def within(tree: Path, *command: str) -> str:
    """What a command says in the copy, where nothing of the tree itself is imported."""
    path = os.pathsep.join(guide.sources(tree))
    environment = {**os.environ, "PYTHONPATH": path, "MYPYPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_rules_of_the_house_hold(tree: Path, full: bool) -> None:
    """Layout and imports, and the tests that look at every service; with --full the types, too."""
    python = sorted({step.path for step in guide.steps(GUIDE.read_text()) if step.path.endswith(".py")})
    within(tree, "-m", "ruff", "check", "--no-cache", *python)
    within(tree, "-m", "ruff", "format", "--no-cache", *python)  # as `make format` lays it out
    rules = ["tests/web/test_rooms.py", "tests/docs/test_imports.py", "tests/shared/test_domains.py"]
    said = within(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", *rules)
    assert " passed" in said
    assert "peers" in within(tree, "-c", "import peers.app; print(peers.app.__file__)")
    assert "`{net:peers}:peers`" in within(tree, "tests/docs/events_page.py")
    if full:
        within(tree, "-m", "mypy", "--cache-dir", str(tree / ".mypy_cache"), *guide.sources(tree))


class Watched(Stack):
    """The services of the copy."""

    def __init__(self, folder: Path, tree: Path) -> None:
        super().__init__(folder)
        self.extra_env["PYTHONPATH"] = os.pathsep.join(guide.sources(tree))

    async def counted(self) -> Any:
        """What the service shows."""
        return json.loads(await self.redis.hget(VIEWS, "peers") or "null")

    async def get(self, path: str) -> str:
        """What web answers."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}{path}") as response:
            assert response.status == 200, f"{path}: {response.status} {await response.text()}"
            return await response.text()

    async def says(self, words: str) -> bool:
        """Whether the page holds these words."""
        try:
            return words in await self.get("/peers")
        except aiohttp.ClientError:  # not up yet
            return False

    async def chart(self) -> dict[str, list[list[int]]]:
        """The points of each line."""
        chart = json.loads(await self.get("/api/v1/charts/peers?range=1d"))
        return {line["name"]: line["points"] for line in chart["series"]}

    async def pushes_when(self, happens: Awaitable[Any], outbound: str) -> None:
        """An open page is sent the card that says so, once that happens."""
        timeout = aiohttp.ClientTimeout(total=40)
        async with (
            aiohttp.ClientSession(timeout=timeout, read_bufsize=2**20) as http,
            http.get(f"{self.url}/live?pages=peers") as live,
        ):
            assert live.status == 200
            await happens
            card = f'<dt>Outbound</dt><dd><span class="n">{outbound}</span></dd>'
            await live.content.readuntil(json.dumps(card)[1:-1].encode())

    async def seqs(self) -> list[int]:
        """Of every entry of the stream, in order."""
        return [int(fields[b"seq"]) for _, fields in await self.redis.xrange(STREAM)]


async def test_it_runs(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(stack.SERVICES, "peers", "peers")
    [port] = pick(1)
    other = RegtestNode(tmp_path / "other", extra=("-listen=1", f"-bind=127.0.0.1:{port}"))
    async with Watched(tmp_path, tree) as it:
        await asyncio.gather(it.start("web"), other.start())
        try:
            absent = "peers, which counts the node&#39;s peers, is not running"
            await until(lambda: it.says(absent), 20, "the card says why it is empty")
            await it.start("peers")
            assert await until(it.counted, 20, "the view is there") == {"inbound": 0, "outbound": 0}
            async with Events.connect(it.url, "peers") as events:
                await it.node.rpc("addnode", f"127.0.0.1:{port}", "onetry")

                async def connected() -> bool:
                    return bool(await it.counted() == {"inbound": 0, "outbound": 1})

                await until(connected, 30, "the peer is counted")
                event = await events.next()
                while event.data["outbound"] != 1:
                    event = await events.next()
                assert event.event == "peers.counted"
            await shown(it)
            before, past = await it.seqs(), await it.chart()
            await it.kill("peers")
            await it.start("peers")

            async def went_on() -> bool:
                return len(await it.seqs()) > len(before)

            await until(went_on, 30, "it goes on after a kill")
            seqs = await it.seqs()
            assert seqs == list(range(1, len(seqs) + 1)), "nothing twice, and nothing left out"
            for name, points in (await it.chart()).items():
                assert points[: len(past[name]) - 1] == past[name][:-1], "what was recorded stays"
            await it.pushes_when(it.node.rpc("disconnectnode", f"127.0.0.1:{port}"), "0")
            assert await it.stop("peers") == 0
        finally:
            await other.stop()


async def shown(it: Watched) -> None:
    """The page, the chart and the status page say what the view says."""

    counted = '<dt>Outbound</dt><dd><span class="n">1</span></dd>'
    await until(lambda: it.says(counted), 10, "the page shows it")
    last = {name: points[-1][1] for name, points in (await it.chart()).items()}
    assert last == {"outbound": 1, "inbound": 0}
    assert "Outbound" in await it.get("/charts/peers?range=1w")
    assert '<a href="/peers">Peers</a>' in await it.get("/")
    status = json.loads(await it.get("/api/v1/status"))
    assert [one["state"] for one in status["services"] if one["service"] == "peers"] == ["ok"]
    assert {"peers"} == {one["name"] for one in status["streams"]} - {
        "blocks",
        "txs",
        "fees",
        "metrics",
        "treasuries",
        "series",
        "prices",
        "rankings",
        "changes",
        "ops",
    }
