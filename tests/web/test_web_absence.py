"""What is unknown is told as absent, with the reason, and never as zero."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest

from shared.networks import NETWORKS
from shared.views import MempoolView
from support.fee_samples import FEES, precise
from support.markup import Balanced, text
from support.web_harness import until
from support.web_samples import chain, health, known, mempool
from web.state import conditions
from web.state.disclosure import masked
from web.state.snapshot import Snapshot
from web.state.truth import Witness

NOT_SYNCED = "the node at main relays no transactions (-blocksonly): its mempool holds only its own"


async def absent(http: aiohttp.ClientSession, sentence: str) -> None:
    """No fee, no total, no size is told anywhere; in its place stands why."""
    for path in FEES:
        async with http.get(path) as response:
            assert response.status == 503, (path, await response.text())
            assert response.headers["Retry-After"]
            assert "Age" not in response.headers
    async with http.get("/api/v1/overview") as response:
        if response.status == 200:
            found = await response.json()
            assert found["mempool"] is None
            assert found["fees"] is None
        else:
            assert response.status == 503
    for path in ("/", "/mempool"):
        html = await text(http, path)
        Balanced(html)
        for name in ("next_fee", "backlog", "fees", "histogram", "incoming", "projected", "bands", "mempool_totals"):
            _, found, rest = html.partition(f'id="card-{name}"')
            if found:
                card = rest.split("</section>")[0]
                assert sentence in card, (name, card)
                assert 'class="n"' not in card, card
                assert "Empty" not in card
        strip = html.partition('id="card-strip"')[2].split("</section>")[0]
        assert "Empty" not in strip


@pytest.mark.parametrize(
    "reason", ["the node at http://127.0.0.1:8332 does not answer: connection refused", "the node refuses the password"]
)
async def test_a_first_start_without_the_node(bare: Any, writer: Any, reason: str) -> None:
    """The mempool fold of before wrote an empty mempool that nobody had compared with a node."""
    views = mempool(0, 0)
    views["mempool"] = msgspec.structs.replace(views["mempool"], synced_ms=None, exact=False)
    await writer.mempool(views)
    await writer.redis.delete(writer.keys.confirmed("mempool"))
    await writer.health(health("chain-ingest", "degraded", reason=reason), health("chain-metrics"), health("mempool"))
    await until(lambda: bare.site.state.snapshot.services)
    async with aiohttp.ClientSession(bare.admin) as http:
        await absent(http, reason)
        async with http.get("/readyz") as response:
            assert response.status == 503
            assert reason in (await response.json())["error"]["message"]
    async with aiohttp.ClientSession(bare.url) as http:
        await absent(http, masked(reason))


async def test_a_node_that_relays_no_transactions(site: Any, writer: Any, http: aiohttp.ClientSession) -> None:
    state = site.site.state
    await writer.confirm("mempool", incomplete=NOT_SYNCED)
    await until(lambda: state.snapshot[MempoolView] is None)
    await absent(http, NOT_SYNCED)
    async with http.get("/api/v1/overview") as response:
        assert response.status == 200
        found = await response.json()
        assert found["chain"]["height"] == 954_210
        assert found["as_of"] == state.snapshot.truth["chain"].true_ms // 1000
        assert "Age" in response.headers
    [notice] = state.notices
    assert NOT_SYNCED in notice.text
    # Another node took over that has a mempool: the views are the same bytes as before.
    await writer.confirm("mempool")
    await until(lambda: state.snapshot[MempoolView] is not None)
    async with http.get("/api/v1/fees/recommended") as response:
        assert response.status == 200


async def test_fees_that_nobody_confirmed_for_ten_minutes(site: Any, writer: Any, http: aiohttp.ClientSession) -> None:
    state = site.site.state
    await writer.mempool(precise())
    await until(lambda: state.snapshot[MempoolView].count == 3)
    for age, status in ((590, 200), (605, 503)):
        state._witnesses["mempool"] = Witness()
        await writer.confirm("mempool", age=age)
        await until(lambda: age <= (state.age(("mempool",)) or 0) < age + 10)  # noqa: B023 - awaited at once
        told = state.changes["status"]
        await until(lambda: state.changes["status"] > told)  # noqa: B023 - documents were told
        largest = "/api/v1/largest-transactions?range=mempool"
        for path in (*FEES, largest):
            async with http.get(path) as response:
                assert response.status == status, path
                assert (int(response.headers["Age"]) >= age) if status == 200 else ("Age" not in response.headers)
        async with http.get("/api/v1/overview") as response:
            found = await response.json()
        assert (found["fees"] is not None) == (status == 200)  # nobody should pay by them any more
        assert found["mempool"]["count"] == 3  # and `as_of` says of when


def test_a_mempool_never_confirmed_is_said_and_not_paid_by() -> None:
    snapshot = Snapshot(NETWORKS["main"], views=known(chain(), mempool()), read_at=1.0)
    assert conditions.forsaken(snapshot, 5.0)
    assert conditions.aged(snapshot, 5.0) == ("chain", "mempool")
