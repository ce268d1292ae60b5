"""State that earlier code recorded is taken over once; of state that later code recorded nothing is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_history import app
from chain_history.state import LAYOUT
from local_run.valkey import EmbeddedValkey
from shared import domains, pools, redis
from shared.errors import UnknownLayout
from shared.layouts import LAYOUT as FIELD
from shared.networks import COIN
from shared.series import CHAIN_SERIES, DAY
from support import recorded
from support.chain_samples import chain, connected
from support.history_building import KEYS, Built, contents, fresh, view
from support.ledger import running
from support.stack import until

FILES = sorted((Path(__file__).parent / "recorded").glob("layout-*.msgpack.gz"))
DOMAIN = "{main:chain}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.split(".")[0])
async def test_what_earlier_code_recorded_is_taken_over(client: redis.Client, file: Path) -> None:
    stored = recorded.read(file)
    said = stored.pop(KEYS.checkpoint(domains.HISTORY)).get(FIELD.encode())
    if said is not None:  # no more of it: `Built` counts its commits from the beginning
        stored[KEYS.checkpoint(domains.HISTORY)] = {FIELD.encode(): said}
    await recorded.write(client, stored)
    blocks = chain(160)
    built = Built(client)
    for _ in range(3):  # killed before it commits: nothing has changed
        await built.restart()
        assert await recorded.dumped(client, DOMAIN) == stored
    assert not built.fold.losses
    await built.commit()
    assert await client.hget(KEYS.checkpoint(domains.HISTORY), FIELD) == str(LAYOUT).encode()
    kept = [*blocks[29:89], *blocks[100:]]
    shares, _ = await pools.read(client, KEYS, 0, blocks[-1].time // DAY)
    assert sum(share.blocks for _, share in shares) == len(kept)
    assert sum(share.fees for _, share in shares) == sum(block.fees for block in kept)
    assert sum(share.weight for _, share in shares) == sum(block.weight for block in kept)
    assert sum(share.subsidy for _, share in shares) == len(kept) * 50 * COIN
    shown = await view(client)
    assert (shown.first_header, shown.measured, shown.missing) == (0, 120, [(90, 100), (0, 29)])
    blocks.append(connected(161, blocks[-1]))
    built.apply(blocks[-1])
    await built.backfill(blocks)
    await built.commit()
    layouts = await client.hgetall(KEYS.series_layouts("chain"))
    assert layouts == {series.name.encode(): b"%d" % series.layout.version for series in CHAIN_SERIES}
    seen = await contents(client)
    await (await fresh(client, blocks)).commit()
    assert await contents(client) == seen


async def test_what_later_code_recorded_is_not_touched(client: redis.Client, valkey: EmbeddedValkey) -> None:
    stored = recorded.read(FILES[0])
    stored[KEYS.checkpoint(domains.HISTORY)] = {b"cursor": b"1-0 1 0", FIELD.encode(): b"%d" % (LAYOUT + 1)}
    await recorded.write(client, stored)
    with pytest.raises(UnknownLayout):
        await Built(client).restart()
    async with running(valkey.url, app.run, "chain-history", BITCOIN_NETWORK="main") as it:

        async def says_so() -> bool:
            return f"layout {LAYOUT + 1}" in it.health.reason

        await until(says_so, 10, "the heartbeat says which layout is stored")
        assert it.health.state == "degraded"
    left = await recorded.dumped(client, DOMAIN)
    assert {key: left.get(key) for key in stored} == stored
    assert KEYS.resync(domains.BLOCKS) not in left
