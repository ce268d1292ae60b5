"""What the page of a block says of what was expected in it."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import aiohttp
import msgspec
import pytest

from shared.lookups.block import Expected, NotExpected, Row
from support.answered import TIP, answered, block_found
from support.each import each
from support.web_harness import Running
from support.web_samples import Writer

HASH = "00" * 4 + "34" * 28
HELD = Expected(
    at_ms=TIP.time * 1000, matched=29_999, share=29_999 / 30_000, missing_count=1, fresh_count=140, added_count=2,
    unseen_count=0, missing=["a1" * 32], fresh=[f"{one:064x}" for one in range(100)], added=["b1" * 32, "b2" * 32],
    unseen=[],
)  # fmt: skip

_ROW = re.compile(r'<tr data-key="(\w+)">(.*?)</tr>')


def row(txid: str, position: int, **more: Any) -> Row:
    return Row(txid=txid, position=position, vsize=200, weight=800, value=5, fee=100, inputs=1, outputs=1, **more)


async def page(writer: Writer, site: Running, language: str = "en", **fields: Any) -> str:
    """The page of a block with these fields."""
    block = msgspec.structs.replace(block_found(HASH), **fields)
    site.site.lookups.forget(HASH)
    await answered(writer.redis, site.site.lookups, f"block:{HASH}:0:position", block)
    headers = {"Accept-Language": language}
    async with aiohttp.ClientSession() as http, http.get(f"{site.url}/block/{HASH}", headers=headers) as answer:
        assert answer.status == 200
        return re.sub(r"\s+", " ", unescape(await answer.text()))


def words(html: str) -> str:
    """What a reader reads."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", html)).replace("\N{NO-BREAK SPACE}", " ")


def part(html: str, name: str) -> str:
    """One of the four parts of what was expected."""
    [found] = re.findall(rf'<section class="part" data-key="expected {name}">(.*?)</section>', html)
    return str(found)


async def test_shares_counts_and_lists_are_shown(writer: Writer, site: Running) -> None:
    html = await page(writer, site, expected=HELD)
    assert "99.99 %" in words(html), "what is missing is never rounded away"
    assert "29,999 of 30,000 expected transactions are in it" in words(html)
    for name, count, says in (
        ("missing", "1", "are not in it"), ("added", "2", "others paid more"), ("unseen", "0", "never waited"),
        ("fresh", "140", "less than three minutes"),
    ):  # fmt: skip
        assert f" {count} " in words(part(html, name)), name
        assert says in words(part(html, name))
    assert each(f'href="/tx/{txid}"' in part(html, "missing") for txid in HELD.missing)
    assert each(f'href="/tx/{txid}"' in part(html, "fresh") for txid in HELD.fresh)
    assert each(f'href="/tx/{txid}"' in part(html, "added") for txid in HELD.added)
    assert "The first 100, highest feerates first" in words(part(html, "fresh"))
    assert "<details" not in part(html, "unseen")
    assert "data-every" not in html


async def test_rows_are_marked_and_the_miner_is_named(writer: Writer, site: Running) -> None:
    rows = [row("c0" * 32, 0), row("c1" * 32, 1, unlike="added"), row("c2" * 32, 2, unlike="unseen"), row("c3" * 32, 3)]
    html = await page(writer, site, expected=HELD, transactions=rows, tx_count=4, pool="Foundry USA")
    found = {key: re.findall(r'class="badge" title="[^"]+">(\w+)<', it) for key, it in _ROW.findall(html)}
    assert found == {"c0" * 32: [], "c1" * 32: ["added"], "c2" * 32: ["unseen"], "c3" * 32: []}
    assert '<a href="/network/miners/foundryusa">Foundry USA</a>' in html


@pytest.mark.parametrize(
    ("why", "says", "height"),
    [
        ("before", "before our record began, which was 2024-04-20 00:09:27 UTC", 839_999),
        ("old", "kept for the newest 1,008 blocks", 838_000),
        ("not-whole", "mempool was not whole when this block came", 839_999),
        ("nothing", "the mempool was not followed as it came", 839_999),
        ("nothing", "Nothing is recorded of this block yet", TIP.height),
    ],
)
async def test_where_nothing_was_recorded_it_says_why(
    writer: Writer, site: Running, why: Any, says: str, height: int
) -> None:
    said = NotExpected(why=why, since_ms=TIP.time * 1000)
    html = await page(writer, site, height=height, not_expected=said)
    assert says in words(html)
    assert " %" not in words(html.partition('id="title-expected"')[2].partition("</section>")[0])
    assert ('data-every="5"' in html) == (height == TIP.height), "an answer that is not final is asked for again"


async def test_a_block_of_which_nothing_was_expected_has_no_share(writer: Writer, site: Running) -> None:
    nothing = msgspec.structs.replace(
        HELD, matched=0, share=None, missing_count=0, fresh_count=0, missing=[], fresh=[], added=[], added_count=0
    )
    html = await page(writer, site, expected=nothing)
    assert "Nothing was expected in it." in words(html)
    empty = msgspec.structs.replace(nothing, share=0.0, missing_count=3, missing=["a1" * 32])
    assert "0.00 %" in words(await page(writer, site, expected=empty))


async def test_it_is_told_in_german(writer: Writer, site: Running) -> None:
    html = words(await page(writer, site, "de", expected=HELD))
    assert "Was erwartet wurde" in html
    assert "99,99 %" in html


async def test_nothing_is_expected_of_the_first_block(writer: Writer, site: Running) -> None:
    assert "title-expected" not in await page(writer, site, height=0, not_expected=NotExpected(why="before"))
