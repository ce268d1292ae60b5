"""An address with a long history holds nobody up, and figures stand with the block that they are of."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from msgspec import Raw

from explorer.address import addresses
from explorer.address.addresses import Addresses
from explorer.aside import in_order
from explorer.core.newest import Newest
from explorer.core.node import Node
from explorer.electrum.answers import Coins, Histories, Unspent, Used, decoded, read
from explorer.electrum.client import Electrum
from explorer.electrum.refusals import plain
from explorer.electrum.script import Script
from explorer.wallet.followed import Followed
from local_run.node import RegtestNode
from shared.errors import ElectrumGone, ElectrumMalformed, ElectrumRefused, RpcRefused
from shared.events.lookups import AddressWanted
from shared.lookups.address import PAGE
from shared.rpc import RpcClient
from support.electrum_script import REGTEST, Refused, Scripted, node, running, until
from support.spending import Coin, build

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 100_000
TURN_SECONDS = 0.05
HEIGHT = 110
HISTORY = "blockchain.scripthash.get_history"
UNSPENT = "blockchain.scripthash.listunspent"
BALANCE = "blockchain.scripthash.get_balance"
GET = "blockchain.transaction.get"
MINING = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
SCRIPT = b"\x00\x14" + b"\x07" * 20
NOBODY_KNOWS = "daemon error: DaemonError({'code': -5, 'message': 'No such mempool or blockchain transaction.'})"


class World(NamedTuple):
    regtest: RegtestNode
    node: Node
    server: Scripted
    electrum: Electrum
    addresses: Addresses
    noted: list[int]

    async def found(self, script: bytes = SCRIPT, **wanted: Any) -> Any:
        return await self.addresses.look_up(self.node, AddressWanted(script=script.hex(), **wanted), lambda: None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def regtest(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    folder: Path = tmp_path_factory.mktemp("node")
    async with RegtestNode(folder) as started:
        await started.rpc("generatetoaddress", HEIGHT, MINING)
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def world(regtest: RegtestNode) -> AsyncIterator[World]:
    """A server that knows nothing but the node's newest block."""
    noted: list[int] = []

    async def note(script: Script, history: Sequence[Used] | None) -> None:
        noted.append(len(history or ()))

    async with Scripted() as server, RpcClient(regtest.settings()) as rpc:
        await told_block(server, regtest, HEIGHT)
        server.answers |= {HISTORY: [], UNSPENT: [], BALANCE: {"confirmed": 0, "unconfirmed": 0}}
        async with running([node("main", server.port)]) as electrum:
            await electrum.tip()
            made = Addresses(electrum, REGTEST, lambda: 0, note)
            yield World(regtest, Node(rpc), server, electrum, made, noted)


async def told_block(server: Scripted, regtest: RegtestNode, height: int) -> None:
    """The server has this block, and says so."""
    block = await regtest.rpc("getblockhash", height)
    tip = {"height": height, "hex": await regtest.rpc("getblockheader", block, False)}
    server.answers["blockchain.headers.subscribe"] = tip
    server.tell("blockchain.headers.subscribe", tip)


