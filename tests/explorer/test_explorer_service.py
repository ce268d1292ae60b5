"""The explorer as a service: what web asks for is answered, told, and kept for a while."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from explorer.app import run
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.domains import CHANGES
from shared.events.lookups import BlockWanted, TxWanted
from shared.lookups import block, transaction
from shared.lookups.parts import Away
from support.explored import KEYS, Chain, answer
from support.ledger import running
from support.stack import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def client(valkey: EmbeddedValkey) -> AsyncIterator[redis.Client]:
    it = redis.connect(valkey.url)
    await it.flushall()
    yield it
    await it.aclose()


async def test_questions_are_answered_and_told(chain: Chain, valkey: EmbeddedValkey, client: redis.Client) -> None:
    txid = await chain.pay()
    async with running(valkey.url, run, "explorer", **chain.node.env()):
        found = await answer(client, f"tx:{txid}", TxWanted(txid=txid))
        assert found.status == "done"
        tx = msgspec.json.decode(bytes(found.data), type=transaction.Answer)
        assert isinstance(tx, transaction.Found)
        assert (tx.txid, tx.as_of_ms // 10_000) == (txid, found.time_ms // 10_000)
        [tip] = await chain.mine()
        asked = await answer(client, f"block:{tip}", BlockWanted(hash=tip, tip=tip))
        there = msgspec.json.decode(bytes(asked.data), type=block.Answer)
        assert isinstance(there, block.Found)
        assert (there.tip.hash, [row.txid for row in there.transactions][1:]) == (tip, [txid])
    told = [fields[b"data"] for _, fields in await client.xrange(KEYS.stream(CHANGES))]
    assert [msgspec.json.decode(one)["key"] for one in told] == [f"tx:{txid}", f"block:{tip}"]


async def test_one_replica_that_stops_leaves_no_question_behind(
    chain: Chain, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    txids = [await chain.pay() for _ in range(5)]
    async with (
        running(valkey.url, run, "explorer", **chain.node.env(), INSTANCE="one"),
        running(valkey.url, run, "explorer", **chain.node.env(), INSTANCE="two"),
    ):
        for txid in txids:
            await answer(client, f"tx:{txid}", TxWanted(txid=txid))
    assert await client.xlen(KEYS.requests(CHANGES.slot)) == 0


async def test_a_node_that_is_away_is_said_to_be(chain: Chain, valkey: EmbeddedValkey, client: redis.Client) -> None:
    txid = await chain.pay()

    async def told() -> transaction.Answer:
        found = await answer(client, f"tx:{txid}", TxWanted(txid=txid))
        assert found.status == "done"
        said: transaction.Answer = msgspec.json.decode(bytes(found.data), type=transaction.Answer)
        return said

    async with running(valkey.url, run, "explorer", **chain.node.env()):
        await chain.node.stop()
        away = await told()
        assert isinstance(away, Away)
        assert (away.who, bool(away.why)) == ("node", True)
        assert await client.pttl(KEYS.answer(CHANGES.slot, f"tx:{txid}")) <= 2_000
        await chain.node.start()

        async def there() -> bool:
            return isinstance(await told(), transaction.Found)

        await until(there, 10, "the node is asked again")
    assert await client.xlen(KEYS.dead(CHANGES.slot)) == 0
