"""Transactions as the explorer answers them: with what was recorded, what an Electrum server adds, and what is gone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

import chain_ingest.app
import explorer.app
from explorer.core.node import Node
from explorer.desk import SETTLED_MS, WAITING_MS, keep_ms
from explorer.electrum.client import Electrum
from explorer.transaction.blocks import block_of, in_block
from explorer.transaction.queue import placed
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.domains import TIMELINE
from shared.events.lookups import TxWanted
from shared.lookups import transaction
from shared.lookups.parts import BYTES_MOST, Missing, Output, Place, Spender, Tip
from shared.lookups.transaction import Found, Gone, Step
from shared.rpc import RpcClient
from shared.views import FeeBand, FeesView, PreciseFees, ProjectedBlock, RecommendedFees
from support import electrum_script
from support.electrumx import served
from support.explored import KEYS, Chain, answer
from support.ledger import running
from support.stack import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Asked:
    """The explorer, to be asked again and again."""

    def __init__(self, client: redis.Client, chain: Chain, url: str) -> None:
        self.client = client
        self.chain = chain
        self._url = url
        self._count = 0
        self._follower = contextlib.AsyncExitStack()

    async def follow(self) -> None:
        """From now on chain-ingest looks at the node."""
        await self._follower.enter_async_context(
            running(self._url, chain_ingest.app.run, "chain-ingest", **self.chain.node.env())
        )

    async def look_away(self) -> None:
        """Until it is told to follow, all that happens at the node happens within one look."""
        await self._follower.aclose()

    async def now(self, txid: str, **more: Any) -> transaction.Answer:
        self._count += 1
        tip = await self.chain.node.rpc("getbestblockhash")
        found = await answer(self.client, f"tx:{txid}:{self._count}", TxWanted(txid=txid, tip=tip, **more), 20)
        assert found.status == "done", found.error
        said: transaction.Answer = msgspec.json.decode(bytes(found.data), type=transaction.Answer)
        return said

    async def once(self, txid: str, *whats: str) -> Any:
        """Once this has happened to it."""

        async def look() -> transaction.Answer | None:
            found = await self.now(txid)
            steps = found.timeline if isinstance(found, Found | Gone) else []
            named = [step.what for step in steps] == list(whats)
            return found if named and (steps[-1].what != "mined" or steps[-1].block) else None

        return await until(look, 20, f"{txid} was {whats}")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asked(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asked]:
    """On a node without an index."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(EmbeddedValkey(tmp_path_factory.mktemp("valkey")))
        await stack.enter_async_context(running(server.url, explorer.app.run, "explorer", **chain.node.env()))
        client = redis.connect(server.url)
        stack.push_async_callback(client.aclose)
        it = Asked(client, chain, server.url)
        stack.push_async_callback(it.look_away)
        await it.follow()
        await until(lambda: client.hexists(KEYS.state(TIMELINE), "meta"), 20, "the timeline has begun")
        yield it


async def test_what_was_replaced_is_gone_and_not_missing(asked: Asked) -> None:
    first = await asked.chain.pay(fee_rate=2)
    await asked.once(first, "seen")
    second = (await asked.chain.wallet("bumpfee", first, {"fee_rate": 20}))["txid"]
    gone = await asked.once(first, "seen", "replaced")
    assert isinstance(gone, Gone)
    assert gone.timeline[-1].by == second
    assert gone.replacements is not None
    assert [(one.txid, one.by) for one in gone.replacements.edges] == [(first, second)]
    assert not gone.certain, "a node without an index cannot know all blocks"
    there = await asked.once(second, "seen")
    assert isinstance(there, Found)
    assert there.timeline[0].replaces == [first]
    assert there.replacements == gone.replacements
    assert there.sources["timeline"] == "records"
    await asked.chain.mine()


async def test_what_was_mined_is_found_by_its_record_when_nothing_of_it_is_unspent(asked: Asked) -> None:
    chain = asked.chain
    txid = await chain.pay([{await chain.wallet("getnewaddress"): 1}], subtract_fee_from_outputs=[0])
    await asked.once(txid, "seen")
    [block] = await chain.mine()
    coins = (await chain.node.rpc("getrawtransaction", txid, 1, block))["vout"]
    inputs = [{"txid": txid, "vout": one["n"]} for one in coins]
    await chain.wallet("sendall", [chain.mining], None, None, 3, {"inputs": inputs})
    await chain.mine()
    found = await asked.once(txid, "seen", "mined")
    assert isinstance(found, Found)
    assert found.place is not None
    assert (found.place.hash, found.place.best) == (block, True)
    assert {(one.spent, one.spender) for one in found.outputs} == {(True, None)}
    unseen = await asked.now("ab" * 32)
    assert isinstance(unseen, Missing)


