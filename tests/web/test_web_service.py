"""Web as a process of its own, and with a Redis that dies and comes back."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from local_run.ports import pick
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.domains import streams_of
from shared.views import Health, MempoolView, TipView
from support.topologies import Cluster
from support.web_harness import Events, serving, until
from support.web_process import answers, process
from support.web_samples import Writer, chain, mempool, tx_added
from web.pages.found import PAGES
from web.state.reading import State
from web.website import endpoints

ROOT = Path(__file__).parents[2]


async def test_it_says_how_it_is_and_stops_at_once_with_clients_connected(valkey: str, writer: Any) -> None:
    await writer.chain()
    await writer.mempool()
    await writer.all_well()
    port = pick()[0]
    url = f"http://127.0.0.1:{port}"
    async with process(valkey, port) as web:
        await answers(f"{url}/readyz")
        async with Events.connect(url, "blocks,txs") as events:
            while True:
                raw = await writer.redis.hgetall(writer.keys.health)
                reports = [msgspec.json.decode(value, type=Health) for value in raw.values()]
                if any(r.service == "web" and r.pid == web.pid and r.state == "ok" for r in reports):
                    break
                await asyncio.sleep(0.05)
            start = time.perf_counter()
            web.send_signal(signal.SIGTERM)
            assert await events.next_or_end() is None
            assert await asyncio.wait_for(web.wait(), 5) == 0
            assert time.perf_counter() - start < 3


async def test_a_port_in_use_is_named_and_fails(valkey: str, writer: Any, bare: Any) -> None:
    port = int(bare.url.rsplit(":", 1)[1])
    async with process(valkey, port) as web:
        assert web.stdout is not None
        output = (await asyncio.wait_for(web.stdout.read(), 5)).decode()
        assert await web.wait() == 1
    assert f"WEB_HOST and WEB_PORT: cannot listen at 127.0.0.1:{port}" in output


async def test_redis_dies_and_comes_back(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path / "valkey") as server:
        client = redis.connect(server.url)
        writer = Writer(client)
        await writer.chain()
        await writer.mempool()
        await writer.all_well()
        async with serving(server.url) as running, aiohttp.ClientSession(running.url) as http:
            await running.ready()
            state = running.site.state
            async with Events.connect(running.url, "txs") as events:
                await writer.add(writer.keys.stream(domains.TXS), tx_added(1))
                assert (await events.next()).event == "tx.added"

                await server.kill()
                await until(lambda: state.snapshot.redis_error, 10)
                async with http.get("/readyz") as response:
                    assert response.status == 503
                    assert "Redis does not answer" in await response.text()
                async with http.get("/") as response:
                    html = await response.text()
                assert "Redis does not answer" in html
                assert "954,210" in html  # the last figures stay
                assert 'data-server="stale"' in html
                async with http.get("/api/v1/overview") as response:
                    assert response.status == 200
                async with http.get("/api/v1/status") as response:
                    assert (await response.json())["redis"]["ok"] is False

                # What changes meanwhile is read although no event of it is seen.
                async with EmbeddedValkey(server.folder) as elsewhere:
                    other = redis.connect(elsewhere.url)
                    tip = chain(height=954_211)["tip"]
                    await other.hset(writer.keys.views(domains.CHAIN), "tip", msgspec.json.encode(tip))
                    await other.aclose()
                await server.start()
                await until(lambda: height(state) == 954_211, 10)
                await until(lambda: not state.snapshot.redis_error, 10)
                await client.connection_pool.disconnect()
                await writer.all_well()
                await writer.chain(chain(height=954_212))
                await writer.mempool(mempool(41_000))
                await writer.add(writer.keys.stream(domains.TXS), *(tx_added(n) for n in range(2, 40)))
                await until(lambda: height(state) == 954_212, 10)
                await until(lambda: (pool := state.snapshot[MempoolView]) is not None and pool.count == 41_000, 10)
                # The client that stayed connected missed nothing and got nothing twice.
                found = await events.take(38)
                assert [m.data["txid"] for m in found] == [tx_added(n).txid for n in range(2, 40)]
            await until(lambda: not state.notices, 10)
            async with http.get("/") as response:
                html = await response.text()
            assert "Redis does not answer" not in html
            assert "954,212" in html
        await client.aclose()


async def test_on_a_cluster(tmp_path: Path) -> None:
    """The domains lie on different shards, and INFO and TIME belong to none of them."""
    async with Cluster(tmp_path) as cluster:
        client = redis.connect(cluster.url)
        writer = Writer(client)
        await writer.chain()
        await writer.mempool()
        await writer.all_well()
        async with serving(cluster.url) as running, aiohttp.ClientSession(running.url) as http:
            await running.ready(15)
            await until(lambda: running.site.state.snapshot.services, 15)
            async with http.get("/readyz") as response:
                assert response.status == 200, await response.text()
            async with http.get(f"{running.admin}/api/v1/status") as response:
                found = await response.json()
            assert found["redis"]["ok"]
            assert found["redis"]["memory"]
            assert len(found["streams"]) == len(streams_of(writer.keys))
        await client.aclose()


async def test_without_redis_it_starts_and_says_so(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / "valkey", port=pick()[0])
    async with serving(server.url) as running, aiohttp.ClientSession(running.url) as http:
        await until(lambda: running.site.state.snapshot.redis_error)
        async with http.get("/") as response:
            html = await response.text()
            assert response.status == 200
        assert "There is nothing to show yet" in html
        async with http.get("/api/v1/overview") as response:
            assert response.status == 503
            assert "Redis does not answer" in (await response.json())["error"]["message"]
        async with server:
            client = redis.connect(server.url)
            await Writer(client).chain()
            await until(lambda: running.site.state.snapshot[TipView], 10)
            await client.aclose()


def test_the_readme_names_every_address() -> None:
    readme = (ROOT / "services/web/README.md").read_text()
    declared = [endpoint.path for endpoint in endpoints()] + [page.path for page in PAGES.values()]
    assert len(declared) > 12
    for path in (*declared, "/api/v1/events", "/api/v1/charts/{metric}", "/healthz", "/readyz", "/metrics"):
        assert f"`{path}" in readme, path
    for variable in ("REDIS_URL", "BITCOIN_NETWORK", "WEB_HOST", "WEB_PORT", "DASHBOARD_DEMO"):
        assert f"`{variable}`" in readme


def height(state: State) -> int:
    """Of the tip that web knows."""
    tip = state.snapshot[TipView]
    return tip.height if tip is not None else -1
