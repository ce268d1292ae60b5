"""What an Electrum server can do wrong, and that whoever asks is told, or is served by the next one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from explorer.electrum.script import Script
from shared.errors import (
    ElectrumBusy,
    ElectrumMalformed,
    ElectrumRefused,
    ElectrumTooLong,
    ElectrumUnreachable,
    ElectrumWrongNetwork,
)
from support.each import each
from support.electrum_script import GENESIS, QUICK, Refused, Scripted, node, over_websocket, running, until

SCRIPT = Script.of("0014" + "07" * 20)
OTHER = Script.of("0014" + "08" * 20)
BALANCE = "blockchain.scripthash.get_balance"
HISTORY = "blockchain.scripthash.get_history"
NEWS = "blockchain.scripthash.subscribe"


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


def answering(request: dict[str, Any], result: str) -> bytes:
    return f'{{"jsonrpc":"2.0","id":{request["id"]},"result":{result}}}\n'.encode()


def instead(method: str, raw: Callable[[dict[str, Any]], bytes]) -> Callable[[dict[str, Any]], bytes | None]:
    """These bytes for the answer to one method."""
    return lambda request: raw(request) if request["method"] == method else None


# --- nonsense ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "named"),
    [
        ('{"confirmed":-1,"unconfirmed":0}', "confirmed"),
        ('{"confirmed":2100000000000001,"unconfirmed":0}', "confirmed"),
        ('{"confirmed":"1","unconfirmed":0}', r"Expected `int`, got `str` - at `\$.confirmed`"),
        ('{"confirmed":0.5,"unconfirmed":0}', "confirmed"),
        ('{"confirmed":1}', "unconfirmed"),
        ("null", "Expected `object`, got `null`"),
        ("[]", "Expected `object`, got `array`"),
    ],
)
async def test_an_answer_that_cannot_be_is_named(one: Scripted, result: str, named: str) -> None:
    one.line = instead(BALANCE, lambda request: answering(request, result))
    async with running([node("main", one.port)]) as electrum:
        with pytest.raises(ElectrumMalformed, match=f"the answer to {BALANCE}: .*{named}"):
            await electrum.balance(SCRIPT)
        (it,) = electrum.servers.all
        assert it.well
        assert it.circuit.nonsense == 1


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"tx_hash": "AB" * 32, "height": 1}, "tx_hash"),
        ({"tx_hash": "ab" * 31, "height": 1}, "tx_hash"),
        ({"tx_hash": "ab" * 32, "height": -2}, "height"),
        ({"tx_hash": "ab" * 32, "height": True}, "height"),
        ({"tx_hash": "ab" * 32}, "height"),
        ({"tx_hash": "ab" * 32, "height": 0, "fee": -1}, "fee"),
    ],
)
async def test_a_history_that_cannot_be_is_named(one: Scripted, entry: dict[str, Any], named: str) -> None:
    one.answers[HISTORY] = [entry]
    async with running([node("main", one.port)]) as electrum:
        with pytest.raises(ElectrumMalformed, match=named):
            await electrum.history(SCRIPT)


async def test_another_transaction_than_asked_for_is_nonsense(one: Scripted) -> None:
    coinbase = (
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054"
        "696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420"
        "666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61"
        "deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
    )
    txid = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
    one.answers["blockchain.transaction.get"] = coinbase
    async with running([node("main", one.port)]) as electrum:
        assert (await electrum.transaction(txid)).hex() == coinbase
        with pytest.raises(ElectrumMalformed, match=f"transaction {txid}; asked for 00"):
            await electrum.transaction("00" * 32)


async def test_a_header_without_work_and_a_proof_for_another_block_are_nonsense(one: Scripted) -> None:
    one.answers["blockchain.block.header"] = GENESIS[:-8] + "07000000"
    one.answers["blockchain.transaction.get_merkle"] = {"block_height": 3, "merkle": [], "pos": 0}
    async with running([node("main", one.port)]) as electrum:
        with pytest.raises(ElectrumMalformed, match="without the work that it claims"):
            await electrum.header(0)
        with pytest.raises(ElectrumMalformed, match="block 3; asked for 4"):
            await electrum.merkle("00" * 32, 4)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"<html>502 Bad Gateway</html>\n", "no message of JSON-RPC.*<html>502"),
        (b"\xff\xfe\x00\n", "no message of JSON-RPC"),
        (b"\n", "no message of JSON-RPC"),
        (b"[" * 100_000 + b"\n", "no message of JSON-RPC"),
        (b'{"jsonrpc":"1.0","id":0,"result":1}\n', "no message of JSON-RPC"),
        (b'{"jsonrpc":"2.0","id":0}\n', "neither a result nor an error"),
        (b'{"jsonrpc":"2.0","id":0,"result":1,"error":{"code":1,"message":"x"}}\n', "both a result and an error"),
        (b'{"jsonrpc":"2.0","id":987654,"result":1}\n', "response to unsent request"),
        (b'{"jsonrpc":"2.0","id":1,"method":"give.me","params":[]}\n', "a server that asks"),
        (b'{"jsonrpc":"2.0","id":9,"result":' + b"9" * 10_000 + b"}\n", "response to unsent request"),
    ],
)
async def test_what_is_no_protocol_at_all_ends_the_connection(one: Scripted, line: bytes, named: str) -> None:
    limits = replace(QUICK, nonsense=100)
    one.line = instead(BALANCE, lambda request: line)
    async with running([node("main", one.port)], limits) as electrum:
        with pytest.raises(ElectrumMalformed, match=named):
            await electrum.balance(SCRIPT)
        one.line = lambda request: None
        assert (await electrum.balance(SCRIPT)).confirmed == 1
        assert electrum.servers.all[0].connection >= 2


async def test_repeated_nonsense_opens_the_circuit_and_another_server_is_asked(one: Scripted, two: Scripted) -> None:
    one.answers[BALANCE] = "nonsense"
    limits = replace(QUICK, open_first=2.0)
    async with running([node("main", one.port), node("spare", two.port)], limits) as electrum:
        await until(lambda: each(server.well for server in electrum.servers.all))
        for _ in range(QUICK.nonsense):
            assert (await electrum.balance(SCRIPT)).confirmed == 2
        first, spare = electrum.servers.all
        assert first.circuit.wait
        asked = one.count(BALANCE)
        assert asked == QUICK.nonsense
        assert (await electrum.balance(SCRIPT)).confirmed == 2
        assert one.count(BALANCE) == asked
        assert electrum.servers.active is spare
        left, active = electrum.standing(1_700_000_000_000)
        assert (left.state, left.active, active.state, active.active) == ("left-alone", False, "connected", True)
        assert left.again_ms is not None
        assert left.again_ms > 1_700_000_000_000

        one.answers[BALANCE] = {"confirmed": 1, "unconfirmed": 0}
        await until(lambda: electrum.servers.active is first)
        assert (await electrum.balance(SCRIPT)).confirmed == 1


async def test_the_only_server_with_an_open_circuit_is_said_to_be_left_alone(one: Scripted) -> None:
    limits = replace(QUICK, open_first=30.0, await_server=0.3)
    one.answers[BALANCE] = "nonsense"
    async with running([node("main", one.port)], limits) as electrum:
        for _ in range(limits.nonsense):
            with pytest.raises(ElectrumMalformed):
                await electrum.balance(SCRIPT)
        with pytest.raises(
            ElectrumUnreachable, match=f"no Electrum server can be asked now: main: the answer to {BALANCE}"
        ):
            await electrum.balance(SCRIPT)
        assert "left alone: the answer to" in str(electrum.details(1_700_000_000_000)["electrum_main"])


# --- long, slow, silent, gone ------------------------------------------------------------------------


async def test_a_history_of_a_hundred_thousand_comes_in_one_line_of_ten_megabytes(one: Scripted) -> None:
    many = [{"tx_hash": f"{number:064x}", "height": number + 1} for number in range(100_000)]
    raw = json.dumps(many)
    assert len(raw) > 9_000_000
    one.line = instead(HISTORY, lambda request: answering(request, raw))
    async with running([node("main", one.port)]) as electrum:
        await electrum.tip()
        longest = 0.0

        async def beat() -> None:
            nonlocal longest
            loop = asyncio.get_running_loop()
            while True:
                before = loop.time()
                await asyncio.sleep(0.01)
                longest = max(longest, loop.time() - before)

        beating = asyncio.create_task(beat())
        history = await electrum.history(SCRIPT)
        beating.cancel()
        assert (len(history), history[-1].txid, history[-1].height) == (100_000, f"{99_999:064x}", 100_000)
        assert longest < 2.0  # nobody else waits long meanwhile; the machine has other work
        assert electrum.servers.all[0].connection == 1


async def test_a_line_beyond_every_limit_ends_the_connection(one: Scripted) -> None:
    limits = replace(QUICK, line=1 << 20)
    one.line = instead(HISTORY, lambda request: answering(request, '"' + "x" * (3 << 20) + '"'))
    async with running([node("main", one.port)], limits) as electrum:
        with pytest.raises(ElectrumMalformed, match="a line of more than 1 MB"):
            await electrum.history(SCRIPT)
        assert (await electrum.balance(SCRIPT)).confirmed == 1


async def test_ten_megabytes_and_more_than_every_limit_over_websocket(one: Scripted) -> None:
    many = json.dumps([{"tx_hash": f"{number:064x}", "height": number + 1} for number in range(100_000)])
    one.line = instead(HISTORY, lambda request: answering(request, many))
    async with over_websocket(one) as port:
        async with running([node("main", port, "ws")]) as electrum:
            assert len(await electrum.history(SCRIPT)) == 100_000
        async with running([node("main", port, "ws")], replace(QUICK, line=1 << 20)) as electrum:
            with pytest.raises(ElectrumMalformed, match="a message of more than 1 MB"):
                await electrum.history(SCRIPT)
            one.line = instead(BALANCE, lambda request: b"<html>")
            with pytest.raises(ElectrumMalformed, match=r"no message of JSON-RPC.*<html>"):
                await electrum.balance(SCRIPT)
            one.line = lambda request: None
            assert (await electrum.balance(SCRIPT)).confirmed == 1


async def test_a_name_that_nobody_knows_is_said_so(one: Scripted) -> None:
    for scheme in ("tcp", "ws"):
        nowhere = replace(node("main", one.port), electrum_url=f"{scheme}://no-such-host.invalid:1")
        async with running([nowhere]) as electrum:
            (it,) = electrum.servers.all
            await until(lambda it=it: it.error)  # type: ignore[misc]  # mypy knows no lambda with a default
            assert str(it.error) == "its host's name cannot be resolved here"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (1, "history too large"),
        (-32600, "response too large (over 8,100,000 bytes"),
        (2, "Too many history entries"),
        (1, "39374 transactions found, query may take a long time"),
    ],
)
async def test_a_history_that_the_server_does_not_tell_is_an_error_of_its_own(
    one: Scripted, code: int, message: str
) -> None:
    one.answers[HISTORY] = Refused(code, message)
    async with running([node("main", one.port)]) as electrum:
        with pytest.raises(ElectrumTooLong, match="more transactions than the server tells of"):
            await electrum.history(SCRIPT)
        assert electrum.servers.all[0].well


async def test_another_server_may_tell_the_longer_history(one: Scripted, two: Scripted) -> None:
    one.answers[HISTORY] = Refused(1, "history too large")
    two.answers[HISTORY] = [{"tx_hash": "ab" * 32, "height": 1}]
    async with running([node("main", one.port), node("spare", two.port)]) as electrum:
        await until(lambda: each(server.well for server in electrum.servers.all))
        assert len(await electrum.history(SCRIPT)) == 1
        assert electrum.servers.active is electrum.servers.all[0]


async def test_silence_ends_the_connection_and_a_flood_of_news_is_no_answer(one: Scripted) -> None:
    limits = replace(QUICK, silence=0.4, unasked=1 << 30, await_server=0.1)
    one.line = instead(BALANCE, lambda request: b"")
    async with running([node("main", one.port)], limits) as electrum:
        await electrum.tip()
        asking = asyncio.create_task(electrum.balance(SCRIPT))
        async with asyncio.timeout(10):
            while not asking.done():
                one.tell(NEWS, OTHER.hash, "ab" * 32)
                await asyncio.sleep(0.01)
        with pytest.raises(ElectrumUnreachable, match=r"no answer for 0\.4 s"):
            await asking


async def test_one_answer_that_never_comes_has_a_limit_of_its_own(one: Scripted) -> None:
    limits = replace(QUICK, longest=0.5, await_server=0.1)
    one.line = instead(HISTORY, lambda request: b"")
    async with running([node("main", one.port)], limits) as electrum:
        await electrum.tip()
        asking = asyncio.create_task(electrum.history(SCRIPT))
        while not asking.done():
            assert (await electrum.balance(SCRIPT)).confirmed == 1
        with pytest.raises(ElectrumUnreachable, match=f"no answer to {HISTORY} within 0.5 s"):
            await asking
        assert electrum.servers.all[0].connection == 1


async def test_a_server_that_nobody_hears_of_is_asked_whether_it_is_there(one: Scripted) -> None:
    limits = replace(QUICK, ping=0.1, silence=0.4)
    async with running([node("main", one.port)], limits) as electrum:
        await until(lambda: one.count("server.ping") >= 2)
        assert electrum.servers.all[0].connection == 1
        one.line = instead("server.ping", lambda request: b"")
        await until(lambda: electrum.servers.all[0].connection > 1)


async def test_a_cut_connection_is_made_again_and_the_question_asked_again(one: Scripted) -> None:
    cuts = 0

    def half(request: dict[str, Any]) -> bytes:
        nonlocal cuts
        cuts += 1
        if cuts == 1:
            one.write(answering(request, '{"confirmed":1,"unconf')[:-10])
            asyncio.get_running_loop().call_later(0.05, one.cut)
            return b""
        return answering(request, '{"confirmed":3,"unconfirmed":0}')

    one.line = instead(BALANCE, half)
    async with running([node("main", one.port)]) as electrum:
        assert (await electrum.balance(SCRIPT)).confirmed == 3
        assert electrum.servers.all[0].connection == 2


async def test_a_server_that_is_not_there_is_waited_for_a_moment_and_then_named(one: Scripted) -> None:
    await one.stop()
    limits = replace(QUICK, await_server=0.3)
    async with running([node("main", one.port)], limits) as electrum:
        with pytest.raises(ElectrumUnreachable, match=r"main: the connection was refused: nothing listens there"):
            await electrum.balance(SCRIPT)
        (standing,) = electrum.standing(1_700_000_000_000)
        assert (standing.state, standing.since_ms, standing.height) == ("unreachable", None, None)
        await one.start()
        await until(lambda: electrum.servers.all[0].well)
        assert (await electrum.balance(SCRIPT)).confirmed == 1


async def test_without_a_server_everything_says_what_is_missing() -> None:
    async with running([]) as electrum:
        assert not electrum.configured
        with pytest.raises(ElectrumUnreachable, match="no Electrum server is configured: expected its address in"):
            await electrum.balance(SCRIPT)
        with pytest.raises(ElectrumUnreachable, match="no Electrum server is configured"):
            await electrum.subscribe(SCRIPT, lambda name, status: None)
        assert electrum.details(0) == {"electrum": None}


# --- who it is ---------------------------------------------------------------------------------------


async def test_a_server_of_another_network_is_not_asked(two: Scripted) -> None:
    mainnet = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
    async with Scripted(genesis=mainnet) as one, running([node("main", one.port), node("spare", two.port)]) as electrum:
        assert (await electrum.balance(SCRIPT)).confirmed == 2
        first, _ = electrum.servers.all
        await until(lambda: first.error)
        assert isinstance(first.error, ElectrumWrongNetwork)
        assert f"another network: its first block is {mainnet}" in str(first.error)
        assert not one.count(BALANCE)


async def test_a_server_without_features_is_known_by_its_first_header(one: Scripted) -> None:
    one.answers["server.features"] = Refused(-32601, "unknown method")
    one.answers["blockchain.block.header"] = GENESIS
    async with running([node("main", one.port)]) as electrum:
        assert (await electrum.tip()).height == one.tip


async def test_a_server_that_knows_no_range_of_versions_is_asked_for_the_oldest(one: Scripted) -> None:
    def single(client: str, versions: Any) -> list[str]:
        if versions != "1.4":
            raise Refused(1, "server supports 1.4")
        return ["electrs/0.9.4", "1.4"]

    one.answers["server.version"] = single
    async with running([node("main", one.port)]) as electrum:
        assert (await electrum.balance(SCRIPT)).confirmed == 1
        assert electrum.servers.all[0].software == "electrs/0.9.4"


async def test_a_server_that_refuses_every_version_is_quoted(one: Scripted) -> None:
    one.answers["server.version"] = Refused(1, "unsupported client: bitcoin-dashboard")
    async with running([node("main", one.port)]) as electrum:
        (it,) = electrum.servers.all
        await until(lambda: it.error)
        assert str(it.error) == "server.version: unsupported client: bitcoin-dashboard (code 1)"


async def test_without_a_method_for_the_mempool_it_is_what_waits_in_the_history(one: Scripted) -> None:
    one.answers[HISTORY] = [{"tx_hash": "ab" * 32, "height": 5}, {"tx_hash": "cd" * 32, "height": -1, "fee": 3}]
    async with running([node("main", one.port)]) as electrum:
        assert [(one.txid, one.fee) for one in await electrum.mempool(SCRIPT)] == [("cd" * 32, 3)]


@pytest.mark.parametrize(("confirmed", "long"), [(1, True), (0, False)])
async def test_a_server_that_tells_nothing_of_a_long_history_is_not_believed(
    one: Scripted, confirmed: int, long: bool
) -> None:
    one.answers["server.version"] = ["Fulcrum 2.1", "1.5"]
    one.answers[HISTORY] = []
    one.answers[BALANCE] = {"confirmed": confirmed, "unconfirmed": 0}
    async with running([node("main", one.port)]) as electrum:
        if long:
            with pytest.raises(ElectrumTooLong, match="it told none"):
                await electrum.history(SCRIPT)
        else:
            assert not await electrum.history(SCRIPT)


@pytest.mark.parametrize("version", ["1.3", "1.8", "2.0", "", "latest", "1", "1.4.2.1"])
async def test_a_protocol_that_we_do_not_speak_is_named(one: Scripted, version: str) -> None:
    one.answers["server.version"] = ["Odd 1", version]
    async with running([node("main", one.port)]) as electrum:
        (it,) = electrum.servers.all
        await until(lambda: it.error)
        assert f"it speaks protocol {version!r}; expected 1.4 to 1.7" in str(it.error)


@pytest.mark.parametrize("version", ["1.4", "1.4.2", "1.6", "1.7"])
async def test_each_version_is_asked_in_its_own_words(version: str) -> None:
    by_script = version == "1.7"
    family, named = ("scriptpubkey", SCRIPT.script) if by_script else ("scripthash", SCRIPT.hash)
    used, coin = (
        {"tx_hash": "ab" * 32, "height": 0, "fee": 5},
        {"tx_hash": "ab" * 32, "tx_pos": 1, "height": 0, "value": 9},
    )
    async with Scripted(newest=version) as one, running([node("main", one.port)]) as electrum:
        for method, listed, name in (
            ("get_history", used, "history"),
            ("get_mempool", used, "history"),
            ("listunspent", coin, "utxos"),
        ):
            one.answers[f"blockchain.{family}.{method}"] = {name: [listed]} if by_script else [listed]
        one.answers[f"blockchain.{family}.get_balance"] = {"confirmed": 1, "unconfirmed": -1}
        one.answers[f"blockchain.{family}.unsubscribe"] = True
        one.statuses[str(named)] = "cd" * 32
        assert (await electrum.balance(SCRIPT)).unconfirmed == -1
        assert [one.fee for one in await electrum.history(SCRIPT)] == [5]
        assert [one.waits for one in await electrum.mempool(SCRIPT)] == [True]
        assert [one.value for one in await electrum.unspent(SCRIPT)] == [9]
        told: list[str | None] = []
        assert await electrum.subscribe(SCRIPT, lambda name, status: told.append(status)) == "cd" * 32
        for name in filter(None, (named, SCRIPT.hash)):  # ElectrumX 2.0 tells the hash under the name of 1.7, too
            one.tell(f"blockchain.{family}.subscribe", name, None)
            await until(lambda: told == [None])
            one.tell(f"blockchain.{family}.subscribe", name, "cd" * 32)
            await until(lambda: told == [None, "cd" * 32])
            told.clear()
        await electrum.unsubscribe(SCRIPT)
        assert one.count(f"blockchain.{family}.unsubscribe") == (version != "1.4")
        assert {params[0] for method, params in one.asked if family in method} == {named}


async def test_from_1_7_on_a_hash_alone_is_not_enough() -> None:
    async with Scripted(newest="1.7") as one, running([node("main", one.port)]) as electrum:
        with pytest.raises(ElectrumRefused, match=r"from protocol 1\.7 on a script is asked for by itself"):
            await electrum.balance(SCRIPT.hash)


# --- costs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message"),
    [(-101, "excessive resource usage"), (-102, "server busy - request timed out"), (-32603, "unavailable index")],
)
async def test_a_server_that_had_too_much_of_us_is_left_alone(
    one: Scripted, two: Scripted, code: int, message: str
) -> None:
    one.answers[BALANCE] = Refused(code, message)
    limits = replace(QUICK, leave_alone=30.0)
    async with running([node("main", one.port), node("spare", two.port)], limits) as electrum:
        await until(lambda: each(server.well for server in electrum.servers.all))
        assert (await electrum.balance(SCRIPT)).confirmed == 2
        assert (await electrum.balance(SCRIPT)).confirmed == 2
        assert one.count(BALANCE) == 1


async def test_the_only_server_says_that_it_had_too_much(one: Scripted) -> None:
    one.answers[BALANCE] = Refused(-101, "excessive resource usage")
    async with running([node("main", one.port)]) as electrum:
        with pytest.raises(ElectrumBusy, match="excessive resource usage"):
            await electrum.balance(SCRIPT)
        one.answers[BALANCE] = {"confirmed": 4, "unconfirmed": 0}
        assert (await electrum.balance(SCRIPT)).confirmed == 4


async def test_no_more_than_a_few_requests_are_on_their_way(one: Scripted) -> None:
    limits = replace(QUICK, in_flight=5)
    held: list[dict[str, Any]] = []

    def hold(request: dict[str, Any]) -> bytes:
        held.append(request)
        return b""

    one.line = instead(BALANCE, hold)
    async with running([node("main", one.port)], limits) as electrum:
        await electrum.tip()
        asking = [asyncio.create_task(electrum.balance(SCRIPT)) for _ in range(12)]
        for answered in (5, 5, 2):
            await until(lambda count=answered: len(held) == count)  # type: ignore[misc]  # mypy knows no lambda with a default
            await asyncio.sleep(0)
            assert len(held) == answered
            for request in held:
                one.write(answering(request, '{"confirmed":1,"unconfirmed":0}'))
            held.clear()
        assert len(await asyncio.gather(*asking)) == 12