async def test_a_reorganisation_takes_the_block_away_and_brings_another(asked: Asked) -> None:
    txid = await asked.chain.pay()
    await asked.once(txid, "seen")
    [block] = await asked.chain.mine()
    mined = await asked.once(txid, "seen", "mined")
    assert mined.place.hash == block
    await asked.chain.node.rpc("invalidateblock", block)
    back = await asked.once(txid, "seen", "mined", "disconnected")
    assert (back.place, back.waiting is None) == (None, False)
    await until(lambda: asked.client.hexists(KEYS.timeline_waiting, bytes.fromhex(txid)), 10, "it waits again")
    asked.chain.mining = await asked.chain.wallet("getnewaddress")  # else it might be the same block again
    await asked.chain.mine()
    again = await asked.once(txid, "seen", "mined", "disconnected", "mined")
    assert again.place.hash == again.timeline[-1].block != block


@pytest.mark.parametrize("watched", [True, False], ids=["as it happens", "within one look"])
async def test_mined_again_before_it_was_told_that_it_waits_again(asked: Asked, watched: bool) -> None:
    chain = asked.chain
    options = {"subtract_fee_from_outputs": [0]}
    txid = await chain.pay([{await chain.wallet("getnewaddress"): 0.5}], **options)
    await asked.once(txid, "seen")
    [block] = await chain.mine()
    await asked.once(txid, "seen", "mined")
    if not watched:
        await asked.look_away()
    chain.mining = await chain.wallet("getnewaddress")  # else it might be the same block again
    await chain.node.rpc("invalidateblock", block)
    [second] = await chain.mine()
    coins = (await chain.node.rpc("getrawtransaction", txid, 1, second))["vout"]
    inputs = [{"txid": txid, "vout": one["n"]} for one in coins]  # nothing unspent leads to its block
    await chain.wallet("sendall", [chain.mining], None, None, 3, {"inputs": inputs})
    await chain.mine()
    if not watched:
        await asked.follow()
    again = await asked.once(txid, "seen", "mined", "disconnected", "mined")
    assert again.place.hash == again.timeline[-1].block == second
    assert again.timeline[-1].height == again.place.height
    assert [one.time_ms for one in again.timeline] == sorted(one.time_ms for one in again.timeline)


@pytest.mark.parametrize("watched", [True, False], ids=["as it happens", "within one look"])
async def test_a_block_that_is_reconsidered_has_its_transactions_again(asked: Asked, watched: bool) -> None:
    txid = await asked.chain.pay()
    await asked.once(txid, "seen")
    [block] = await asked.chain.mine()
    before = await asked.once(txid, "seen", "mined")
    if not watched:
        await asked.look_away()
    await asked.chain.node.rpc("invalidateblock", block)
    await asked.chain.node.rpc("reconsiderblock", block)
    if not watched:
        await asked.follow()
    await asked.chain.mine()

    async def whole() -> Found | None:
        found = await asked.now(txid)
        assert isinstance(found, Found)
        return found if found.place is not None and found.timeline[-1].what == "mined" else None

    found = await until(whole, 20, "it is mined")
    assert found is not None
    names = [(step.what, step.block) for step in found.timeline[1:]]
    assert names in ([("mined", block)], [("mined", block), ("disconnected", block), ("mined", block)])
    if not watched:
        assert found.timeline == before.timeline, "nobody was told that it had left, and it had not"


async def test_long_scripts_are_cut(asked: Asked) -> None:
    chain = asked.chain
    raw = await chain.node.rpc("createrawtransaction", [], [{"data": "61" * 20_000}])
    funded = await chain.wallet("fundrawtransaction", raw, {"fee_rate": 2})
    signed = await chain.wallet("signrawtransactionwithwallet", funded["hex"])
    await chain.node.rpc("generateblock", chain.mining, [signed["hex"]])
    txid = (await chain.node.rpc("decoderawtransaction", signed["hex"]))["txid"]
    found = await asked.now(txid)
    assert isinstance(found, Found)
    [said] = [one for one in found.outputs if one.kind == "op_return"]
    assert (len(said.script), said.script_size) == (2 * BYTES_MOST, 20_004)
    found = await asked.now(txid, whole=True)
    assert isinstance(found, Found)
    [said] = [one for one in found.outputs if one.kind == "op_return"]
    assert (len(said.script), said.script_size) == (2 * 20_004, None)


async def test_spenders_and_blocks_are_found_at_an_electrum_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with contextlib.AsyncExitStack() as stack:
        core, server = await stack.enter_async_context(served(tmp_path_factory.mktemp("electrum")))
        valkey = await stack.enter_async_context(EmbeddedValkey(tmp_path_factory.mktemp("valkey")))
        mining = await core.rpc("getnewaddress", wallet="w")
        to = await core.rpc("getnewaddress", wallet="w")
        txid = await core.rpc("sendtoaddress", to, 1, wallet="w")
        [block] = await core.rpc("generatetoaddress", 1, mining)
        coins = (await core.rpc("getrawtransaction", txid, 1))["vout"]
        inputs = [{"txid": txid, "vout": one["n"]} for one in coins]
        spender = (await core.rpc("sendall", [mining], None, None, 3, {"inputs": inputs}, wallet="w"))["txid"]
        await core.rpc("generatetoaddress", 1, mining)
        height = await core.rpc("getblockcount")
        spends = [one["vout"] for one in (await core.rpc("getrawtransaction", spender, 1))["vin"]]
        env = {**core.env(), "MAIN_ELECTRUM_URL": server.url()}
        await stack.enter_async_context(running(valkey.url, explorer.app.run, "explorer", **env))
        client = redis.connect(valkey.url)
        stack.push_async_callback(client.aclose)
        count = 0

        async def look() -> Found | None:
            nonlocal count
            count += 1
            said = await answer(client, f"tx:{txid}:{count}", TxWanted(txid=txid), 20)
            found = msgspec.json.decode(bytes(said.data), type=transaction.Answer)
            return found if isinstance(found, Found) and "spenders" in found.sources else None

        found = await until(look, 30, "the Electrum server tells the spenders")
        assert found is not None
        told = [(one.spender.txid, one.spender.vin, one.spender.height) for one in found.outputs if one.spender]
        assert told == [(spender, spends.index(vout), height) for vout in range(len(coins))]

        rpc = await stack.enter_async_context(RpcClient(core.settings()))
        node = electrum_script.node("main", int(server.url().rpartition(":")[2]), "ws")
        electrum: Electrum = await stack.enter_async_context(electrum_script.running([node]))
        assert await block_of(electrum, Node(rpc), txid) == block
        assert await block_of(electrum, Node(rpc), "ab" * 32) is None


