from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from local_run.generator import Generator, Pace
from local_run.mining import mine
from local_run.node import RegtestNode
from local_run.payments import MAX_FEE_RATE, NoCoins, Payments
from local_run.wallets import Wallets
from shared.errors import RpcRefused, RpcUnreachable
from support.stack import until

from .conftest import BLOCKS


class Paying(NamedTuple):
    node: RegtestNode
    payments: Payments


FAST = Pace(payment=0.005, block=0.3, shortest_block=0.2, longest_block=0.5)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_run.generator._RETRY_SECONDS", 0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def paying(short_history: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Paying]:
    """The node of all tests that only pay."""
    folder = tmp_path_factory.mktemp("paying") / "node"
    shutil.copytree(short_history, folder)
    chance = random.Random(11)
    async with RegtestNode(folder) as node:
        wallets = Wallets(node, chance)
        await wallets.open()
        yield Paying(node, Payments(wallets, chance))


@pytest_asyncio.fixture(loop_scope="module")
async def payments(paying: Paying) -> Payments:
    """Nothing waits on their node."""
    node, payments = paying
    while await node.rpc("getrawmempool"):
        await mine(node, await payments._wallets.mining_script(), "/t/")
    await payments.block_mined()
    return payments


@pytest_asyncio.fixture(loop_scope="module")
async def payer(paying: Paying, payments: Payments) -> RegtestNode:
    """Their node."""
    return paying.node


async def mempool(node: RegtestNode) -> dict[str, Any]:
    answer: dict[str, Any] = await node.rpc("getrawmempool", True)
    return answer


def fee_rate(entry: dict[str, Any]) -> float:
    return float(entry["fees"]["base"]) * 1e8 / int(entry["vsize"])


async def decoded(node: RegtestNode) -> list[dict[str, Any]]:
    return [await node.rpc("getrawtransaction", txid, 1) for txid in await node.rpc("getrawmempool")]


@pytest.mark.asyncio(loop_scope="module")
async def test_payments_of_every_script_type_feerate_and_size(payer: RegtestNode, payments: Payments) -> None:
    for _ in range(80):
        with contextlib.suppress(NoCoins):
            await payments.payment()
    transactions = await decoded(payer)
    assert len(transactions) > 40
    types = {output["scriptPubKey"]["type"] for transaction in transactions for output in transaction["vout"]}
    assert {"pubkeyhash", "scripthash", "witness_v0_keyhash", "witness_v1_taproot"} <= types
    rates = [fee_rate(entry) for entry in (await mempool(payer)).values()]
    assert 0.9 <= min(rates) < 4
    assert 20 < max(rates) <= MAX_FEE_RATE + 2
    amounts = [output["value"] for transaction in transactions for output in transaction["vout"]]
    assert max(amounts) / min(amounts) > 1000


@pytest.mark.asyncio(loop_scope="module")
async def test_a_batch_has_many_outputs(payer: RegtestNode, payments: Payments) -> None:
    await payments.batch()
    (transaction,) = await decoded(payer)
    assert 6 <= len(transaction["vout"]) <= 41


@pytest.mark.asyncio(loop_scope="module")
async def test_a_replacement_takes_the_place_of_the_first_version(payer: RegtestNode, payments: Payments) -> None:
    await payments.payment()
    ((first, before),) = (await mempool(payer)).items()
    await payments.replacement()
    ((second, after),) = (await mempool(payer)).items()
    assert second != first
    assert fee_rate(after) > fee_rate(before)
    spent = [
        {(coin["txid"], coin["vout"]) for coin in transaction["decoded"]["vin"]}
        for transaction in [
            await payer.rpc("gettransaction", txid, True, True, wallet="spending-1") for txid in (first, second)
        ]
    ]
    assert spent[0] & spent[1]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_child_pays_for_its_parent(payer: RegtestNode, payments: Payments) -> None:
    await payments.child_pays()
    entries = await mempool(payer)
    (parent,) = [entry for entry in entries.values() if not entry["depends"]]
    (child,) = [entry for entry in entries.values() if entry["depends"]]
    assert fee_rate(parent) < 2
    assert fee_rate(child) > 15
    together = child["fees"]["ancestor"] * 1e8 / child["ancestorsize"]
    assert fee_rate(parent) < together < fee_rate(child)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_chain_is_several_generations_deep(payer: RegtestNode, payments: Payments) -> None:
    await payments.chain()
    assert max(entry["ancestorcount"] for entry in (await mempool(payer)).values()) >= 3


