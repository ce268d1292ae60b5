"""Whatever stands in the address or the body of a look-up: a status and words that fit, and never an error of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from explorer.app import run
from local_run.valkey import EmbeddedValkey
from support.explored import Chain
from support.ledger import running
from support.markup import Balanced
from support.wallets import SECRET
from support.web_harness import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

TXID = "ab" * 32
MEGABYTE = 1_000_000


class Site(NamedTuple):
    session: aiohttp.ClientSession
    url: str
    mining: str

    async def get(self, path: str) -> tuple[int, str, str]:
        """Status, content type and text; the path goes out as it stands."""
        async with self.session.get(URL(self.url + path, encoded=True), allow_redirects=False) as response:
            return response.status, response.content_type, await response.text(errors="replace")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with (
        Chain(tmp_path_factory.mktemp("node")) as chain,
        EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server,
        running(server.url, run, "explorer", **chain.node.env()),
        serving(server.url, network="regtest", wallet_secret=SECRET) as it,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20), max_line_size=2 * MEGABYTE) as session,
    ):
        yield Site(session, it.url, chain.mining)


PAGES = ("/tx/{}", "/block/{}", "/address/{}", "/address/{}.csv", "/wallet/{}")
ESPLORA = (
    "/api/tx/{}", "/api/tx/{}/status", "/api/address/{}", "/api/address/{}/txs", "/api/address/{}/txs/mempool",
    "/api/address/{}/txs/chain", "/api/address/{}/utxo", "/api/block/{}", "/api/block-height/{}",
)  # fmt: skip

GARBAGE = {
    "NUL": "%00",
    "NUL in it": f"{TXID[:32]}%00{TXID[34:]}",
    "no UTF-8": "%ff%fe",
    "a surrogate": "%ed%a0%80",
    "unicode": quote("💩" * 40),
    "digits of another script": quote("١٢٣"),
    "full-width digits": quote("１２３"),
    "right to left": quote("\N{RIGHT-TO-LEFT OVERRIDE}cba"),
    "negative": "-1",
    "plus": "+1",
    "a fraction": "1.5",
    "an exponent": "1e3",
    "beyond 64 bits": str(10**40),
    "a letter too few": TXID[1:],
    "a letter too many": TXID + "a",
    "no hex digit": TXID[:-1] + "g",
    "a space behind": TXID + "%20",
    "a line break behind": TXID + "%0a",
    "markup": quote("<script>alert(1)</script>", safe=""),
    "a way out": "..%2f..%2fetc%2fpasswd",
    "a template": quote("{{ 7 * 7 }}", safe=""),
    "no escape": "%zz",
    "a wrong checksum": "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt081",
    "another network's": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "another network's, old form": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "a wrong checksum, old form": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
    "mixed case": "bcrt1Qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
    "5,000 characters": "a" * 5_000,
}
async def test_print(site):
    for form in (*PAGES, *ESPLORA, "/api/address/"+site.mining+"/txs/chain/{}", "/search?q={}", "/api/v1/search?q={}", "/block/1?page={}", "/block/1?sort={}", "/tx/"+TXID+"?page={}", "/address/"+site.mining+"?page={}", "/address/"+site.mining+"?coins={}","/live/lookup?about={}"):
        row = {}
        for name, text in (*GARBAGE.items(), ("leading zeros", "007"), ("upper case", TXID.upper()), ("empty", "")):
            st, ct, body = await site.get(form.format(text))
            row.setdefault((st, ct.split("/")[-1]), []).append(name)
        print(form, {k: (v if len(v)<8 else len(v)) for k, v in row.items()})
    for form in ("/tx/{}", "/api/tx/{}", "/search?q={}", "/address/{}"):
        print(form, "1MB", (await site.get(form.format("a"*MEGABYTE)))[:3])
    for path, more in (("/wallet", {"data": {"wallet": "x"*MEGABYTE}}), ("/wallet", {"data": b"\xff"*MEGABYTE}), ("/api/v1/wallet", {"json": {"wallet": "x"*MEGABYTE}}), ("/api/v1/wallet", {"data": b"\xff\x00"*100}), ("/wallet", {"data": b"\xff\x00"*100}), ("/wallet", {"data": {"wallet": "\0"*5}}), ("/wallet", {"data": {"wallet": "\ud800".encode("utf-8","surrogatepass")}}), ("/tx/"+TXID, {"data": b"x"*MEGABYTE}), ("/api/tx", {"data": b"x"*MEGABYTE})):
        async with site.session.post(site.url + path, **more) as r:
            print("POST", path, r.status, r.content_type, (await r.text())[:80])
