"""Whatever stands in the address or the body of a look-up: a status and words that fit, and never an error of ours."""

from __future__ import annotations

import re
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
        running(server.url, run, "explorer", **chain.node.env(), WALLET_SECRET=SECRET),
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
    "full-width digits": quote("\uff11\uff12\uff13"),
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
    "5,000 characters": "z" * 5_000,
}
"""What names nothing, as it stands in an address."""

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


def says(form: str) -> tuple[int, str]:
    """The status of a page or document that names nothing, and words of it."""
    if form.startswith("/api/v1/search"):
        return 200, '"matches":[]'
    if form.startswith("/api/tx") or form.startswith("/api/block/") or "/txs/chain/" in form:
        return 400, "Invalid hex string"
    if form.startswith("/api/address"):
        return 400, "ddress"
    if form.startswith("/api/block-height"):
        return 400, "Invalid number"
    words = {
        "/tx/": "A transaction is named by the 64 hexadecimal digits",
        "/block/{}": "A block is named by the 64 hexadecimal digits",
        "/block/1?page": "A block is named by",
        "/block/1?sort": "is not known: expected one of position",
        "/live": "about",
        "/wallet": "kept for 60 minutes",
    }
    return 410 if form.startswith("/wallet") else 400, next(
        (said for start, said in words.items() if form.startswith(start)), ""
    )


@pytest.mark.parametrize(
    "form",
    [
        *PAGES, *ESPLORA, "/api/address/{mining}/txs/chain/{}", "/search?q={}", "/block/1?page={}", "/block/1?sort={}",
        f"/tx/{TXID}?page={{}}", "/address/{mining}?page={}", "/address/{mining}?coins={}", "/live/lookup?about={}",
    ],
)  # fmt: skip
async def test_what_names_nothing_is_said_to(site: Site, form: str) -> None:
    form = form.replace("{mining}", site.mining)
    status, words = says(form)
    at_end = "?" not in form
    for name, text in GARBAGE.items():
        if form.startswith("/search") and name in ("plus", "a space behind", "a line break behind"):
            continue  # spaces around it do not matter there, and a plus is one
        path = form.replace("{}", text)
        told, kind, body = await site.get(path)
        if told == 301 and name in ("a space behind", "a line break behind"):
            continue  # where it is meant to lead
        if at_end and name == "a template":
            assert told == 404, (path, told)  # no address of ours has braces
            continue
        assert told == status, (path, told, body[-800:])
        assert words in body, (path, body[-800:])
        assert "<script>alert" not in body
        if kind == "text/html":
            Balanced(body)


@pytest.mark.parametrize("form", ["/tx/{}", "/api/tx/{}", "/search?q={}", "/address/{}", "/live/lookup?about={}"])
async def test_a_megabyte_in_the_address_is_refused(site: Site, form: str) -> None:
    status, _, body = await site.get(form.format("a" * MEGABYTE))
    assert (status, len(body) < 1_000) == (400, True)
    assert (await site.get("/search"))[0] == 200, "the next one is served"


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/wallet", FORM, b"wallet=" + b"x" * MEGABYTE, 413),
        ("/wallet", FORM, b"\xff" * MEGABYTE, 413),
        ("/wallet", FORM, b"wallet=" + b"%ff" * 40, 422),
        ("/wallet", FORM, b"wallet=%ed%a0%80", 422),
        ("/wallet", FORM, b"wallet=a%00b", 422),
        ("/wallet", FORM, b"wallet=&gap=-1", 400),
        ("/wallet", FORM, b"wallet=x&gap=1e3", 400),
        ("/wallet", FORM, b"wallet=x&form=wsh", 400),
        ("/wallet", FORM, b"", 422),
        ("/wallet", {"Content-Type": "text/plain"}, b"wallet=x", 415),
        ("/api/v1/wallet", JSON, b'{"wallet": "' + b"x" * MEGABYTE, 413),
        ("/api/v1/wallet", JSON, b"\xff\x00" * 100, 400),
        ("/api/v1/wallet", JSON, b"[" * 50_000, 400),
        ("/api/v1/wallet", JSON, b'{"wallet": 1}', 400),
        ("/api/v1/wallet", JSON, b'{"wallet": "x", "gap": -1}', 400),
        ("/api/v1/wallet", {"Content-Type": "text/plain"}, b"{}", 415),
        (f"/tx/{TXID}", FORM, b"x" * MEGABYTE, 405),
    ],
)
async def test_a_body_that_cannot_be_is_refused(
    site: Site, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    async with site.session.post(site.url + path, data=body, headers=headers, allow_redirects=True) as response:
        said = await response.text()
        assert response.status == status, (response.status, said[:500])
        assert "xxxxxxxxxx" not in said, "nothing of it is repeated"
        if response.content_type == "text/html":
            Balanced(said)


async def test_what_is_written_otherwise_is_found_where_it_is(site: Site) -> None:
    """Upper case leads to the one address; Esplora's addresses take either case, and a height as it is written."""
    for path, where in (
        (f"/tx/{TXID.upper()}", f"/tx/{TXID}"),
        (f"/block/{TXID.upper()}", f"/block/{TXID}"),
        (f"/address/{site.mining.upper()}?page=2", f"/address/{site.mining}?page=2"),
    ):
        async with site.session.get(site.url + path, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (301, where)
    genesis = (await site.get("/api/block-height/0"))[2]
    for height in ("000", "007"):
        assert (await site.get(f"/api/block-height/{height}"))[::2] == (400, "Invalid number")
    assert (await site.get(f"/api/block/{genesis.upper()}"))[0] == 200


@pytest.mark.parametrize(
    "path", ["/block/1?page=99999", "/block/1?page=9999&sort=-fee", "/address/{mining}?page=9999&coins=9999"]
)
async def test_a_page_behind_the_last_is_empty(site: Site, path: str) -> None:
    status, _, body = await site.get(path.format(mining=site.mining))
    assert status == 200
    assert "none on this page" in body


async def test_the_first_coinbase_has_a_page(site: Site) -> None:
    genesis = (await site.get("/api/block-height/0"))[2]
    html = (await site.get(f"/block/{genesis}"))[2]
    [txid] = set(re.findall(r'href="/tx/([0-9a-f]{64})"', html))
    status, _, page = await site.get(f"/tx/{txid}")
    assert status == 200
    assert "Chancellor on brink of second bailout for banks" in page
