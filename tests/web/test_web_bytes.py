"""What web answers over the sample states, byte for byte as it was recorded: a change of its inside changes none of it.

`--record DIR` writes every answer into a folder, for a look at what is another, and the sums anew. Left out is what no
clock or state decides: the names of static files, and what Redis says of its own version and memory.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from support.web_harness import Running, serving, until
from support.web_samples import Writer
from support.web_states import NOW, STATES
from web.charts.metrics import METRICS
from web.compat.statistics import INTERVALS

RECORDED: Final = Path(__file__).parent / "recorded" / "sums.json"
_ASSET: Final = re.compile(r"/static/[\w.-]+")
_MINING: Final = ("hashrate", "difficulty-adjustments", "pools", "blocks/fees", "blocks/rewards", "blocks/fee-rates")
_SIZES: Final = ("blocks/sizes-weights",)
_PLAIN: Final = (
    "/", "/mempool", "/blocks", "/charts", "/status", "/api", "/nowhere", "/api/nowhere", "/readyz", "/healthz",
    "/api/v1/overview", "/api/v1/fees/recommended", "/api/v1/fees/precise", "/api/v1/fees/mempool-blocks",
    "/api/v1/fees/waits",
    "/api/mempool", "/api/blocks/tip/height", "/api/blocks/tip/hash", "/api/v1/difficulty-adjustment", "/api/v1/status",
    "/api/v1/charts/nothing", "/api/v1/charts/difficulty?range=2d", "/charts/nothing", "/charts/difficulty?range=2d",
    "/charts/difficulty?from=2026-05-01&to=2026-05-20", "/charts/difficulty?range=all&scale=log",
    "/api/v1/mining/difficulty-adjustments", "/api/v1/mining/hashrate/2d", "/api/v1/events", "/live",
    "/api/v1/events?streams=ops",
)  # fmt: skip


def addresses() -> Iterator[str]:
    """Everything that can be asked for with GET."""
    yield from _PLAIN
    for metric in METRICS.values():
        for span in metric.ranges:
            yield f"/charts/{metric.name}?range={span}"
            yield f"/api/v1/charts/{metric.name}?range={span}"
        yield f"/api/v1/charts/{metric.name}?format=csv"
    for name in ("mempool", "1d", "1w", "1m", "1y", "halving", "all", "2d"):
        yield f"/api/v1/largest-transactions?range={name}"
    for name in (*_MINING, *_SIZES):
        for interval in ("24h", "1w", "1y", "all"):
            yield f"/api/v1/mining/{name}/{interval}"
    for interval in INTERVALS:
        yield f"/api/v1/statistics/{interval}"


def spoken() -> Iterator[str]:
    """The pages, which are another in each language."""
    yield from (path for path in addresses() if path in ("/", "/api") or not path.startswith(("/api", *_NO_PAGES)))


_NO_PAGES: Final = ("/readyz", "/healthz", "/live")


async def answers(site: Running) -> dict[str, tuple[str, bytes]]:
    """By address: status and headers that carry meaning, and the body."""
    found: dict[str, tuple[str, bytes]] = {}
    async with aiohttp.ClientSession() as session:
        asked = (
            (site.url, "", [*addresses()]),
            (site.url, "de", [*spoken()]),
            (site.admin, "", ["/status", "/api/v1/status", "/readyz"]),
        )
        for base, language, paths in asked:
            for path in paths:
                async with session.get(
                    base + path, headers={"Accept-Language": language} if language else {}
                ) as response:
                    body = await response.read()
                    kept = ("Content-Type", "Retry-After", "Age", "Access-Control-Allow-Origin", "Cache-Control")
                    headers = [response.headers.get(name, "") for name in kept]
                name = f"{language} {path}".strip() if base == site.url else f"operator {path}"
                found[name] = (f"{response.status} {'|'.join(headers)}", _ASSET.sub("/static/", body.decode()).encode())
        pages = "overview,mempool,blocks,charts,status,api"
        async with session.get(f"{site.url}/live?pages={pages}") as response:
            first = await response.content.readuntil(b"\n\n")
            found["live"] = (str(response.status), first)
    return found


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("name", STATES)
async def test_every_answer_is_what_it_was(name: str, valkey: str, writer: Writer, pytestconfig: pytest.Config) -> None:
    network, build = STATES[name]
    await build(Writer(writer.redis, network, NOW))
    async with serving(valkey, network=network) as site:
        await until(lambda: site.site.state.snapshot.read_at and site.site.state.snapshot.services)
        await site.site.state.refresh()
        found = await answers(site)
    sums = {path: f"{head} {hashlib.sha256(body).hexdigest()[:16]}" for path, (head, body) in found.items()}
    folder: Path | None = pytestconfig.getoption("--record")
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    if folder is not None:
        for path, (head, body) in found.items():
            file = folder / name.replace(" ", "-") / re.sub(r"[^\w.=&-]+", "_", path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(head.encode() + b"\n\n" + body)
        RECORDED.parent.mkdir(exist_ok=True)
        RECORDED.write_text(json.dumps(recorded | {name: sums}, indent=1, sort_keys=True) + "\n")
        return
    assert sums == recorded[name]
