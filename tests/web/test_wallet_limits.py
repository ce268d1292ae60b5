"""How many wallets a client may enter, and has looked up at once: on the real web, with nobody who answers."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from shared import redis
from shared.bus import ANNOUNCE
from shared.domains import CHANGES
from shared.events.lookups import LookupDone
from shared.jobs import CHANGES_KEEP
from shared.keys import Keys
from shared.sealed import Seal
from support.stack import until
from support.web_harness import serving
from web.http.reach import Reach
from web.lookups import walks, wallets
from web.lookups.walks import ENTERED, WALKED, neighbourhood

SECRET = "0123456789abcdef" * 2
WALLET = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"
KEYS = Keys("regtest")
ONE = {"X-Forwarded-For": "192.0.2.1"}
OTHER = {"X-Forwarded-For": "192.0.2.2"}


@pytest_asyncio.fixture
async def client(valkey: str) -> AsyncIterator[redis.Client]:
    it = redis.connect(valkey)
    await it.flushall()
    yield it
    await it.aclose()


@pytest_asyncio.fixture
async def visitor(
    valkey: str, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[aiohttp.ClientSession]:
    monkeypatch.setattr(wallets, "PATIENCE", 0.02)
    reach = Reach(trusted_proxies=(ipaddress.ip_network("127.0.0.1"),))
    async with (
        serving(valkey, network="regtest", wallet_secret=SECRET, reach=reach) as site,
        aiohttp.ClientSession(site.url) as it,
    ):
        yield it


async def enter(visitor: aiohttp.ClientSession, who: dict[str, str]) -> str:
    async with visitor.post("/wallet", data={"wallet": WALLET}, headers=who, allow_redirects=False) as answer:
        assert answer.status == 303, await answer.text()
        return answer.headers["Location"]


async def look(visitor: aiohttp.ClientSession, path: str, who: dict[str, str]) -> tuple[int, str, str]:
    async with visitor.get(path, headers=who) as answer:
        return answer.status, answer.headers.get("Retry-After", ""), await answer.text()


async def test_a_client_has_so_many_looked_up_at_once_and_all_together(visitor: aiohttp.ClientSession) -> None:
    paths = [await enter(visitor, ONE) for _ in range(WALKED.each + 1)]
    for path in paths[:-1]:
        assert (await look(visitor, path, ONE))[0] == 202
    status, again, page = await look(visitor, paths[-1], ONE)
    assert status == 429
    assert 0 < int(again) <= 10
    assert f"{WALKED.each} of your wallets are being looked up" in page
    assert "http-equiv" in page
    assert (await look(visitor, paths[0], ONE))[0] == 202, "what has a place keeps it"
    async with visitor.get(f"/api/v1{paths[-1]}", headers=ONE) as answer:
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) > 0
        assert (await answer.json())["error"]["code"] == "busy"

    assert (await look(visitor, await enter(visitor, OTHER), OTHER))[0] == 202, "another client has places of its own"
    for number in range(WALKED.together - WALKED.each - 1):
        who = {"X-Forwarded-For": f"2001:db8:{number}::1"}
        assert (await look(visitor, await enter(visitor, who), who))[0] == 202
    status, again, page = await look(visitor, await enter(visitor, OTHER), OTHER)
    assert status == 429
    assert int(again) > 0
    assert "So many wallets are being looked up" in page


async def test_a_place_is_free_when_the_look_up_is_done_also_where_nobody_waits(
    visitor: aiohttp.ClientSession, client: redis.Client
) -> None:
    paths = [await enter(visitor, ONE) for _ in range(WALKED.each + 1)]
    for path in paths[:-1]:
        await look(visitor, path, ONE)
    assert (await look(visitor, paths[-1], ONE))[0] == 429
    asked = [entry for _, entry in await client.xrange(KEYS.requests(CHANGES.slot))]
    question = msgspec.json.decode(asked[0][b"data"])["name"]
    done = LookupDone(key=f"wallet:{question}:20:0:0:", status="done")
    announce = client.register_script(ANNOUNCE + "return announce(KEYS[1], unpack(ARGV))")
    await announce(keys=[KEYS.stream(CHANGES)], args=[CHANGES_KEEP, *done.fields()])

    async def taken() -> bool:
        return (await look(visitor, paths[-1], ONE))[0] == 202

    await until(taken, 5, "the place is free")


async def test_a_client_enters_so_many_and_what_forwards_without_trust_is_no_other_client(
    visitor: aiohttp.ClientSession, valkey: str, client: redis.Client
) -> None:
    for _ in range(ENTERED.each):
        await enter(visitor, ONE)
    async with visitor.post("/wallet", data={"wallet": WALLET}, headers=ONE) as answer:
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) > 3_000
        assert f"You entered {ENTERED.each} wallets" in await answer.text()
    async with visitor.post("/api/v1/wallet", json={"wallet": WALLET}, headers=ONE) as answer:
        assert answer.status == 429
        assert f"{ENTERED.each} wallets" in (await answer.json())["error"]["message"]
    await enter(visitor, OTHER)
    kept = [str(member) for member in await client.zrange(KEYS.wallets_entered, 0, -1)]
    assert len(kept) == ENTERED.each + 1
    assert not [member for member in kept if "192.0.2" in member], "Redis does not know who asked"
    async with serving(valkey, network="regtest", wallet_secret=SECRET) as site, aiohttp.ClientSession(site.url) as it:
        for who in [{"X-Forwarded-For": f"192.0.2.{number}"} for number in range(3, ENTERED.each + 3)]:
            await enter(it, who)
        async with it.post("/wallet", data={"wallet": WALLET}, headers=ONE) as answer:
            assert answer.status == 429


async def test_places_end_by_themselves(client: redis.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walks, "WALKED", walks.Limit(each=1, together=2, life_ms=150))
    it = walks.Walks(client, KEYS, Seal(SECRET))
    await it.begin("192.0.2.1", "a")
    with pytest.raises(walks.Busy) as busy:
        await it.begin("192.0.2.1", "b")
    assert busy.value.own
    await it.begin("192.0.2.2", "c")
    with pytest.raises(walks.Busy) as busy:
        await it.begin("192.0.2.3", "d")
    assert not busy.value.own

    async def free() -> bool:
        try:
            await it.begin("192.0.2.1", "b")
        except walks.Busy:
            return False
        return True

    await until(free, 5, "the place is free")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "", True),
    ],
)
def test_clients_are_told_apart_by_what_is_given_to_one(one: str, other: str, same: Any) -> None:
    assert (neighbourhood(one) == neighbourhood(other)) is same
