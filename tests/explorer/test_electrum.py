"""Look-ups and subscriptions on a real ElectrumX over a real node: what it tells is what the node's coins are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

from explorer.electrum.answers import header_hash
from explorer.electrum.client import Electrum
from explorer.electrum.script import Script
from local_run.electrumx import ElectrumX
from local_run.node import RegtestNode
from shared.errors import ElectrumError, ElectrumRefused, ElectrumUntrusted
from shared.rpc import satoshi
from support.each import each
from support.electrum_script import QUICK, Link, node, running, until
from support.electrumx import Shown, certificate, served

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = ("legacy", "p2sh-segwit", "bech32", "bech32m")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory, shown: Shown) -> AsyncIterator[tuple[RegtestNode, ElectrumX]]:
    async with served(tmp_path_factory.mktemp("electrum"), shown=shown) as made:
        yield made


@pytest.fixture(scope="module")
def core(both: tuple[RegtestNode, ElectrumX]) -> RegtestNode:
    return both[0]


@pytest.fixture(scope="module")
def server(both: tuple[RegtestNode, ElectrumX]) -> ElectrumX:
    return both[1]


@pytest_asyncio.fixture(loop_scope="module")
async def electrum(server: ElectrumX) -> AsyncIterator[Electrum]:
    """Over WebSocket."""
    assert server.listening.ws
    async with running([node("main", server.listening.ws, "ws")]) as it:
        yield it


async def address(core: RegtestNode, kind: str = "bech32") -> tuple[str, Script]:
    made = await core.rpc("getnewaddress", "", kind, wallet="w")
    return made, Script.of((await core.rpc("getaddressinfo", made, wallet="w"))["scriptPubKey"])


async def mine(core: RegtestNode, blocks: int = 1) -> int:
    await core.rpc("generatetoaddress", blocks, (await address(core))[0])
    height: int = await core.rpc("getblockcount")
    return height


async def at_height(electrum: Electrum, height: int) -> None:
    async with asyncio.timeout(10):
        while (await electrum.tip()).height < height:
            await electrum.servers.changed(0.5)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_script_holds_is_what_a_scan_of_the_nodes_coins_finds(
    core: RegtestNode, electrum: Electrum, kind: str
) -> None:
    to, script = await address(core, kind)
    paid = [await core.rpc("sendtoaddress", to, amount, wallet="w") for amount in (0.1, 0.02, 0.003)]
    await at_height(electrum, await mine(core))
    waiting = await core.rpc("sendtoaddress", to, 0.5, wallet="w")

    scanned: dict[str, Any] = await core.rpc("scantxoutset", "start", [f"addr({to})"], kind=Any)
    total = sum(satoshi(Decimal(str(coin["amount"]))) for coin in scanned["unspents"])
    async with asyncio.timeout(10):
        while not (balance := await electrum.balance(script)).unconfirmed:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.05)
    assert (balance.confirmed, balance.unconfirmed) == (total, 50_000_000)

    history = await electrum.history(script.hash)
    assert {one.txid for one in history if not one.waits} == {*paid}
    assert (
        [one.txid for one in history if one.waits] == [one.txid for one in await electrum.mempool(script)] == [waiting]
    )
    coins = {(coin.txid, coin.vout): coin.value for coin in await electrum.unspent(script) if coin.height}
    assert coins == {(coin["txid"], coin["vout"]): round(coin["amount"] * 10**8) for coin in scanned["unspents"]}


async def test_a_script_that_nobody_ever_paid_has_nothing(electrum: Electrum) -> None:
    script = Script.of(bytes(22))
    balance = await electrum.balance(script)
    assert (balance.confirmed, balance.unconfirmed) == (0, 0)
    assert not await electrum.history(script)
    assert not await electrum.mempool(script)
    assert not await electrum.unspent(script)


async def test_transactions_headers_and_proofs_are_the_nodes(core: RegtestNode, electrum: Electrum) -> None:
    await mine(core)
    for amount in (0.1, 0.2, 0.3, 0.4):
        txid = await core.rpc("sendtoaddress", (await address(core))[0], amount, wallet="w")
    height = await mine(core)
    await at_height(electrum, height)
    best = await core.rpc("getbestblockhash")
    assert (await electrum.tip()).hash == header_hash(await electrum.header(height)) == best

    block = await core.rpc("getblock", best)
    assert len(block["tx"]) == 5
    for one in block["tx"]:
        assert (await electrum.transaction(one)).hex() == await core.rpc("getrawtransaction", one)
        assert (await electrum.merkle(one, height)).root(one) == block["merkleroot"]
    assert (await electrum.merkle(txid, height)).root(block["tx"][0]) != block["merkleroot"]
    with pytest.raises(ElectrumRefused, match=r"blockchain\.transaction\.get: .*No such mempool"):
        await electrum.transaction("00" * 32)


@pytest.mark.parametrize("scheme", ["tcp", "ssl", "ws", "wss"])
async def test_every_way_to_reach_a_server(server: ElectrumX, shown: Shown, scheme: str) -> None:
    pin = shown.pin if scheme in ("ssl", "wss") else ""
    async with running([node("main", getattr(server.listening, scheme), scheme, pin)]) as electrum:
        await electrum.tip()
        (standing,) = electrum.standing(1_700_000_000_000)
        assert (standing.state, standing.software, standing.protocol) == ("connected", "ElectrumX 1.20.0", "1.6.0")


@pytest.mark.parametrize("scheme", ["ssl", "wss"])
@pytest.mark.parametrize(
    ("pin", "said"), [("ab" * 32, "has the SHA-256 {}; expected abab"), ("", "is not trusted here .*: where it is")]
)
async def test_another_certificate_is_refused(
    server: ElectrumX, shown: Shown, scheme: str, pin: str, said: str
) -> None:
    async with running([node("main", getattr(server.listening, scheme), scheme, pin)]) as electrum:
        (it,) = electrum.servers.all
        await until(lambda: it.error)
        assert isinstance(it.error, ElectrumUntrusted)
        with pytest.raises(ElectrumUntrusted, match=said.format(shown.pin)):
            raise it.error
        assert not it.connection


@pytest.mark.parametrize(
    ("scheme", "service", "said"),
    [
        ("ssl", "tcp", "it does not speak TLS there"),
        ("ws", "tcp", "it does not speak WebSocket there|the server cut the connection"),
        ("wss", "ws", "it does not speak TLS there|the server cut the connection"),
        ("tcp", "ws", "the server cut the connection|no greeting|no message of JSON-RPC"),
        ("tcp", "ssl", "the server cut the connection|no greeting"),
    ],
)
async def test_the_wrong_way_to_reach_a_server_is_named(
    server: ElectrumX, scheme: str, service: str, said: str
) -> None:
    async with running([node("main", getattr(server.listening, service), scheme)]) as electrum:
        (it,) = electrum.servers.all
        await until(lambda: it.error)
        with pytest.raises(ElectrumError, match=said):
            raise it.error or AssertionError


async def test_each_change_is_told_once(core: RegtestNode, electrum: Electrum) -> None:
    to, script = await address(core)
    told: list[tuple[str, str | None]] = []
    assert await electrum.subscribe(script, lambda name, status: told.append((name, status))) is None
    await core.rpc("sendtoaddress", to, 0.1, wallet="w")
    await until(lambda: len(told) == 1)
    await mine(core)
    await until(lambda: len(told) == 2)
    assert {name for name, _ in told} == {script.hash}
    assert len({status for _, status in told}) == 2
    assert each(status for _, status in told)

    await electrum.unsubscribe(script)
    await core.rpc("sendtoaddress", to, 0.1, wallet="w")
    await at_height(electrum, await mine(core))
    assert len(told) == 2


async def test_a_server_that_stops_and_starts_again_tells_what_was_missed(core: RegtestNode, server: ElectrumX) -> None:
    assert server.listening.ws
    async with running([node("main", server.listening.ws, "ws")]) as electrum:
        (changing, script), (_, still) = await address(core), await address(core)
        told: list[str] = []
        await electrum.subscribe(script, lambda name, status: told.append(name))
        await electrum.subscribe(still, lambda name, status: told.append(name))
        await server.stop()
        await until(lambda: not electrum.servers.all[0].well)
        await core.rpc("sendtoaddress", changing, 0.1, wallet="w")
        height = await mine(core)
        await server.start()
        await until(lambda: told)
        await at_height(electrum, height)
        assert (await electrum.balance(script)).confirmed == 10_000_000
        assert told == [script.hash]


async def test_a_link_that_is_cut_in_the_middle_of_a_line_costs_no_answer(core: RegtestNode, server: ElectrumX) -> None:
    assert server.listening.tcp
    _, script = await address(core)
    async with Link(server.listening.tcp) as link, running([node("main", link.port)]) as electrum:
        await electrum.tip()
        link.cut_after = 1_500  # of the next connection: within its greeting, whose packets have 1,024 bytes
        (it,) = electrum.servers.all
        for writer in link._writers:
            writer.transport.abort()
        await until(lambda: "cut the connection" in str(it.error))
        link.cut_after = None
        assert (await electrum.balance(script)).confirmed == 0


async def test_many_questions_go_side_by_side(core: RegtestNode, electrum: Electrum) -> None:
    scripts = [Script.of(number.to_bytes(22)) for number in range(300)]
    answers = await asyncio.gather(*(electrum.balance(script) for script in scripts))
    assert each(answer.confirmed == 0 for answer in answers)
    assert electrum.servers.all[0].connection == 1


async def test_a_slow_link_is_waited_for(core: RegtestNode, server: ElectrumX) -> None:
    assert server.listening.tcp
    async with Link(server.listening.tcp) as link, running([node("main", link.port)], QUICK) as electrum:
        link.delay = 0.3
        await electrum.tip()
        assert await electrum.header(0)
        assert electrum.servers.all[0].connection == 1
