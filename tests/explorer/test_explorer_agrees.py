"""Every figure that web shows of transactions, addresses and wallets is the node's, whatever happens to the chain.

A real node, a real ElectrumX, and transactions of all script types made at random: waiting, replaced, mined, thrown
back by a reorganisation, in conflict with another branch, mined again. What the node says is added up by
support.books, which shares nothing with the explorer. The same again without an Electrum server, where what cannot be
known is said to be unknown. A failure names the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

import chain_ingest.app
import chain_metrics.app
import explorer.app
from explorer.address import scan
from explorer.electrum.client import Electrum
from explorer.electrum.script import Script
from explorer.transaction.spenders import CANDIDATES, OUTPUTS
from local_run.electrumx import Credentials, ElectrumX
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.domains import TIMELINE
from shared.events.lookups import AddressWanted, Asked, BlockWanted, TxWanted
from shared.lookups import address, block, transaction
from shared.lookups.wallet import Found as FoundWallet
from shared.tasks import together
from support import books as bookkeeping
from support import electrum_script
from support.books import KINDS, Books, Move, satoshi
from support.each import each
from support.electrumx import needs_electrumx
from support.every_kind import WALLET, Coin, EveryKind
from support.explored import KEYS
from support.figures_shown import btc, card, change, close, digits, ends, facts, rows
from support.ledger import running
from support.oracle import effective_rates
from support.stack import until
from support.wallets import SECRET
from support.web_harness import Running, serving
from web.lookups.asking import Pending

PATIENCE = 60.0
"""Seconds until a page must be right, on a machine that has other work; what waits is kept for five."""

AT_ONCE = 4


class Dashboard(NamedTuple):
    """The explorer and web over one Redis."""

    site: Running
    session: aiohttp.ClientSession
    client: redis.Client
    electrum: bool
    esplora: list[bool]
    """Whether Esplora's documents are looked at as well, [0]."""

    async def page(self, path: str, status: int = 200) -> str:
        async with self.session.get(path) as response:
            body = await response.text()
            assert response.status == status, (path, response.status, body[-3_000:])
            return body

    async def json(self, path: str) -> Any:
        async with self.session.get(path) as response:
            assert response.status == 200, (path, response.status, await response.text())
            return await response.json()

    async def tx(self, txid: str) -> Any:
        return await self._ask(f"tx:{txid}:0", TxWanted(txid=txid), transaction.Answer)

    async def block(self, block_hash: str, page: int) -> Any:
        wanted = BlockWanted(hash=block_hash, page=page)
        return await self._ask(f"block:{block_hash}:{page}:position", wanted, block.Answer)

    async def address(self, script: str, page: int, coins: int) -> Any:
        name = Script.of(bytes.fromhex(script)).hash
        wanted = AddressWanted(script=script, page=page, coins=coins)
        return await self._ask(f"address:{name}:{page}:{coins}", wanted, address.Answer)

    async def _ask(self, question: str, wanted: Asked, kind: Any) -> Any:
        try:
            return (await self.site.site.lookups.ask(question, wanted, kind)).answer
        except Pending:
            raise AssertionError(f"{question} is not answered yet") from None

    async def wallet(self, handle: str, page: int = 0, coins: int = 0) -> FoundWallet:
        looked = await self.site.site._wallets.look(handle, gap=20, page=page, coins=coins, client="test")
        assert isinstance(looked.answer, FoundWallet), looked
        assert looked.answer.complete
        return looked.answer


@contextlib.asynccontextmanager
async def dashboard(folder: Path, node: RegtestNode, electrum_url: str) -> AsyncIterator[Dashboard]:
    """Without an Electrum server where no URL of one is given."""
    more = {"MAIN_ELECTRUM_URL": electrum_url} if electrum_url else {}
    env = {**node.env(), "WALLET_SECRET": SECRET, **more}
    async with (
        EmbeddedValkey(folder) as valkey,
        running(valkey.url, chain_ingest.app.run, "chain-ingest", **node.env()),
        running(valkey.url, chain_metrics.app.run, "chain-metrics", **node.env()),
        running(valkey.url, explorer.app.run, "explorer", **env),
        serving(valkey.url, network="regtest", wallet_secret=SECRET) as site,
        aiohttp.ClientSession(site.url, timeout=aiohttp.ClientTimeout(total=30)) as session,
    ):
        client = redis.connect(valkey.url)
        await until(lambda: client.hexists(KEYS.state(TIMELINE), "meta"), 20, "the timeline has begun")
        yield Dashboard(site, session, client, bool(electrum_url), [True])
        await client.aclose()