@pytest.mark.asyncio(loop_scope="module")
async def test_bytes_beside_a_payment(payer: RegtestNode, payments: Payments) -> None:
    await payments.data()
    (transaction,) = await decoded(payer)
    assert "nulldata" in {output["scriptPubKey"]["type"] for output in transaction["vout"]}


@pytest.mark.asyncio(loop_scope="module")
async def test_every_kind_is_chosen(payments: Payments) -> None:
    made = {await payments.make_one() for _ in range(120)}
    assert {"payment", "batch", "replacement", "child_pays", "chain", "data"} <= made


@pytest.mark.asyncio(loop_scope="module")
async def test_few_coins_are_split_and_many_joined(payer: RegtestNode, payments: Payments) -> None:
    await payments.tidy(fewest=10_000, most=20_000)
    (transaction,) = await decoded(payer)
    assert len(transaction["vout"]) == 81
    script = await payments._wallets.mining_script()
    await mine(payer, script, "/t/")
    await payments.block_mined()
    await payments.tidy(fewest=10, most=60)
    (transaction,) = await decoded(payer)
    assert (len(transaction["vin"]), len(transaction["vout"])) == (30, 1)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_will_not_pass_is_raised(payer: RegtestNode, payments: Payments) -> None:
    await payer.rpc("unloadwallet", "spending-1")
    with pytest.raises(RpcRefused, match="not loaded"):
        await payments.make_one()
    await payer.rpc("loadwallet", "spending-1")


@contextlib.asynccontextmanager
async def living(node: RegtestNode, **options: Any) -> AsyncIterator[list[str]]:
    """A generator at work; yields what it says."""
    said: list[str] = []
    task = asyncio.create_task(Generator(node, chance=random.Random(5), say=said.append, pace=FAST, **options).run())
    try:
        yield said
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def count(node: RegtestNode) -> int:
    try:
        height: int = await node.rpc("getblockcount")
    except RpcUnreachable:
        return -1
    return height


async def transactions_since(node: RegtestNode, height: int) -> int:
    stats = [await node.rpc("getblockstats", at, ["txs"]) for at in range(height + 1, await count(node) + 1)]
    return sum(entry["txs"] - 1 for entry in stats)


async def test_lives_on_through_kill_and_restart_of_the_node(old_chain: RegtestNode) -> None:
    async with living(old_chain) as said:
        await until(lambda: transactions_since(old_chain, BLOCKS), 20, "transactions are mined")
        await old_chain.rpc("gettxoutsetinfo")  # flushes, so that the kill does not undo everything
        await old_chain.kill()

        async def noticed() -> bool:
            return "waiting: the node does not answer" in said

        await until(noticed, 10, "it notices")
        await old_chain.start()
        height = await count(old_chain)
        await until(lambda: transactions_since(old_chain, height), 20, "transactions are mined again")
        assert "transacting again" in said
        assert len([line for line in said if "does not answer" in line]) == 1


async def test_a_second_run_continues_the_chain(old_chain: RegtestNode) -> None:
    async with living(old_chain):
        await until(lambda: transactions_since(old_chain, BLOCKS), 20, "transactions are mined")
    await old_chain.restart()
    height = await count(old_chain)
    assert height > BLOCKS
    async with living(old_chain):
        await until(lambda: transactions_since(old_chain, height), 20, "transactions are mined")


async def test_the_paying_wallet_is_replaced_without_losing_funds(old_chain: RegtestNode) -> None:
    await Wallets(old_chain, random.Random(1)).open()
    before = Decimal(str(await old_chain.rpc("getbalance", wallet="spending-1")))
    async with living(old_chain, wallet_transactions=1) as said:

        async def moved() -> bool:
            return any("spending-3" in line for line in said)

        await until(moved, 30, "the third wallet")
        loaded = await old_chain.rpc("listwallets")
        assert "spending-1" not in loaded
        assert not (old_chain.folder / "regtest" / "wallets" / "spending-1").exists()
    await mine(old_chain, bytes.fromhex("51"), "/t/")
    (wallet,) = [name for name in await old_chain.rpc("listwallets") if name.startswith("spending")]
    after = Decimal(str(await old_chain.rpc("getbalance", wallet=wallet)))
    assert after > before * Decimal("0.999")


async def test_no_funds_at_all_is_no_crash(node: RegtestNode) -> None:
    async with living(node) as said:

        async def mined() -> bool:
            return await count(node) >= 3

        await until(mined, 20, "three blocks")
        assert not [line for line in said if "waiting" in line]
