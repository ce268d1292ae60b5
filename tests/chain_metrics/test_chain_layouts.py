"""State of the chain that earlier code recorded is taken over; of state that later code recorded nothing is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_metrics import app
from chain_metrics.fold import LAYOUT, ChainFold
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.errors import UnknownLayout
from shared.keys import Keys
from shared.layouts import LAYOUT as FIELD
from support import folding, recorded
from support.chain_samples import chain, connected, loaded
from support.folding import at
from support.ledger import running
from support.stack import until

KEYS = Keys("main")
FILES = sorted((Path(__file__).parent / "recorded").glob("layout-*.msgpack.gz"))
DOMAIN = "{main:chain}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.split(".")[0])
async def test_what_earlier_code_recorded_is_taken_over(client: redis.Client, file: Path) -> None:
    await recorded.write(client, recorded.read(file))
    blocks = chain(160)
    blocks.append(connected(161, blocks[-1]))
    fold, fresh = ChainFold(KEYS), ChainFold(KEYS)
    await fold.restore(client)
    fold.apply(blocks[-1])
    changes = fold.flush(at(0))
    await folding.Committer(client, KEYS.checkpoint(domains.CHAIN) + "-other").commit(changes)
    for event in [loaded(blocks[:100], 40), *blocks[100:]]:
        fresh.apply(event)
    assert folding.views(changes, KEYS.views(domains.CHAIN)) == folding.views(
        fresh.flush(at(0)), KEYS.views(domains.CHAIN)
    )
    assert await client.hget(KEYS.checkpoint(domains.CHAIN), FIELD) == str(LAYOUT).encode()


async def test_what_later_code_recorded_is_not_touched(client: redis.Client, valkey: EmbeddedValkey) -> None:
    stored = recorded.read(FILES[0])
    stored[KEYS.checkpoint(domains.CHAIN)] = {b"cursor": b"1-0 1 0", FIELD.encode(): b"%d" % (LAYOUT + 1)}
    await recorded.write(client, stored)
    with pytest.raises(UnknownLayout):
        await ChainFold(KEYS).restore(client)
    async with running(valkey.url, app.run, "chain-metrics", BITCOIN_NETWORK="main") as it:

        async def says_so() -> bool:
            return f"layout {LAYOUT + 1}" in it.health.reason

        await until(says_so, 10, "the heartbeat says which layout is stored")
    left = await recorded.dumped(client, DOMAIN)
    assert {key: left.get(key) for key in stored} == stored
    assert KEYS.resync(domains.BLOCKS) not in left