async def eventually(right: Callable[[], Awaitable[None]]) -> None:
    """Fails with what is still wrong at the end."""
    until_then = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            return await right()
        except AssertionError:
            if asyncio.get_running_loop().time() > until_then:
                raise
        await asyncio.sleep(0.2)


async def all_right(checks: Iterable[Callable[[], Awaitable[None]]]) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(check: Callable[[], Awaitable[None]]) -> None:
        async with turn:
            await eventually(check)

    async with asyncio.TaskGroup() as group:
        for check in checks:
            group.create_task(one(check))


# --- transactions --------------------------------------------------------------------------------------


def coin_of(out: dict[str, Any]) -> tuple[Any, ...]:
    script = out["scriptPubKey"]
    return satoshi(out["value"]), script["hex"], KINDS[script["type"]], script.get("address")


async def transaction_is_right(world: World, at: Dashboard, books: Books, txid: str) -> None:
    """The answer, the page and Esplora's JSON of one that is in a block or waits."""
    found = await at.tx(txid)
    assert isinstance(found, transaction.Found), found
    assert (found.tip.height, found.tip.hash) == (books.tip["height"], books.tip["hash"])
    raw = await world.node.rpc("getrawtransaction", txid, 2)
    where, entry = books.where.get(txid), books.entries.get(txid)
    spends = [books.coin(one["txid"], one["vout"]) for one in raw["vin"] if "txid" in one]
    paid_in, paid_out = (sum(satoshi(one["value"]) for one in coins) for coins in (spends, raw["vout"]))
    fee = satoshi(raw["fee"] if entry is None else entry["fees"]["base"])
    assert fee == paid_in - paid_out
    if entry is not None:
        assert entry == await world.node.rpc("getmempoolentry", txid)
    told = (found.wtxid, found.version, found.locktime, found.size, found.vsize, found.weight)
    assert told == tuple(raw[name] for name in ("hash", "version", "locktime", "size", "vsize", "weight"))
    assert (found.fee, found.input_value, found.output_value) == (fee, paid_in, paid_out)
    assert (found.input_count, found.output_count) == (len(raw["vin"]), len(raw["vout"]))
    assert [(one.txid, one.vout, one.sequence, one.script_sig, one.witness) for one in found.inputs] == [
        (one["txid"], one["vout"], one["sequence"], one["scriptSig"]["hex"], one.get("txinwitness", []))
        for one in raw["vin"]
    ]
    shown = [one.coin and (one.coin.value, one.coin.script, one.coin.kind, one.coin.address) for one in found.inputs]
    assert shown == [coin_of(one) for one in spends]
    assert [(one.value, one.script, one.kind, one.address) for one in found.outputs] == list(map(coin_of, raw["vout"]))
    place = found.place and (found.place.height, found.place.hash, found.place.time, found.place.position)
    assert place == (where and (where.height, where.hash, where.time, where.position))
    if entry is None:
        assert (found.waiting, found.chance, found.ahead) == (None, None, None)
    else:
        waiting = found.waiting
        assert waiting is not None
        assert (waiting.time, waiting.replaceable) == (entry["time"], entry["bip125-replaceable"])
        assert (waiting.ancestor_count + 1, waiting.ancestor_vsize) == (entry["ancestorcount"], entry["ancestorsize"])
        assert (waiting.descendant_count + 1, waiting.descendant_vsize) == (
            entry["descendantcount"], entry["descendantsize"]
        )  # fmt: skip
        assert waiting.ancestor_fee == satoshi(entry["fees"]["ancestor"])
        assert waiting.descendant_fee == satoshi(entry["fees"]["descendant"])
        assert waiting.rate == pytest.approx(world.rates[txid][2])
    spent_ones = spenders_are_right(found, books, at)
    page_of_transaction_is_right(await at.page(f"/tx/{txid}"), found, books, fee, spent_ones)
    if not at.esplora[0]:
        return
    said = await at.json(f"/api/tx/{txid}")
    assert (said["fee"], said["size"], said["weight"], said["version"]) == (
        fee,
        *(raw[n] for n in ("size", "weight", "version")),
    )
    assert said["status"] == (
        {"confirmed": False}
        if where is None
        else {"confirmed": True, "block_height": where.height, "block_hash": where.hash, "block_time": where.time}
    )
    assert [(one["value"], one["scriptpubkey"]) for one in said["vout"]] == [coin_of(one)[:2] for one in raw["vout"]]
    assert [(one["prevout"]["value"], one["prevout"]["scriptpubkey"]) for one in said["vin"]] == [
        coin_of(one)[:2] for one in spends
    ]


