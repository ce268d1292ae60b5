"""A block is known by its coinbase: the node tells the transactions of a block first, and that it is there last."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zmq

from chain_ingest import follow, hints
from chain_ingest.app import run
from chain_ingest.hints import Hint, Hints
from chain_ingest.transaction import is_coinbase
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import redis
from support import spending
from support.feed import newest
from support.ledger import running
from support.lossy_zmq import LossyZmq
from support.spending import mine
from support.stack import until

COINBASE = bytes.fromhex(spending.build([spending.Coin("00" * 32, 0xFFFFFFFF, 0)], [50]).raw)
OTHERS = [bytes.fromhex(spending.build([spending.Coin(f"{at:064x}", 0, 0)], [50]).raw) for at in range(1, 4)]
BLOCK = "ab" * 32


async def test_a_block_is_published_before_the_node_says_that_it_is_there(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RegtestNode(tmp_path / "node") as node, LossyZmq(node.zmq_url) as between:
        await mine(node, 2)
        between.loses = lambda frames: frames[0] == b"sequence" and frames[1][32:33] == b"C"
        async with running(valkey.url, run, "chain-ingest", **{**node.env(), "MAIN_ZMQ_URLS": between.url}) as it:

            async def follows() -> bool:
                return await newest(client) == 2 and it.health.state == "ok"

            await until(follows, 20, "the node is followed")
            for name in ("PULSE_SECONDS", "COMPARE_SECONDS"):  # from its next look on nothing else tells of a block
                monkeypatch.setattr(follow, name, 60.0)

            async def by_hint() -> bool:
                await mine(node)
                height = int(await node.rpc("getblockcount"))

                async def there() -> bool:
                    return await newest(client) == height

                await until(there, 20, "the block is published")
                return height >= 6

            await until(by_hint, 60, "four blocks are published")
        assert len(between.lost) >= 4


@contextlib.asynccontextmanager
async def subscribed(more: tuple[str, ...] = ()) -> AsyncIterator[tuple[Hints, zmq.Socket[bytes]]]:
    """Hints of a publisher that says what the test says."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        url = f"tcp://127.0.0.1:{publisher.bind_to_random_port('tcp://127.0.0.1')}"
        found = Hints((url, *more))
        found.open()
        try:
            for _ in range(2):  # a subscription to each topic
                assert await asyncio.to_thread(publisher.poll, 5_000)
                publisher.recv()
            yield found, publisher
        finally:
            found.close()


def send(publisher: zmq.Socket[bytes]) -> None:
    """A block, as a node tells of it."""
    for number, body in enumerate((COINBASE, *OTHERS)):
        publisher.send_multipart([b"rawtx", body, number.to_bytes(4, "little")])
    publisher.send_multipart([b"sequence", bytes.fromhex(BLOCK) + b"C", bytes(4)])


async def come(found: Hints) -> list[Hint]:
    """The next hints."""

    async def there() -> bool:
        await found.wait(0.05)
        return found.pending

    await until(there, 5, "hints have come")
    return found.take(10)


async def test_what_follows_the_coinbase_waits_until_somebody_does() -> None:
    async with subscribed() as (found, publisher):
        send(publisher)
        assert await come(found) == [Hint("B", "", -1)]
        assert not found.pending
        assert await come(found) == [Hint("C", BLOCK, -1)]


async def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is busy for long must not let messages gather without a bound."""
    monkeypatch.setattr(hints, "PAUSE_SECONDS", 0.05)
    async with subscribed() as (found, publisher):
        send(publisher)
        assert await come(found) == [Hint("B", "", -1)]

        async def goes_on() -> bool:
            return found.pending  # and nobody waits

        await until(goes_on, 5, "what follows is read")
        assert found.take(10) == [Hint("C", BLOCK, -1)]


async def test_where_topics_come_from_several_addresses_their_order_is_not_known() -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as other:
        url = f"tcp://127.0.0.1:{other.bind_to_random_port('tcp://127.0.0.1')}"
        async with subscribed((url,)) as (found, publisher):
            send(publisher)
            assert await come(found) == [Hint("C", BLOCK, -1)]


@pytest.mark.parametrize("raw", [b"", b"\x02", COINBASE[:20], *OTHERS, bytes(100)])
def test_nothing_else_is_taken_for_a_coinbase(raw: bytes) -> None:
    assert is_coinbase(COINBASE)
    assert is_coinbase(COINBASE[:4] + COINBASE[6:])  # as before witnesses
    assert not is_coinbase(raw)
