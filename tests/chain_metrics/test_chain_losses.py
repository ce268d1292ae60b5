"""Redis loses a key of chain-metrics while it runs: no block need come for it to be there again."""

from __future__ import annotations

import pytest

from chain_metrics import app
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from support.chain_samples import chain, loaded
from support.ledger import KEYS, producer, running
from support.stack import until


@pytest.fixture(autouse=True)
def short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader notices within its blocking time that it is to stop."""
    monkeypatch.setattr(redis, "BLOCK_MS", 50)


@pytest.mark.parametrize("lost", [KEYS.views(domains.CHAIN), KEYS.state(domains.CHAIN), KEYS.checkpoint(domains.CHAIN)])
async def test_a_lost_key_is_written_again(client: redis.Client, valkey: EmbeddedValkey, lost: str) -> None:
    blocks = chain(300)
    await (await producer(client)).publish([loaded(blocks[:200]), *blocks[200:]])

    async def kept() -> list[dict[bytes, bytes]]:
        found = [await client.hgetall(key) for key in (KEYS.views(domains.CHAIN), KEYS.state(domains.CHAIN))]
        return found if all(found) and await client.exists(KEYS.checkpoint(domains.CHAIN)) else []

    async with running(valkey.url, app.run, "chain-metrics"):
        await until(kept, 10, "all is there")
        before = await kept()
        await client.delete(lost)

        async def same() -> bool:
            return await kept() == before

        await until(same, 10, f"{lost} is written again")

        async def told() -> set[bytes]:
            kinds = {fields[b"type"] for _, fields in await client.xrange(KEYS.stream(domains.OPS))}
            return kinds if {b"gap.detected", b"gap.repaired"} <= kinds else set()

        await until(told, 10, "operators are told")