def spenders_are_right(found: transaction.Found, books: Books, at: Dashboard) -> list[tuple[Any, ...] | None]:
    """What spends each output, (txid, input, height) as far as it can be known; None: nothing does."""
    expected: list[tuple[Any, ...] | None] = []
    for vout, one in enumerate(found.outputs):
        spender = books.spender.get((found.txid, vout))
        if one.kind == "op_return":
            assert (one.spent, one.spender) == (None, None)
            expected.append(None)
            continue
        assert one.spent is (spender is not None), (found.txid, vout, one, spender)
        told = one.spender and (one.spender.txid, one.spender.vin, one.spender.height)
        if spender is None:
            assert told is None
            expected.append(None)
            continue
        where = books.where.get(spender[0])
        whole = (*spender, where and where.height)
        if where is not None and told is None:  # Bitcoin Core does not tell it
            assert not at.electrum or too_many(found, books), (found.txid, vout)
            expected.append(())
            continue
        assert told == whole
        expected.append(whole)
    return expected


def too_many(found: transaction.Found, books: Books) -> bool:
    """Whether more was spent, or by more transactions, than the explorer looks through."""
    spent = [one.script for one in found.outputs if one.spent]
    moves = {move.txid for script in spent for move in books.moves(script) if move.where is not None}
    return len(spent) > OUTPUTS or len(moves) > CANDIDATES


def page_of_transaction_is_right(
    html: str, found: transaction.Found, books: Books, fee: int, spent_ones: list[tuple[Any, ...] | None]
) -> None:
    shown, where = facts(card(html, "summary")), books.where.get(found.txid)
    if where is None:
        assert shown["Status"] == "waits in the mempool"
        assert "Block" not in shown
        entry = books.entries[found.txid]
        assert shown["Replaceable"] == ("yes, it says so" if entry["bip125-replaceable"] else "it does not say so")
        rate = None if found.waiting is None else found.waiting.rate
        assert rate is not None
        apart = abs(rate - fee / found.vsize) > 0.01
        assert ("Effective feerate" in shown) is apart
        assert not apart or close(shown["Effective feerate"], rate)
    else:
        count = books.tip["height"] - where.height + 1
        assert shown["Status"] == f"{count:,} confirmation{'s' * (count != 1)}"
        assert shown["Block"] == f"{where.height:,} number {where.position:,} in it"
    assert (shown["Fee"], shown["Sum of outputs"]) == (btc(fee), btc(found.output_value))
    assert close(shown["Feerate"], fee * 4 / found.weight)
    assert close(shown["Virtual size"], found.vsize / (1 if found.vsize < 1_000 else 1_000))
    assert close(shown["Size"], found.size / (1 if found.size < 1_000 else 1_000))
    assert (shown["Weight"], shown["Version"]) == (f"{found.weight:,} WU", str(found.version))
    lock = found.locktime
    assert shown["Locktime"] == ("none" if not lock else f"block {lock}" if lock == 7 else "13 Sep 2020, 12:26 UTC")
    inputs, outputs = ends(html, "input"), ends(html, "output")
    assert (list(inputs), list(outputs)) == (list(range(len(found.inputs))), list(range(len(found.outputs))))
    for number, one in inputs.items():
        spends = found.inputs[number]
        assert spends.coin is not None
        assert btc(spends.coin.value) in one.text
        assert one.links == [
            f"/address/{spends.coin.address or spends.coin.script}",
            f"/tx/{spends.txid}#output-{spends.vout}",
        ]
    for number, one in outputs.items():
        out, spender = found.outputs[number], spent_ones[number]
        assert btc(out.value) in one.text
        if out.kind == "op_return":
            assert "cannot be spent" in one.text
            assert one.links == []
            continue
        assert one.links[0] == f"/address/{out.address or out.script}"
        if spender is None:
            assert "unspent" in one.text
        elif not spender:
            assert "spent, by whom is not known here" in one.text
        else:
            txid, vin, height = spender
            assert one.links[1] == f"/tx/{txid}#input-{vin}"
            assert (f"in block {height:,}" if height is not None else "in the mempool") in one.text