def many(entries: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A history, and coins in no order."""
    txids = [sha256(f"{number}".encode()).hexdigest() for number in range(entries)]
    heights = [1 + number * 100 // entries for number in range(entries)]
    return (
        [{"tx_hash": txid, "height": height} for txid, height in zip(txids, heights, strict=True)],
        [
            {"tx_hash": txid, "tx_pos": 0, "height": height, "value": 1_000 + number % 977}
            for number, (txid, height) in enumerate(zip(txids, heights, strict=True))
        ],
    )


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds of this thread's own that each turn of the loop took, however busy the machine is; what is loaded before
    is kept as a service keeps it (shared.service).
    """
    taken: list[float] = []
    gc.collect()
    gc.freeze()
    once = asyncio.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        once(handle)
        taken.append(time.thread_time() - began)

    monkeypatch.setattr(asyncio.Handle, "_run", measured)
    yield taken
    gc.unfreeze()


def prepared(server: Scripted, script: bytes, answers: dict[str, Any]) -> Callable[[dict[str, Any]], bytes | None]:
    """Answers that are encoded once, so that the server takes none of the time."""
    raw = {method: json.dumps(answer).encode() for method, answer in answers.items()}
    name = Script.of(script).hash

    def line(request: dict[str, Any]) -> bytes | None:
        if request.get("params", [""])[0] != name or request["method"] not in raw:
            return None
        return b'{"jsonrpc":"2.0","id":%d,"result":%s}\n' % (request["id"], raw[request["method"]])

    return line


async def test_a_hundred_thousand_entries_hold_nobody_up(world: World, turns: list[float]) -> None:
    history, coins = many(MANY)
    answers = {HISTORY: history, UNSPENT: coins, BALANCE: {"confirmed": 7, "unconfirmed": 0}}
    world.server.line = prepared(world.server, SCRIPT, answers)
    await asyncio.sleep(0)  # this turn is of the test alone
    turns.clear()
    found = await world.found(page=2, coins=3)
    assert max(turns) < TURN_SECONDS
    assert (found.tx_count, found.coin_count, found.truncated) == (MANY, MANY, True)
    assert [one.txid for one in found.history] == [one["tx_hash"] for one in history[-3 * PAGE : -2 * PAGE]][::-1]
    largest = sorted(coins, key=lambda one: (-one["value"], one["tx_hash"]))[3 * PAGE : 4 * PAGE]
    assert [(one.txid, one.value) for one in found.coins] == [(one["tx_hash"], one["value"]) for one in largest]
    assert world.noted == [MANY]


async def test_what_is_worked_out_holds_nobody_up_either(world: World, turns: list[float]) -> None:
    entries = 5_000
    built = [build([Coin(sha256(f"{n}".encode()).hexdigest(), 0, 2_000)], [1_000], scripts=[SCRIPT])
             for n in range(entries)]  # fmt: skip
    raw = {one.txid: one.raw for one in built}
    history = [{"tx_hash": txid, "height": 1 + number // 100} for number, txid in enumerate(raw)]
    world.server.line = prepared(world.server, SCRIPT, {HISTORY: history})
    world.server.answers[GET] = raw.__getitem__
    await asyncio.sleep(0)  # this turn is of the test alone
    turns.clear()
    found = await world.found()
    assert max(turns) < TURN_SECONDS
    assert (found.received, found.moved.funded, found.history[0].balance) == (entries * 1_000, entries, entries * 1_000)


async def test_a_few_with_long_histories_are_looked_up_at_once_and_nobody_else_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "HISTORY_MOST", 10)
    monkeypatch.setattr(addresses, "ALIVE_SECONDS", 0.01)
    history, _ = many(11)
    long = [b"\x00\x14" + bytes((number,)) * 20 for number in range(1, 5)]
    names = {Script.of(script).hash for script in long}
    world.server.answers[HISTORY] = lambda script: history if script in names else []
    asking, go_on = set[str](), asyncio.Event()
    unspent = world.electrum.unspent

    async def held(script: Script) -> list[Unspent]:
        if script.hash in names:
            asking.add(script.hash)
            await go_on.wait()
        return await unspent(script)

    monkeypatch.setattr(world.electrum, "unspent", held)
    signs: list[None] = []
    looking = [
        asyncio.create_task(
            world.addresses.look_up(world.node, AddressWanted(script=one.hex()), lambda: signs.append(None))
        )
        for one in long
    ]
    await until(lambda: len(asking) == addresses.LONG_AT_ONCE and len(signs) > 20)
    assert (await world.found()).tx_count == 0
    assert len(asking) == addresses.LONG_AT_ONCE
    go_on.set()
    assert [one.tx_count for one in await asyncio.gather(*looking)] == [11] * 4
    asked = world.server.count(HISTORY)
    await world.found(long[0])
    assert world.server.count(HISTORY) == asked + 1  # it is known to be long


async def test_what_was_asked_for_the_longest_ago_goes_first() -> None:
    kept = Newest[str](10)
    for name in ("aaa", "b", "cc", "dddd"):
        kept.put(name, name)
    kept.get("aaa")
    kept.shrink(len, 7)
    assert [kept.get(name) for name in ("aaa", "b", "cc", "dddd")] == ["aaa", None, None, "dddd"]
    kept.shrink(len, 0)
    assert [kept.get(name) for name in ("aaa", "dddd")] == [None, "dddd"]


@pytest.mark.parametrize("kind", [list[Used], list[Unspent], Histories, Coins])
async def test_what_is_long_is_read_as_what_is_short(kind: Any) -> None:
    history, coins = many(2_000)
    listed = coins if kind in (list[Unspent], Coins) else history
    shape = {Histories: {"history": listed}, Coins: {"utxos": listed}}.get(kind, listed)
    raw = Raw(json.dumps(shape).encode())
    assert await decoded("m", raw, kind) == read("m", raw, kind)
    listed[1_500]["height"] = -2
    with pytest.raises(ElectrumMalformed, match=r"the answer to m: .*>= "):
        await decoded("m", Raw(json.dumps(shape).encode()), kind)
    with pytest.raises(ElectrumMalformed, match="the answer to m: "):
        await decoded("m", Raw(b'"%s"' % (b"x" * 200_000)), kind)


@pytest.mark.parametrize("wanted", [slice(0, 25), slice(990, 1_015), slice(2_490, 2_515), slice(9_000, 9_025)])
async def test_a_part_of_what_is_sorted(wanted: slice) -> None:
    entries = [number * 7_919 % 2_503 for number in range(2_503)]
    assert in_order(entries, lambda one: -one, wanted) == sorted(entries, reverse=True)[wanted]


# --- figures and their block ---------------------------------------------------------------------------


async def test_figures_of_a_server_that_is_behind_are_of_its_block(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "LEVEL_SECONDS", 0.2)
    await told_block(world.server, world.regtest, HEIGHT - 2)
    await until_height(world, HEIGHT - 2)
    found = await world.found()
    assert (found.tip.height, found.behind) == (HEIGHT - 2, 2)
    block = await world.regtest.rpc("getblockheader", await world.regtest.rpc("getblockhash", HEIGHT - 2))
    assert (found.tip.hash, found.tip.time) == (block["hash"], block["time"])
    await told_block(world.server, world.regtest, HEIGHT)
    await until_height(world, HEIGHT)
    found = await world.found()
    assert (found.tip.height, found.behind) == (HEIGHT, 0)


async def until_height(world: World, height: int) -> None:
    async with asyncio.timeout(10):
        while (await world.electrum.tip()).height != height:  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.005)


async def test_a_server_that_gets_the_block_in_time_is_waited_for(world: World) -> None:
    await told_block(world.server, world.regtest, HEIGHT - 1)
    await until_height(world, HEIGHT - 1)
    looking = asyncio.create_task(world.found())
    asked = world.server.count(BALANCE)
    done, _ = await asyncio.wait([looking], timeout=0.2)
    assert not done
    assert world.server.count(BALANCE) == asked
    await told_block(world.server, world.regtest, HEIGHT)
    assert ((await looking).tip.height, looking.result().behind) == (HEIGHT, 0)


async def test_a_block_that_comes_while_it_is_asked_is_that_of_the_figures(world: World) -> None:
    """The balance of before it, and the history of after it, are no page."""
    balances = iter([1_000, 2_000])
    block = await world.regtest.rpc("getblock", await world.regtest.rpc("getblockhash", HEIGHT), 2)
    [coinbase] = block["tx"]
    world.server.answers[GET] = coinbase["hex"]
    world.server.answers[BALANCE] = lambda script: {"confirmed": next(balances), "unconfirmed": 0}
    world.server.answers[HISTORY] = [{"tx_hash": coinbase["txid"], "height": HEIGHT + 1}]  # not told of yet
    looking = asyncio.create_task(world.found())
    await until(lambda: world.server.count(BALANCE) == 1)
    world.server.answers[HISTORY] = [{"tx_hash": coinbase["txid"], "height": HEIGHT}]
    found = await looking
    assert (found.confirmed, found.tip.height, found.history[0].height) == (2_000, HEIGHT, HEIGHT)


# --- a history that changes ----------------------------------------------------------------------------


async def test_what_leaves_the_mempool_meanwhile_is_asked_for_again(world: World) -> None:
    gone = "ab" * 32
    histories = iter([[{"tx_hash": gone, "height": 0, "fee": 9}]] * 2)
    world.server.answers[HISTORY] = lambda script: next(histories, [])
    world.server.answers[GET] = Refused(2, NOBODY_KNOWS)
    found = await world.found()
    assert (found.history, found.tx_count, found.waiting_count) == ([], 0, 0)
    histories = iter([[{"tx_hash": gone, "height": 0, "fee": 9}]] * 2)
    world.server.answers["blockchain.scripthash.subscribe"] = "cd" * 32
    wallet = Followed(world.electrum, lambda: None)
    [told] = await wallet.look([SCRIPT])
    assert (told.used, told.history, told.unconfirmed) == (True, [], 0)
    await wallet.leave()


async def test_what_never_ends_to_change_is_said_in_words_of_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "CHANGING_SECONDS", 0.5)
    world.server.answers[HISTORY] = [{"tx_hash": "ab" * 32, "height": 0, "fee": 9}]
    world.server.answers[GET] = Refused(2, NOBODY_KNOWS)
    with pytest.raises(ElectrumGone) as raised:
        await world.found()
    assert plain(raised.value) == "what is asked for is changing at this moment"
    world.server.answers[GET] = Refused(2, "<b>secret</b> trouble")
    with pytest.raises(ElectrumRefused) as refused:
        await world.found()
    assert not isinstance(refused.value, ElectrumGone)
    assert plain(refused.value) == f"the Electrum server refuses {GET} (code 2)"
    assert plain(RpcRefused("getblock", -1, "<b>secret</b>")) == "the node refuses getblock (code -1)"
