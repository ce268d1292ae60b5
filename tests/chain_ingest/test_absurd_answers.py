"""A node, or what stands before it, that answers what cannot be: it is named as the node's failure, and waited out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import zmq

from chain_ingest import app
from chain_ingest.hints import Hints
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.rpc import RpcClient
from support.feed import KEYS, feeding, mempool, tip
from support.spending import build, fan_out, mined_coins, send
from support.stack import until

Answer = dict[str, Any]


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "RETRY_SECONDS", 0.1)


@pytest_asyncio.fixture
async def node(tmp_path: Path) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path / "node") as it:
        coins = await fan_out(it, await mined_coins(it, 1), 4)
        await send(it, [build([coin], [coin.value - 500]) for coin in coins])
        yield it


def result(value: object) -> Callable[[Answer], Answer]:
    return lambda answer: {**answer, "result": value}


def field(name: str, value: object) -> Callable[[Answer], Answer]:
    return lambda answer: {**answer, "result": {**answer["result"], name: value}}


ABSURD: dict[str, tuple[str, Callable[[Answer], Answer]]] = {
    "no-hash": ("getbestblockhash", result(None)),
    "a-short-hash": ("getbestblockhash", result("00")),
    "no-work": ("getblockheader", field("chainwork", "much")),
    "no-bits": ("getblockheader", field("bits", "")),
    "no-header": ("getblockheader", result(None)),
    "other-calls": ("getblockhash", lambda answer: {**answer, "id": 10_000}),
    "not-hexadecimal": ("getrawtransaction", result("zz")),
    "no-transaction": ("getrawtransaction", result("0200")),
    "no-txid": ("getrawmempool", field("txids", ["z" * 64])),
    "no-amount": ("getmempoolinfo", field("total_fee", "NaN")),
    "an-endless-amount": ("getmempoolentry", field("fees", {"base": "Infinity", "ancestor": 0})),
    "a-huge-size": ("getmempoolentry", field("vsize", 10**12)),
    "a-size-below-zero": ("getmempoolentry", field("vsize", -1)),
    "no-parent": ("getmempoolentry", field("depends", ["it"])),
}


@pytest.mark.parametrize("kind", ABSURD)
async def test_an_absurd_answer_is_named_and_waited_out(
    node: RegtestNode, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    method, spoil = ABSURD[kind]
    exchange = RpcClient._exchange

    async def spoilt(rpc: RpcClient, body: bytes) -> tuple[int, bytes]:
        status, raw = await exchange(rpc, body)
        asked, answers = msgspec.json.decode(body), msgspec.json.decode(raw)
        if isinstance(asked, list):
            methods = {one["id"]: one["method"] for one in asked}
            answers = [spoil(one) if methods[one["id"]] == method else one for one in answers]
        elif asked["method"] == method:
            answers = spoil(answers)
        return status, msgspec.json.encode(answers)

    with monkeypatch.context() as patch:
        patch.setattr(RpcClient, "_exchange", spoilt)
        async with feeding(node, valkey) as feed:
            await feed.says("the node")
            assert "node main: " in feed.health.reason
            assert "answer" in feed.health.reason
            patch.undo()
            await feed.agrees()
            assert feed.health.state == "ok"
            assert tip(await feed.entries(KEYS.stream(domains.BLOCKS))) == await node.rpc("getbestblockhash")
            assert mempool(await feed.entries(KEYS.stream(domains.TXS))) == set(await node.rpc("getrawmempool"))


async def test_what_is_no_transaction_is_passed_over_among_the_hints(node: RegtestNode) -> None:
    """Over ZMQ, by the name of one: the node is asked for what is missing."""
    txid: str = (await node.rpc("getrawmempool"))[0]
    raw = bytes.fromhex(await node.rpc("getrawtransaction", txid))
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        url = f"tcp://127.0.0.1:{publisher.bind_to_random_port('tcp://127.0.0.1')}"
        hints = Hints((url,))
        hints.open()
        try:
            for _ in range(2):  # a subscription to each topic
                assert await asyncio.to_thread(publisher.poll, 5_000)
                publisher.recv()
            bodies = [b"", b"\x02\x00", raw[:-1], raw]
            for number, body in enumerate(bodies):
                publisher.send_multipart([b"rawtx", body, number.to_bytes(4, "little")])
            publisher.send_multipart([b"sequence", bytes.fromhex(txid) + b"A" + bytes(8), bytes(4)])

            async def come() -> bool:
                await hints.wait(0.1)
                return hints.pending

            await until(come, 5, "the hints have come")
            found = hints.transaction(txid)
            assert found is not None
            assert found.txid == txid
        finally:
            hints.close()