async def gone_is_right(at: Dashboard, txid: str, by: str | None) -> None:
    """One that is neither in the mempool nor in the chain."""
    found = await at.tx(txid)
    assert isinstance(found, transaction.Gone), found
    last = found.timeline[-1]
    assert last.what in ("replaced", "conflict"), found.timeline
    assert by is None or last.by == by
    html = await at.page(f"/tx/{txid}")
    assert ("Another transaction went in its place" if last.what == "replaced" else "A block has another") in html
    assert by is None or f'href="/tx/{by}"' in html
    async with at.session.get(f"/api/tx/{txid}") as response:
        assert response.status == 404, "Esplora knows none that is gone"


async def orphan_is_right(at: Dashboard, txid: str) -> None:
    """One whose block was disconnected, and which another branch has made impossible; the index still has it."""
    found = await at.tx(txid)
    assert isinstance(found, transaction.Found), found
    assert found.place is not None
    assert not found.place.best
    assert found.waiting is None
    assert not [one for one in found.outputs if one.spent], "what is not there is not spent"
    html = await at.page(f"/tx/{txid}")
    assert facts(card(html, "summary"))["Status"] == "in a block that is not in the best chain any more"
    # The block may come before anybody saw it wait again; and the one before, before anybody saw it wait at all.
    untold = [step.what for step in found.timeline] in ([], ["seen"])
    assert untold or found.timeline[-1].what in ("disconnected", "conflict"), found.timeline
    assert (await at.json(f"/api/tx/{txid}"))["status"] == {"confirmed": False}


# --- blocks --------------------------------------------------------------------------------------------