async def test_the_block_of_a_record_is_the_last_that_it_has_not_left() -> None:
    mined, left = Step(what="mined", time_ms=1, block="a"), Step(what="disconnected", time_ms=2, block="a")
    assert in_block([Step(what="seen", time_ms=0), mined]) == "a"
    assert in_block([mined, left]) is None
    assert in_block([mined, left, Step(what="mined", time_ms=3, block="b")]) == "b"
    assert in_block([]) is None


def _view(*lowest: float) -> FeesView:
    fees = dict.fromkeys(("fastestFee", "halfHourFee", "hourFee", "economyFee", "minimumFee"), 1)
    blocks = [
        ProjectedBlock(
            tx_count=1, size=1, vsize=1, weight=4, total_fees=1, median_fee_rate=low, fee_range=[low] * 6 + [low + 1]
        )
        for low in lowest
    ]
    bands = [
        FeeBand(from_rate=low, to_rate=high, count=1, vsize=1_000, fee=1)
        for low, high in ((1.0, 2.0), (2.0, 4.0), (4.0, None))
    ]
    return FeesView(
        recommended=RecommendedFees(**fees), precise=PreciseFees(**fees), projected_blocks=blocks,
        histogram=bands, fee_histogram=[],
    )  # fmt: skip


async def test_what_is_not_recorded_to_its_end_is_not_kept_for_long() -> None:
    place = Place(height=1, hash="a", time=1)
    found = Found(
        txid="", wtxid="", version=2, locktime=0, size=1, vsize=1, weight=4, fee=0, coinbase=False,
        inputs=[], outputs=[], input_count=1, output_count=1, input_value=1, output_value=1, place=place,
        tip=Tip(height=1, hash="a", time=1), as_of_ms=1,
    )  # fmt: skip
    seen, mined = Step(what="seen", time_ms=0), Step(what="mined", time_ms=1, block="a")
    kept = [keep_ms(msgspec.structs.replace(found, timeline=steps)) for steps in ([], [seen], [seen, mined])]
    assert kept == [SETTLED_MS, WAITING_MS, SETTLED_MS]
    assert keep_ms(msgspec.structs.replace(found, place=None)) == WAITING_MS


@pytest.mark.parametrize(
    ("fate", "kept"),
    [
        ({"spent": False}, WAITING_MS),
        ({"spent": True}, WAITING_MS),  # the Electrum server may not have read the block yet
        ({"spent": True, "spender": Spender(txid="b", vin=0)}, WAITING_MS),
        ({"spent": True, "spender": Spender(txid="b", vin=0, height=1)}, SETTLED_MS),
        ({"kind": "op_return"}, SETTLED_MS),
    ],
)
async def test_what_spends_its_outputs_may_change_with_the_mempool(fate: dict[str, Any], kept: int) -> None:
    output = msgspec.structs.replace(Output(value=1, script="51", kind="p2pkh"), **fate)
    found = Found(
        txid="", wtxid="", version=2, locktime=0, size=1, vsize=1, weight=4, fee=0, coinbase=False,
        inputs=[], outputs=[output], input_count=1, output_count=1, input_value=1, output_value=1,
        place=Place(height=1, hash="a", time=1), tip=Tip(height=1, hash="a", time=1), as_of_ms=1,
    )  # fmt: skip
    assert keep_ms(found) == kept


async def test_it_falls_into_the_first_projected_block_that_takes_less() -> None:
    view = _view(9.0, 3.0, 1.0)
    assert [(placed(view, rate, 0).block, placed(view, rate, 0).last) for rate in (9.0, 5.0, 3.0, 0.5)] == [
        (1, False), (2, False), (2, False), (3, True),
    ]  # fmt: skip
    assert placed(view, 3.0, 0).vsize == 1_500
    assert placed(view, 3.0, 600).vsize == 1_200, "it is not ahead of itself"
    assert placed(_view(), 3.0, 0).block is None
    assert not placed(_view(1.0), 3.0, 0).last, "the only block is the next one"
