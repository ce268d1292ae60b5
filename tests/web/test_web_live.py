"""`/live`: several pages over one connection, rendered once for all, and a pulse that tells how old it is."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from support.web_harness import Events, Running, until
from support.web_samples import Writer, chain, health
from web.pages.found import PAGES
from web.push.sse import bare


@contextlib.asynccontextmanager
async def listening(site: Running, *pages: str) -> AsyncIterator[Events]:
    async with (
        aiohttp.ClientSession(site.url, read_bufsize=2**20) as http,
        http.get("/live", params={"pages": ",".join(pages)}) as response,
    ):
        assert response.status == 200, await response.text()
        yield Events(response)


async def cards(events: Events) -> dict[str, str]:
    """The next cards."""
    while (message := await events.next()).event != "cards":
        assert message.event == "pulse"
    found: dict[str, str] = message.data
    return found


async def pulse(events: Events) -> dict[str, Any]:
    """The next pulse."""
    while (message := await events.next()).event != "pulse":
        assert message.event == "cards"
    found: dict[str, Any] = message.data
    return found


async def test_one_connection_carries_several_pages(site: Running, writer: Writer) -> None:
    async with listening(site, "blocks", "mempool") as events:
        first = await cards(events)
        assert set(first) == {*PAGES["mempool"].cards, *PAGES["blocks"].cards}
        await writer.chain(chain(height=954_211))
        changed: dict[str, str] = {}
        while not {"blocks", "blocks_summary", "foot"} <= changed.keys():
            changed |= await cards(events)
        assert "954,211" in changed["blocks"]
        assert not changed.keys() & {"bands", "projected", "largest"}  # what did not change is not sent


async def test_who_shows_the_same_pages_is_sent_the_same_bytes(site: Running, writer: Writer) -> None:
    async with contextlib.AsyncExitStack() as stack:
        orders = (("overview", "charts"), ("charts", "overview"), ("charts", "overview", "charts"))
        clients = [await stack.enter_async_context(listening(site, *order)) for order in orders]
        firsts = [await cards(events) for events in clients]
        assert firsts[0] == firsts[1] == firsts[2]
        live = list(site.site._live.audiences())
        assert len(live) == 1
        assert len(live[0].clients) == 3
        assert live[0].first() is live[0].first()  # one piece of bytes, however many come
        await writer.chain(chain(height=954_211))
        await until(lambda: "954,211" in live[0].first().wire(bare).decode())


async def test_a_pulse_comes_at_once_and_when_the_node_falls_silent(site: Running, writer: Writer) -> None:
    async with listening(site, "overview") as events:
        first = await pulse(events)
        slots = {"chain_ms", "mempool_ms", "market_ms", "marketcap_ms", "explorer_ms", "treasuries_ms"}
        assert set(first) == {"now_ms", "node", *slots}
        assert 0 <= first["now_ms"] - first["chain_ms"] < 10_000
        assert first["node"] == ""
        await writer.health(health("chain-ingest", "degraded", reason="The node does not answer"))
        for domain in ("chain", "mempool"):
            await writer.confirm(domain, age=60)
        second = await pulse(events)
        while not second["node"]:
            second = await pulse(events)
        assert second["node"] == "The node does not answer"
        assert second["now_ms"] - first["now_ms"] < 4_500  # told when it was known, not with the next pulse
        assert second["now_ms"] - second["chain_ms"] >= 60_000
        third = await pulse(events)  # and again, although nothing changes
        assert third["now_ms"] - second["now_ms"] < 7_000


@pytest.mark.parametrize("query", ["", "?pages=", "?pages=overview,nowhere"])
async def test_pages_that_do_not_exist_are_named(http: aiohttp.ClientSession, query: str) -> None:
    async with http.get(f"/live{query}") as response:
        assert response.status == 400
        error = (await response.json())["error"]
    assert error["code"] == "unknown_page"
    assert f"expected one or more of {', '.join(PAGES)}" in error["message"]
    assert ("'nowhere'" in error["message"]) == ("nowhere" in query)


async def test_a_card_that_only_grew_older_is_not_sent(site: Running, writer: Writer) -> None:
    async with listening(site, "api") as events:
        assert "foot" in await cards(events)
        sent = []
        for _ in range(2):  # the truth goes on meanwhile, and a pulse tells
            await writer.confirm("chain")
            await writer.confirm("mempool")
            while (message := await events.next()).event != "pulse":
                sent.append(sorted(message.data))
        assert sent == []
