"""The page of a transaction on a real node and the whole chain of services behind it, in a browser where it moves."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

import chain_ingest.app
import chain_metrics.app
import explorer.app
import explorer.timeline.fold
import mempool.app
from explorer.timeline.waits import FEWEST
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.bands import FEERATE_BOUNDS
from shared.domains import TIMELINE
from shared.explorer_views import InflowView
from shared.prices import MILLION
from shared.views import TipView
from support.browser import IN_BROWSER
from support.each import each
from support.explored import KEYS, SCRIPTS, WALLET, Chain
from support.ledger import running
from support.series_samples import bar, fill_prices
from support.stack import until
from support.web_harness import Running, serving
from web.words import formats

pytestmark = IN_BROWSER


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chain(tmp_path_factory: Any) -> AsyncIterator[Chain]:
    async with Chain(tmp_path_factory.mktemp("node")) as it:
        yield it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: Any) -> AsyncIterator[EmbeddedValkey]:
    async with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as it:
        yield it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(server: EmbeddedValkey) -> AsyncIterator[redis.Client]:
    it = redis.connect(server.url)
    yield it
    await it.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(chain: Chain, server: EmbeddedValkey, client: redis.Client) -> AsyncIterator[Running]:
    """Web with everything that folds before it, having heard of the chain and the mempool."""
    env = chain.node.env()
    async with contextlib.AsyncExitStack() as stack:
        for name, run in (
            ("chain-ingest", chain_ingest.app.run), ("chain-metrics", chain_metrics.app.run),
            ("mempool", mempool.app.run), ("explorer", explorer.app.run),
        ):  # fmt: skip
            await stack.enter_async_context(running(server.url, run, name, **env))
        it = await stack.enter_async_context(serving(server.url, network="regtest"))
        await until(lambda: client.hexists(KEYS.state(TIMELINE), "meta"), 20, "the timeline has begun")
        await it.ready(20)
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(site: Running) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.url, timeout=aiohttp.ClientTimeout(total=20)) as it:
        yield it


async def page(visitor: aiohttp.ClientSession, path: str, status: int = 200) -> str:
    async with visitor.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.text()


async def mined(chain: Chain, site: Running) -> str:
    """A block that web shows."""
    [block] = await chain.mine()

    async def shown() -> bool:
        tip = site.site.state.snapshot[TipView]
        return tip is not None and tip.hash == block

    await until(shown, 15, "the block is shown")
    return block


def content(html: str) -> str:
    """What stands in the page, without marks, on one line."""
    shown = html[html.index("data-lookup") : html.index("</main>")]
    return " ".join(re.sub(r"<[^>]+>", " ", shown).split())


async def told(visitor: aiohttp.ClientSession, txid: str, *words: str, status: int = 200) -> str:
    """The page, once it says all of this."""

    async def look() -> str | None:
        async with visitor.get(f"/tx/{txid}") as answer:
            html = await answer.text()
            return html if answer.status == status and each(one in content(html) for one in words) else None

    found = await until(look, 20, f"{txid} tells {words}")
    assert found
    return found


async def seen(browser: Browser, site: Running, txid: str, width: int = 1280, scheme: Any = "light") -> Page:
    """The page in a browser; what its console complains about is in `page.complaints`."""
    context = await browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    found = await context.new_page()
    complaints: list[str] = []
    found.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    found.on("pageerror", lambda e: complaints.append(str(e)))
    found.complaints = complaints  # type: ignore[attr-defined] # for the tests
    await found.goto(f"{site.url}/tx/{txid}")
    await found.evaluate("window.same = true")
    return found


async def test_a_replacement_changes_the_open_page_and_both_tell_of_it(
    chain: Chain, site: Running, browser: Browser, visitor: aiohttp.ClientSession
) -> None:
    first = await chain.pay(fee_rate=2)
    old = await seen(browser, site, first)
    await expect(old.locator("#title-timeline")).to_be_visible(timeout=15_000)
    await expect(old.locator(".steps")).to_contain_text("Seen in the mempool.")
    await expect(old.locator("[data-key=summary]")).to_contain_text("waits in the mempool")
    before = site.site.lookups.now(f"tx:{first}:0")
    second = (await chain.wallet("bumpfee", first, {"fee_rate": 20}))["txid"]
    await expect(old.locator("[data-lookup]")).to_contain_text("Another transaction went in its place", timeout=15_000)
    await expect(old.locator(".steps")).to_contain_text("Replaced by")
    await expect(old.locator(f'.steps a[href="/tx/{second}"]')).to_be_visible()
    await expect(old.locator(".tree strong")).to_have_text(f"{first[:8]}…{first[-8:]}")
    assert await old.evaluate("window.same")
    after = site.site.lookups.now(f"tx:{first}:0")
    assert after.startswith(f"{before}:"), "at the same tip it is another question, which no older answer serves"
    html = await told(visitor, second, "It replaced:")
    assert f'href="/tx/{first}"' in html[html.index('class="steps"') :]
    assert 'class="tree"' in html
    assert old.complaints == []  # type: ignore[attr-defined] # `seen` puts it there
    await old.context.close()


async def test_a_block_changes_the_open_page(chain: Chain, site: Running, browser: Browser) -> None:
    txid = await chain.pay()
    open_page = await seen(browser, site, txid)
    summary = open_page.locator("[data-key=summary]")
    await expect(summary).to_contain_text("waits in the mempool")
    await expect(open_page.locator("[data-key=chance]")).to_contain_text("projected block 1", timeout=15_000)
    script = open_page.locator(".coins details").first
    await script.locator("summary").click()
    block = await mined(chain, site)
    await expect(summary).to_contain_text("1 confirmation", timeout=15_000)
    await expect(open_page.locator(".steps")).to_contain_text("Mined in block", timeout=15_000)
    await expect(open_page.locator("[data-key=chance]")).to_have_count(0)
    assert await script.get_attribute("open") is not None, "what was opened stays open"
    await mined(chain, site)
    await expect(summary).to_contain_text("2 confirmations", timeout=15_000)
    assert await summary.locator(f'a[href="/block/{block}"]').count() == 1
    assert await open_page.evaluate("window.same")
    await open_page.context.close()


async def test_a_reorganisation_is_told(chain: Chain, site: Running, visitor: aiohttp.ClientSession) -> None:
    txid = await chain.pay()
    await told(visitor, txid, "Seen in the mempool.")
    block = await mined(chain, site)
    await told(visitor, txid, "Mined in block", "1 confirmation")
    await chain.node.rpc("invalidateblock", block)
    html = await told(visitor, txid, "Its block left the best chain.", "waits in the mempool")
    assert html.index("Mined in block") < html.index("Its block left")
    chain.mining = await chain.wallet("getnewaddress")  # else it might be the same block again
    again = await mined(chain, site)
    assert again != block
    html = await told(visitor, txid, "1 confirmation")
    assert f'href="/block/{again}"' in html


async def test_every_type_of_script_is_named(chain: Chain, visitor: aiohttp.ClientSession) -> None:
    txid = await chain.pay_scripts(list(SCRIPTS.values()))
    html = await page(visitor, f"/tx/{txid}")
    outputs = html[html.index("title-outputs") :]
    rows = re.findall(r'<li id="output-\d+".*?</li>', outputs, re.DOTALL)
    assert len(rows) == len(SCRIPTS) + 1
    for name, row in zip(SCRIPTS, rows, strict=False):
        assert name in re.sub(r"<[^>]+>", "", row), name
    said = rows[list(SCRIPTS).index("OP_RETURN")]
    assert "<bdi>hello &lt;b&gt;youé</bdi>" in said
    assert b"hello <b>you".hex() in said
    assert "cannot be spent" in said
    assert "OP_PUSHNUM_1 OP_PUSHBYTES_33" in rows[list(SCRIPTS).index("bare multisig")]
    assert rows[-1].count("unspent") == 1


async def test_many_outputs_are_paged_and_drawn_together(chain: Chain, visitor: aiohttp.ClientSession) -> None:
    addresses = await chain.node.batch([("getnewaddress", ())] * 229, wallet=WALLET, kind=str)
    txid = await chain.pay([{one: 0.001} for one in addresses])
    pages = [await page(visitor, f"/tx/{txid}?page={number}") for number in range(3)]
    assert [len(re.findall(r'data-key="o\d+"', one)) for one in pages] == [100, 100, 30]
    assert 'data-key="o229"' in pages[2]
    assert "219 further outputs" in pages[0]
    assert [one.count('class="flow"') for one in pages] == [1, 0, 0]
    assert len(re.findall(r"<path class=", pages[0])) <= 25
    assert "?page=1" in pages[0]
    await chain.mine()


async def test_a_coinbase_tells_its_message(chain: Chain, site: Running, visitor: aiohttp.ClientSession) -> None:
    block = await mined(chain, site)
    txid = (await chain.node.rpc("getblock", block, 1))["tx"][0]
    text = content(await page(visitor, f"/tx/{txid}"))
    assert "New coins, and the fees of the block" in text
    assert "Coinbase script" in text
    assert "New coins and fees of" in text


async def test_relatives_are_linked_and_the_effective_feerate_is_the_groups(
    chain: Chain, visitor: aiohttp.ClientSession
) -> None:
    parent = await chain.pay([{await chain.wallet("getnewaddress"): 0.5}], fee_rate=1)
    raw = await chain.node.rpc("getrawtransaction", parent, 1)
    inputs = [{"txid": parent, "vout": one["n"]} for one in raw["vout"]]
    child = (await chain.wallet("sendall", [chain.mining], None, None, 50, {"inputs": inputs}))["txid"]
    html = await page(visitor, f"/tx/{parent}")
    relatives = html[html.index('id="title-relatives"') :]
    assert f'href="/tx/{child}"' in relatives
    assert "with those it is mined with" in html
    assert f'href="/tx/{child}#input-' in html[html.index("title-outputs") : html.index("title-relatives")], (
        "who spends it"
    )
    html = await page(visitor, f"/tx/{child}")
    assert f'href="/tx/{parent}"' in html[html.index('id="title-relatives"') :]
    await chain.mine()


async def test_worth_is_told_by_the_price_of_its_moment(
    chain: Chain, client: redis.Client, visitor: aiohttp.ClientSession
) -> None:
    unknown = await chain.pay()
    assert "Worth when first seen" not in await told(visitor, unknown, "Seen in the mempool.")
    now = int(time.time())
    await fill_prices(client, KEYS, now)
    txid = await chain.pay()
    html = await told(visitor, txid, "Seen in the mempool.", "Worth when first seen", "by the price of the")
    raw = await chain.node.rpc("getrawtransaction", txid, 1)
    total = sum(round(one["value"] * 10**8) for one in raw["vout"])
    moments = range(now // 60 * 60 - 60, now + 120, 60)
    worths = {formats.money(bar(moment).close / MILLION * total / 10**8, "USD") for moment in moments}
    assert each(len(one) > 2 for one in worths)
    assert any(one in content(html) for one in worths), (worths, content(html))
    await chain.mine()


async def test_chances_are_told_as_estimates(
    chain: Chain, client: redis.Client, visitor: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explorer.timeline.fold, "SHOW_MS", 10**9)  # what is written here stays
    inflow = InflowView(minutes=30, bands=[3_000] * len(FEERATE_BOUNDS), as_of_ms=1)
    await client.hset(KEYS.views(TIMELINE), "inflow", msgspec.json.encode(inflow))
    txid = await chain.pay(fee_rate=40)
    html = await told(
        visitor, txid, "When it may be mined estimate", "Next block", "Within an hour", "by blocks that are"
    )
    chances = re.findall(r"<dd data-tint>([^<]*(?:<[^>]+>[^<]*)*?)</dd>", html[html.index('id="title-chance"') :])
    assert len(chances) == 3
    assert each("%" in one for one in chances)
    await chain.mine()


async def test_how_long_such_a_feerate_took_is_told(
    chain: Chain, visitor: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explorer.timeline.fold, "SHOW_MS", 200)
    first = await chain.pay(fee_rate=25.5)
    html = await told(visitor, first, "cannot be told yet", "such a feerate (25 to 30")
    assert "nine of ten" not in html
    for _ in range(FEWEST):
        newest = await chain.pay(fee_rate=25.5)
    await told(visitor, newest, "Seen in the mempool.")
    await chain.mine()

    async def counted() -> dict[str, Any] | None:
        async with visitor.get("/api/v1/fees/waits") as answer:
            assert answer.status == 200
            document = await answer.json()
        [band] = [one for one in document["bands"] if one["from_rate"] == 25]
        return {**document, **band} if band["mined"] == FEWEST + 1 else None

    found = await until(counted, 20, "all of them are counted")
    assert found is not None
    assert found["since"] == found["recorded_since"] <= found["as_of"] <= time.time()
    assert 0 <= found["median"] <= found["p90"] <= 60
    assert (found["share"], found["waiting"], found["longer"], found["to_rate"]) == (1.0, 0, 0, 30)
    html = await told(
        visitor, await chain.pay(fee_rate=25.5), "Such a feerate (25 to 30", "at the median lately",
        f"{FEWEST + 1} transactions since", "% were mined so",
    )  # fmt: skip
    assert "cannot be told yet" not in html
    await chain.mine()


async def test_pages_fit_and_complain_of_nothing(chain: Chain, site: Running, browser: Browser) -> None:
    txid = await chain.pay_scripts(list(SCRIPTS.values()))
    for width in (1280, 360):
        open_page = await seen(browser, site, txid, width=width)
        for one in await open_page.locator(".coins details summary").all():
            await one.click()
        room = await open_page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert room <= 0, f"{width} px: {room} px beyond the edge"
        assert open_page.complaints == []  # type: ignore[attr-defined] # `seen` puts it there
        await open_page.context.close()
