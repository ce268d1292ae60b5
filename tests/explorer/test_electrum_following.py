"""Subscriptions across cut connections, failover and floods: each difference is told, and once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from explorer.electrum.book import Book
from explorer.electrum.client import Electrum
from explorer.electrum.script import Script
from shared.errors import ElectrumError, ElectrumTooLong
from support.each import each
from support.electrum_script import GENESIS, QUICK, Refused, Scripted, node, running, until

SUBSCRIBE = "blockchain.scripthash.subscribe"
BALANCE = "blockchain.scripthash.get_balance"
SCRIPT, OTHER = Script.of("0014" + "07" * 20), Script.of("0014" + "08" * 20)
A, B, C = "aa" * 32, "bb" * 32, "cc" * 32


class Told(list[tuple[str, str | None]]):
    """What a listener was told."""

    def hear(self, name: str, status: str | None) -> None:
        self.append((name, status))


@pytest_asyncio.fixture
async def one() -> AsyncIterator[Scripted]:
    async with Scripted() as server:
        server.answers[BALANCE] = {"confirmed": 1, "unconfirmed": 0}
        yield server


@pytest_asyncio.fixture
async def two() -> AsyncIterator[Scripted]:
    async with Scripted() as server:
        server.answers[BALANCE] = {"confirmed": 2, "unconfirmed": 0}
        yield server


async def subscribed(server: Scripted, times: int) -> None:
    await until(lambda: server.count(SUBSCRIBE) >= times)


async def settled(electrum: Electrum) -> None:
    """Whatever was told before this is heard."""
    await electrum.request("server.ping")
    await asyncio.sleep(3 * QUICK.tell)


async def test_a_cut_connection_is_subscribed_anew_and_only_a_difference_is_told(one: Scripted) -> None:
    one.statuses |= {SCRIPT.hash: A, OTHER.hash: B}
    changed, same = Told(), Told()
    async with running([node("main", one.port)]) as electrum:
        assert await electrum.subscribe(SCRIPT, changed.hear) == A
        assert await electrum.subscribe(OTHER, same.hear) == B
        one.statuses[SCRIPT.hash] = C
        one.cut()
        await subscribed(one, 4)
        await until(lambda: changed)
        one.cut()
        await subscribed(one, 6)
        await settled(electrum)
        assert changed == [(SCRIPT.hash, C)]
        assert not same


async def test_the_next_server_takes_over_and_the_preferred_one_is_gone_back_to(one: Scripted, two: Scripted) -> None:
    one.statuses[SCRIPT.hash] = two.statuses[SCRIPT.hash] = A
    told = Told()
    limits = replace(QUICK, well=1.0)
    async with running([node("main", one.port), node("spare", two.port)], limits) as electrum:
        first, spare = electrum.servers.all
        await until(lambda: each(server.well for server in electrum.servers.all))
        assert await electrum.subscribe(SCRIPT, told.hear) == A
        assert not two.count(SUBSCRIBE)

        two.statuses[SCRIPT.hash] = B
        await one.stop()
        await until(lambda: told)
        assert electrum.servers.active is spare
        assert (await electrum.balance(SCRIPT)).confirmed == 2
        two.tell(SUBSCRIBE, SCRIPT.hash, C)
        await until(lambda: len(told) == 2)

        one.statuses[SCRIPT.hash] = C
        await one.start()
        await until(lambda: first.well)
        assert electrum.servers.choose() is spare  # it has not been well for long
        await until(lambda: electrum.servers.active is first)
        await subscribed(one, 2)
        two.tell(SUBSCRIBE, SCRIPT.hash, A)  # nobody listens there any more
        two.tell("blockchain.headers.subscribe", {"height": 99, "hex": GENESIS})
        await until(lambda: spare.tip and spare.tip.height == 99)
        await settled(electrum)
        one.tell(SUBSCRIBE, SCRIPT.hash, B)
        await until(lambda: len(told) == 3)
        await settled(electrum)
        assert told == [(SCRIPT.hash, status) for status in (B, C, B)]


async def test_news_right_behind_an_answer_is_not_undone_by_it(one: Scripted) -> None:
    def both(request: dict[str, object]) -> bytes | None:
        if request["method"] != SUBSCRIBE:
            return None
        answer = {"jsonrpc": "2.0", "id": request["id"], "result": A}
        news = {"jsonrpc": "2.0", "method": SUBSCRIBE, "params": [SCRIPT.hash, B]}
        return json.dumps(answer).encode() + b"\n" + json.dumps(news).encode() + b"\n"

    one.line = both
    told = Told()
    async with running([node("main", one.port)]) as electrum:
        status = await electrum.subscribe(SCRIPT, told.hear)
        await settled(electrum)
        assert (told[-1][1] if told else status) == B
        again = Told()
        assert await electrum.subscribe(SCRIPT, again.hear) == B


async def test_a_flood_of_news_is_told_as_its_last(one: Scripted) -> None:
    told = Told()
    one.statuses[SCRIPT.hash] = A
    limits = replace(QUICK, tell=0.05)
    async with running([node("main", one.port)], limits) as electrum:
        await electrum.subscribe(SCRIPT, told.hear)
        lines = [
            json.dumps({"jsonrpc": "2.0", "method": SUBSCRIBE, "params": [SCRIPT.hash, f"{number:064x}"]})
            for number in range(20_000)
        ]
        one.write("\n".join([*lines, ""]).encode())
        await until(lambda: told and told[-1] == (SCRIPT.hash, f"{19_999:064x}"))
        assert (await electrum.balance(SCRIPT)).confirmed == 1
        assert len(told) < 200
        assert electrum.servers.all[0].connection == 1


async def test_a_flood_of_what_nobody_asked_for_ends_the_connection(one: Scripted) -> None:
    limits = replace(QUICK, unasked=100)
    async with running([node("main", one.port)], limits) as electrum:
        await electrum.tip()
        for _ in range(101):
            one.tell(SUBSCRIBE, OTHER.hash, A)
        (it,) = electrum.servers.all
        await until(lambda: "101 times of what nobody asked for" in str(it.error))
        assert (await electrum.balance(SCRIPT)).confirmed == 1


@pytest.mark.parametrize(
    ("method", "params"),
    [
        (SUBSCRIBE, [SCRIPT.hash, "no status"]),
        (SUBSCRIBE, [SCRIPT.hash]),
        (SUBSCRIBE, [1, 2]),
        ("blockchain.headers.subscribe", [{"height": -1, "hex": GENESIS}]),
        ("blockchain.headers.subscribe", [{"height": 1, "hex": GENESIS[:-2]}]),
        ("blockchain.headers.subscribe", [{"height": 1, "hex": GENESIS[:-8] + "07000000"}]),
    ],
)
async def test_news_that_cannot_be_ends_the_connection(one: Scripted, method: str, params: list[object]) -> None:
    one.statuses[SCRIPT.hash] = A
    told = Told()
    async with running([node("main", one.port)]) as electrum:
        await electrum.subscribe(SCRIPT, told.hear)
        one.tell(method, *params)
        await until(lambda: electrum.servers.all[0].connection == 2)
        assert f"the answer to {method}" in str(electrum.servers.all[0].error)
        await subscribed(one, 2)
        assert not told


async def test_a_script_that_cannot_be_followed_is_not_kept(one: Scripted) -> None:
    one.answers[SUBSCRIBE] = Refused(1, "history too large")
    async with running([node("main", one.port)]) as electrum:
        with pytest.raises(ElectrumTooLong):
            await electrum.subscribe(SCRIPT, Told().hear)
        asked = one.count(SUBSCRIBE)
        one.cut()
        await until(lambda: electrum.servers.all[0].connection == 2)
        await settled(electrum)
        assert one.count(SUBSCRIBE) == asked


async def test_one_that_another_server_refuses_does_not_keep_the_others_from_it(one: Scripted, two: Scripted) -> None:
    one.statuses |= {SCRIPT.hash: A, OTHER.hash: A}

    def picky(name: str) -> str:
        if name == SCRIPT.hash:
            raise Refused(1, "history too large")
        return B

    two.answers[SUBSCRIBE] = picky
    refused, followed = Told(), Told()
    async with running([node("main", one.port), node("spare", two.port)]) as electrum:
        await until(lambda: each(server.well for server in electrum.servers.all))
        await electrum.subscribe(SCRIPT, refused.hear)
        await electrum.subscribe(OTHER, followed.hear)
        one.statuses[SCRIPT.hash] = C
        await one.stop()
        await until(lambda: followed == [(OTHER.hash, B)])
        assert not refused
        await one.start()
        await until(lambda: refused == [(SCRIPT.hash, C)])


async def test_many_subscriptions_come_back_with_the_next_connection(one: Scripted) -> None:
    scripts = [Script.of(number.to_bytes(22)) for number in range(1_000)]
    one.statuses |= {script.hash: A for script in scripts}
    told = Told()
    async with running([node("main", one.port)]) as electrum:
        await asyncio.gather(*(electrum.subscribe(script, told.hear) for script in scripts))
        one.statuses |= {script.hash: B for script in scripts[::10]}
        one.cut()
        await until(lambda: len(told) == 100)
        await subscribed(one, 2_000)
        await settled(electrum)
        assert {name for name, _ in told} == {script.hash for script in scripts[::10]}
        assert len(told) == 100


async def test_two_listeners_of_one_script_and_the_end_of_each(one: Scripted) -> None:
    one.statuses[SCRIPT.hash] = A
    left, stayed = Told(), Told()
    async with running([node("main", one.port)]) as electrum:
        assert await electrum.subscribe(SCRIPT, left.hear) == await electrum.subscribe(SCRIPT.hash, stayed.hear) == A
        await electrum.unsubscribe(SCRIPT, left.hear)
        assert not one.count("blockchain.scripthash.unsubscribe")
        one.tell(SUBSCRIBE, SCRIPT.hash, B)
        await until(lambda: stayed)
        await electrum.unsubscribe(SCRIPT, stayed.hear)
        assert one.count("blockchain.scripthash.unsubscribe") == 1
        one.tell(SUBSCRIBE, SCRIPT.hash, C)
        await settled(electrum)
        assert (left, stayed) == ([], [(SCRIPT.hash, B)])
        asked = one.count(SUBSCRIBE)
        one.cut()
        await until(lambda: electrum.servers.all[0].connection == 2)
        await settled(electrum)
        assert one.count(SUBSCRIBE) == asked


async def test_a_subscription_while_nobody_answers_fails_and_leaves_nothing(one: Scripted) -> None:
    limits = replace(QUICK, await_server=0.1)
    async with running([node("main", one.port)], limits) as electrum:
        await until(lambda: electrum.servers.all[0].well)
        await one.stop()
        with pytest.raises(ElectrumError):
            await electrum.subscribe(SCRIPT, Told().hear)
        await electrum.unsubscribe(SCRIPT)
        await one.start()
        await until(lambda: electrum.servers.all[0].well)
        await settled(electrum)
        assert not one.count(SUBSCRIBE)


async def test_a_server_that_lags_behind_what_is_known_is_not_preferred(one: Scripted, two: Scripted) -> None:
    one.tip, two.tip, known = 7, 9, 7
    async with running([node("main", one.port), node("spare", two.port)], QUICK, lambda: known) as electrum:
        first, spare = electrum.servers.all
        await until(lambda: each(server.well for server in electrum.servers.all))
        assert electrum.servers.choose() is first
        known = 9
        assert electrum.servers.choose() is first  # for a moment that is how blocks come
        await until(lambda: electrum.servers.choose() is spare)
        assert [one.state for one in electrum.standing(1_700_000_000_000)] == ["behind", "connected"]
        one.tell("blockchain.headers.subscribe", {"height": 9, "hex": GENESIS})
        await until(lambda: electrum.servers.choose() is first)
        assert (await electrum.tip()).height == 9


async def test_the_only_server_is_asked_although_it_lags_behind(one: Scripted) -> None:
    async with running([node("main", one.port)], QUICK, lambda: 1_000) as electrum:
        await electrum.tip()
        await until(lambda: [one.state for one in electrum.standing(1_700_000_000_000)] == ["behind"])
        assert (await electrum.balance(SCRIPT)).confirmed == 1
        said = str(electrum.details(1_700_000_000_000)["electrum_main"])
        assert said.startswith("Scripted 1, protocol 1.6, connected since 2023-11-14 22:13:")
        assert said.endswith("UTC, at block 7, behind the newest block that is known")


def test_the_book_counts_what_came_last_and_forgets_what_is_dropped() -> None:
    book, told = Book(), Told()
    entry = book.add(SCRIPT, told.hear)
    book.heard(entry, A, 5)
    assert not book.tell()  # the first status is no news
    book.heard(entry, C, 7)
    book.heard(entry, B, 6)  # an answer that was read late
    assert [status for _, status in book.tell()] == [C]
    book.heard(entry, B, 8)
    book.heard(entry, C, 9)
    assert not book.tell()  # there and back is no difference
    book.heard(entry, None, 10)
    assert book.drop(SCRIPT, told.hear)
    assert not book.tell()
    assert book.find(SCRIPT.hash) is None
    assert book.find(str(SCRIPT.script)) is None