async def block_is_right(world: World, at: Dashboard, books: Books, block_hash: str) -> None:
    """The answer and the page of a block, all pages of its transactions."""
    found = await at.block(block_hash, 0)
    assert isinstance(found, block.Found), found
    raw = await world.node.rpc("getblock", block_hash, 2)
    assert (found.tip.height, found.tip.hash) == (books.tip["height"], books.tip["hash"])
    assert found.best is (raw["confirmations"] > 0)
    told = (found.height, found.time, found.median_time, found.version, found.bits, found.nonce, found.difficulty)
    named = ("height", "time", "mediantime", "version", "bits", "nonce", "difficulty")
    assert told == tuple(raw[name] for name in named)
    linked = (found.prev_hash, found.next_hash, found.merkle_root, found.chainwork)
    assert linked == (raw["previousblockhash"], raw.get("nextblockhash"), raw["merkleroot"], raw["chainwork"])
    sizes = (found.size, found.stripped_size, found.weight, found.tx_count)
    assert sizes == tuple(raw[name] for name in ("size", "strippedsize", "weight", "nTx"))
    stats = await world.node.rpc("getblockstats", block_hash)
    assert (found.fees, found.subsidy, found.output_value) == (
        stats["totalfee"], stats["subsidy"], stats["total_out"]
    )  # fmt: skip
    if found.rates is not None:
        assert [int(rate) for rate in found.rates] == stats["feerate_percentiles"]  # the node cuts decimals off
    assert (found.rates is None) is (found.tx_count == 1)
    html = await at.page(f"/block/{block_hash}")
    listed, tables = list(found.transactions), rows(card(html, "transactions"))
    for page in range(1, -(-found.tx_count // block.PAGE)):
        more = await at.block(block_hash, page)
        listed += more.transactions
        tables |= rows(card(await at.page(f"/block/{block_hash}?page={page}"), "transactions"))
    assert list(tables) == [one.txid for one in listed] == [one["txid"] for one in raw["tx"]]
    for position, (one, its) in enumerate(zip(listed, raw["tx"], strict=True)):
        value, fee = sum(satoshi(out["value"]) for out in its["vout"]), satoshi(its["fee"]) if position else None
        assert (one.position, one.value, one.fee) == (position, value, fee)
        assert (one.vsize, one.weight) == (its["vsize"], its["weight"])
        assert (one.inputs, one.outputs) == (len(its["vin"]), len(its["vout"]))
        row = tables[one.txid]
        assert (row["Number"], row["Weight"]) == (f"{position:,}", f"{one.weight:,}")
        assert row["Outputs"] == digits(value)
        assert row["Fee"] == ("coinbase" if fee is None else digits(fee))
        assert row["Feerate"] == "–" if fee is None else close(row["Feerate"], fee * 4 / one.weight)  # noqa: RUF001 - as the page has it
    shown = facts(card(html, "summary"))
    assert shown.get("Confirmations") == (f"{raw['confirmations']:,}" if found.best else None)
    assert (shown["Transactions"], shown["Weight"].partition(" ")[0]) == (f"{raw['nTx']:,}", f"{raw['weight']:,}")
    assert (shown["Subsidy"], shown["Fees"]) == (btc(stats["subsidy"]), btc(stats["totalfee"]))
    assert shown["Sum of outputs"].startswith(f"{btc(stats['total_out'])} ")
    assert found.rates is None or close(shown["Median feerate"], found.rates[2])


# --- addresses -----------------------------------------------------------------------------------------


async def address_is_right(at: Dashboard, books: Books, script: str) -> None:
    """The answer, the page and Esplora's JSON of a script."""
    moves, unspent = books.moves(script), books.unspent(script)
    mined = [move for move in moves if move.where is not None]
    waits = {move.txid: move for move in moves if move.where is None}
    confirmed, unconfirmed = sum(one.change for one in mined), sum(one.change for one in waits.values())
    found = await at.address(script, 0, 0)
    assert isinstance(found, address.Found), found
    assert found.confirmed == confirmed
    assert (found.tip.height, found.tip.hash) == (books.tip["height"], books.tip["hash"])
    if at.electrum:
        assert (found.unconfirmed, found.tx_count, found.waiting_count) == (unconfirmed, len(mined), len(waits))
        assert found.coin_count == len(unspent)
    html = await at.page(f"/address/{found.address or script}")
    summary = card(html, "summary")
    shown = facts(summary)
    assert f"{btc(confirmed)} confirmed" in bare(summary)
    if not at.electrum:
        assert found.unconfirmed is None
        assert (found.received, found.sent, found.tx_count, found.history, found.points) == (None,) * 5
        named = ("Unconfirmed", "Received", "Sent", "Transactions")
        assert [shown[name] for name in named] == ["unknown"] * 4
        assert "unknown: nobody can tell it here" in bare(card(html, "history"))
        standing = confirmed_coins(books, script)
        assert {(one.txid, one.vout, one.value, one.height) for one in found.coins} <= standing
        assert found.coin_count == len(standing)
        assert shown["Unspent outputs"] == f"{len(standing):,}"
        async with at.session.get(f"/api/address/{found.address}") as response:
            assert found.address is None or response.status == 503, "what nobody can tell is no zero"
        return
    assert shown["Unconfirmed"] == (change(unconfirmed) if unconfirmed else "none")
    received, sent = (sum(sum(getattr(one, side)) for one in mined) for side in ("paid", "took"))
    assert (found.received, found.sent) == (received, sent)
    assert (shown["Received"], shown["Sent"]) == (btc(received), btc(sent))
    assert shown["Transactions"] == f"{len(mined):,}" + (f" and {len(waits):,} waiting" if waits else "")
    assert shown["Unspent outputs"] == f"{len(unspent):,}"
    await history_is_right(at, found, html, mined, waits)
    await coins_are_right(at, found, html, unspent)
    if at.esplora[0] and found.address is not None:
        said = await at.json(f"/api/address/{found.address}")
        for name, some in (("chain_stats", mined), ("mempool_stats", list(waits.values()))):
            assert said[name] == {
                "funded_txo_count": sum(len(one.paid) for one in some),
                "funded_txo_sum": sum(sum(one.paid) for one in some),
                "spent_txo_count": sum(len(one.took) for one in some),
                "spent_txo_sum": sum(sum(one.took) for one in some),
                "tx_count": len(some),
            }


def bare(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).replace("&nbsp;", " ").split())


def confirmed_coins(books: Books, script: str) -> set[tuple[str, int, int, int]]:
    """Unspent as the chain alone has it."""
    found = set()
    for move in books.moves(script):
        if move.where is None:
            continue
        for out in books.transactions[move.txid]["vout"]:
            spender = books.spender.get((move.txid, out["n"]))
            if out["scriptPubKey"]["hex"] == script and (spender is None or spender[0] not in books.where):
                found.add((move.txid, out["n"], satoshi(out["value"]), move.where.height))
    return found


async def history_is_right(
    at: Dashboard, found: address.Found, html: str, mined: list[Move], waits: dict[str, Move]
) -> None:
    """All pages of it: newest first, with the balance after each."""
    entries, tables, page = list(found.history or ()), dict(rows(card(html, "history"))), 0
    while len(entries) < len(mined) + len(waits):
        page += 1
        more = await at.address(found.script, page, 0)
        assert more.history, "a page is missing"
        entries += more.history
        tables |= rows(card(await at.page(f"/address/{found.address or found.script}?page={page}"), "history"))
    assert {one.txid for one in entries[: len(waits)]} == set(waits)
    assert [one.txid for one in entries[len(waits) :]] == [one.txid for one in mined][::-1]
    assert list(tables) == [one.txid for one in entries]
    known, balance = {one.txid: one for one in mined} | waits, 0
    for entry in entries[::-1]:
        move, row = known[entry.txid], tables[entry.txid]
        balance += move.change
        assert balance >= 0, "what waits stands behind what it spends"
        assert (entry.change, entry.balance) == (move.change, balance)
        assert (row["Change"], row["Balance"]) == (change(move.change, digits), digits(balance))
        assert entry.height == (move.where and move.where.height)
        assert move.where is None or entry.time == move.where.time
        when = row["Time (UTC)"]
        assert (f"block {move.where.height:,}" if move.where else "waits in the mempool") in when


async def coins_are_right(
    at: Dashboard, found: address.Found, html: str, unspent: set[tuple[str, int, int, int | None]]
) -> None:
    coins, tables, page = list(found.coins), dict(rows(card(html, "coins"))), 0
    while len(coins) < len(unspent):
        page += 1
        more = await at.address(found.script, 0, page)
        assert more.coins, "a page is missing"
        coins += more.coins
        tables |= rows(card(await at.page(f"/address/{found.address or found.script}?coins={page}"), "coins"))
    assert {(one.txid, one.vout, one.value, one.height) for one in coins} == unspent
    assert len(coins) == len(unspent)
    assert [one.value for one in coins] == sorted((one.value for one in coins), reverse=True)
    for one in coins:
        row = tables[f"{one.txid}:{one.vout}"]
        assert row["Value"] == digits(one.value)
        assert row["Block"] == ("waits in the mempool" if one.height is None else f"{one.height:,}")


# --- the wallet ----------------------------------------------------------------------------------------


async def wallet_is_right(world: World, at: Dashboard, books: Books, path: str, orphaned: bool) -> None:
    """The page of all descriptors of the node's wallet."""
    own = world.payer.scripts.values()
    scripts = {script for some in own for script in some}
    listed = {coin[:3] for script in scripts for coin in books.unspent(script)}
    total = sum(value for _, _, value in listed)
    confirmed = sum(value for script in scripts for _, _, value, _ in confirmed_coins(books, script))
    if not orphaned:  # a wallet goes on taking coins for spent by what another branch has made impossible
        balances = (await world.node.rpc("getbalances", wallet=WALLET))["mine"]
        assert total == sum(satoshi(balances[name]) for name in ("trusted", "untrusted_pending", "immature"))
        assert listed == {
            (one["txid"], one["vout"], satoshi(one["amount"]))
            for one in await world.node.rpc("listunspent", 0, wallet=WALLET)
        }
    moved: dict[str, int] = {}
    for script in scripts:
        for move in books.moves(script):
            moved[move.txid] = moved.get(move.txid, 0) + move.change
    handle = path.rpartition("/")[2]
    found = await at.wallet(handle)
    html = await at.page(path)
    shown = facts(html)
    assert found.confirmed == confirmed
    assert btc(confirmed) in bare(card(html, "balance"))
    if not at.electrum:
        assert (found.unconfirmed, found.received, found.sent, found.history, found.tx_count) == (None,) * 5
        assert [shown[name] for name in ("Received", "Sent", "Transactions")] == ["unknown"] * 3
        assert "what waits in the mempool is unknown" in html
        return
    assert found.confirmed + (found.unconfirmed or 0) == total
    assert found.unconfirmed == total - confirmed
    assert found.coin_count == len(listed)
    assert shown["Unspent outputs"] == f"{len(listed):,}"
    coins = list(found.coins)
    for page in range(1, -(-len(listed) // 25)):
        coins += (await at.wallet(handle, coins=page)).coins
    assert {(one.txid, one.vout, one.value) for one in coins} == listed
    history, tables = list(found.history or ()), rows(card(html, "history"))
    for page in range(1, -(-len(moved) // 25)):
        history += (await at.wallet(handle, page=page)).history or []
        tables |= rows(card(await at.page(f"{path}?page={page}"), "history"))
    assert {one.txid: one.change for one in history} == moved
    assert found.tx_count == len(moved) == len(history)
    assert shown["Transactions"] == f"{len(moved):,}"
    balance = 0
    for one in history[::-1]:
        balance += one.change or 0
        assert one.balance == balance
        assert (tables[one.txid]["Change"], tables[one.txid]["Balance"]) == (
            change(one.change or 0, digits),
            digits(balance),
        )
    mined = [value for txid, value in moved.items() if txid in books.where]
    gained, lost = sum(v for v in mined if v > 0), -sum(v for v in mined if v < 0)
    assert (found.received, found.sent) == (gained, lost)
    assert (shown["Received"], shown["Sent"]) == (btc(gained), btc(lost))
    used = [script for script in scripts if books.moves(script)]
    assert found.used_count == len(used)
    for it in found.used:
        assert it.balance == sum(move.change for move in books.moves(it.script) if move.where is not None)
        assert it.tx_count == len(books.moves(it.script))


# --- the course of things ------------------------------------------------------------------------------


class World:
    """A node with an ElectrumX, whoever pays, and two dashboards: with that server and without."""

    def __init__(
        self, node: RegtestNode, payer: EveryKind, electrum: Electrum, both: list[Dashboard], full: bool
    ) -> None:
        self.full = full
        self.node = node
        self.payer = payer
        self.both = both
        self._electrum = electrum
        self.rates: dict[str, tuple[int, int, float]] = {}
        """txid -> what it pays, its virtual size, and the feerate at which it is mined, of all that waits."""
        self._blocks: dict[str, dict[str, Any]] = {}
        self._first = 0  # blocks up to here are of the beginning
        self._wallets: dict[bool, str] = {}

    async def all_is_right(
        self,
        also: Iterable[str] = (),
        gone: Iterable[tuple[str, str | None]] = (),
        *,
        orphaned: bool = False,
        briefly: bool = False,
    ) -> Books:
        """Every page of what was made, and of whatever it paid; `gone` is (txid, what went in its place).

        `orphaned`: some of it was in a block of another branch, and is in conflict with this one. `briefly`: without
        Esplora's documents and without the dashboard that has no Electrum server, unless all is to be looked at.
        """
        books = await bookkeeping.read(self.node, self._blocks)
        self.rates = await effective_rates(self.node)
        scripts = {script for made in self.payer.made.values() for _, script in made.pays}
        await self._scan_agrees(books, scripts)
        await self._caught_up(books, scripts)
        there = [txid for txid in (*self.payer.made, *also) if txid in books.transactions]
        away = [txid for txid in self.payer.made if txid not in books.transactions]
        assert bool(away) == orphaned
        self._first = self._first or books.tip["height"]
        blocks = [one for one, it in self._blocks.items() if it["height"] >= self._first]  # orphaned ones, too
        spendable = [one for one in scripts if not one.startswith("6a")]
        briefly = briefly and not self.full
        for at in self.both[: 1 if briefly else 2]:
            at.esplora[0] = not briefly
            async for key in at.client.scan_iter(match="{regtest:explorer}:scanned:*"):
                await at.client.delete(key)  # what a scan found is shown for ten minutes, with its block named
            checks: list[Callable[[], Awaitable[None]]] = []
            checks += [lambda one=one, at=at: transaction_is_right(self, at, books, one) for one in there]  # type: ignore[misc]  # of the loop
            checks += [lambda one=one, at=at: address_is_right(at, books, one) for one in spendable]  # type: ignore[misc]  # as above
            checks += [lambda one=one, at=at: block_is_right(self, at, books, one) for one in blocks]  # type: ignore[misc]  # as above
            checks += [lambda one=one, at=at: orphan_is_right(at, one) for one in away]  # type: ignore[misc]  # as above
            checks += [lambda one=one, at=at: gone_is_right(at, *one) for one in gone]  # type: ignore[misc]  # as above
            await all_right(checks)
            path = await self._wallet(at)
            await eventually(lambda at=at, path=path: wallet_is_right(self, at, books, path, orphaned))  # type: ignore[misc]  # as above
        again = await bookkeeping.read(self.node, self._blocks)
        assert (again.tip, set(again.entries)) == (books.tip, set(books.entries)), "the test has held still"
        return books

    async def _wallet(self, at: Dashboard) -> str:
        if not at.electrum or at.electrum not in self._wallets:  # what a scan found is shown for ten minutes
            text = "\n".join(self.payer.descriptors)
            async with at.session.post("/wallet", data={"wallet": text}, allow_redirects=False) as response:
                assert response.status == 303, await response.text()
                self._wallets[at.electrum] = response.headers["Location"]
        return self._wallets[at.electrum]

    async def _scan_agrees(self, books: Books, scripts: set[str]) -> None:
        """The books are the node's: by its own scan of all coins."""
        told = await self.node.rpc("scantxoutset", "start", [f"raw({script})" for script in scripts])
        theirs = {
            (one["txid"], one["vout"], satoshi(one["amount"]), one["height"], one["scriptPubKey"])
            for one in told["unspents"]
        }
        ours = {(*coin, one) for one in scripts for coin in confirmed_coins(books, one) if not one.startswith("6a")}
        assert ours == theirs

    async def _caught_up(self, books: Books, scripts: set[str]) -> None:
        """Once ElectrumX has read what the node has."""
        left = [one for one in scripts if not one.startswith("6a")]

        async def same() -> bool:
            if (await self._electrum.tip()).height != books.tip["height"]:
                return False
            left[:] = [one for one, right in zip(left, await together(*map(told, left)), strict=True) if not right]
            return not left

        async def told(script: str) -> bool:
            wanted = {(move.txid, move.where.height if move.where else 0) for move in books.moves(script)}
            history = await self._electrum.history(Script.of(bytes.fromhex(script)))
            return {(one.txid, max(0, one.height)) for one in history} == wanted

        await until(same, 30, "ElectrumX has what the node has")


@contextlib.asynccontextmanager
async def made(folder: Path, seed: int, each_kind: int) -> AsyncIterator[World]:
    await needs_electrumx()
    asks = Credentials.new()
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(RegtestNode(folder / "node", extra=[asks.argument, "-txindex=1"]))
        await node.rpc("createwallet", "w")
        mining = await node.rpc("getnewaddress", wallet="w")
        await node.rpc("generatetoaddress", 106, mining)
        payer = EveryKind(node, seed, each_kind, mining)
        funds = await node.rpc("listunspent", wallet="w")
        await payer.open([Coin(one["txid"], one["vout"], satoshi(one["amount"])) for one in funds], "w")
        await node.rpc("generatetoaddress", 1, mining)
        payer.mined()
        server = await stack.enter_async_context(ElectrumX(folder / "electrumx", node, asks))
        url = server.url()
        both = [
            await stack.enter_async_context(dashboard(folder / f"valkey-{at}", node, one))
            for at, one in enumerate((url, ""))
        ]
        assert server.listening.tcp
        plain = electrum_script.node("main", server.listening.tcp)
        electrum = await stack.enter_async_context(electrum_script.running([plain]))
        yield World(node, payer, electrum, both, each_kind > 4)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [24, pytest.param(500, marks=[pytest.mark.full, pytest.mark.timeout(3_600)])])
async def test_every_figure_is_the_nodes_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(scan, "LOOK_SECONDS", 0.01)  # there are many scans, and each is over at once
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    async with made(tmp_path, seed, 2 if count < 100 else 9) as world:
        node, payer = world.node, world.payer
        mining = await node.rpc("getnewaddress", wallet="w")
        # they wait, some already replaced
        await payer.make(count * 6 // 10)
        books = await world.all_is_right()
        assert books.entries, "some wait"
        # replaced, after they were looked at
        before = dict(payer.replaced)
        while len(payer.replaced) < len(before) + 3:
            await payer.replace()
        fresh = {txid: by for txid, by in payer.replaced.items() if txid not in before}
        books = await world.all_is_right(
            gone=[(one, by if by in payer.made else None) for one, by in fresh.items()], briefly=True
        )
        assert each(txid not in books.transactions for txid in fresh)
        # mined, and others behind them
        await node.rpc("generatetoaddress", 1, mining)
        payer.mined()
        await payer.make(count * 4 // 10)
        while not (
            first := [one for one, it in payer.old.items() if one not in fresh and it.alone and one not in before]
        ):
            await payer.replace()
        [newer, _] = await node.rpc("generatetoaddress", 2, mining)
        payer.mined()
        books = await world.all_is_right()
        assert not books.entries
        # another branch has one that was replaced, and nothing else: the others wait again, or can never be mined
        await node.rpc("invalidateblock", newer)
        await node.rpc("generateblock", mining, [payer.old[first[0]].raw])
        for _ in range(2):
            await node.rpc("generateblock", mining, [])
        books = await world.all_is_right(also=first[:1], orphaned=True, briefly=True)
        assert books.entries
        assert first[0] in books.where
        # and are mined again
        await node.rpc("generatetoaddress", 1, mining)
        books = await world.all_is_right(also=first[:1], orphaned=True, briefly=True)
        assert not books.entries
        assert not payer.due, "each way of paying was gone"
        assert payer.spent == payer.scripts.keys(), "each kind of script was spent from"
