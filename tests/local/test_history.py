from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path

from local_run import history
from local_run.node import RegtestNode
from support.each import each

from .conftest import BLOCKS, BUSY

DAY = 86_400


def test_times_rise_and_end_now() -> None:
    now = 1_790_000_000
    for seed in range(20):
        times = history.block_times(now, 300, 31, random.Random(seed))
        assert len(times) == 300
        assert each(earlier < later for earlier, later in pairwise(times))
        assert now - 31 * DAY - 60 < times[0] < now - 29 * DAY
        assert now - 60 <= times[-1] <= now


async def test_a_month_of_blocks_with_transactions_in_the_last(old_chain: RegtestNode, short_history: Path) -> None:
    node = old_chain
    built = short_history.stat().st_ctime  # when the node made its folder
    assert await node.rpc("getblockcount") == BLOCKS
    hashes = await node.batch([("getblockhash", (height,)) for height in range(1, BLOCKS + 1)])
    headers = await node.batch([("getblockheader", (block_hash,)) for block_hash in hashes])
    times = [header["time"] for header in headers]
    assert 29 * DAY < times[-1] - times[0] <= 31 * DAY
    assert built - 60 < times[-1] <= built
    assert each(header["nTx"] == 1 for header in headers[: BLOCKS - BUSY - 1])
    busy = [header["nTx"] for header in headers[-BUSY:]]
    assert sum(count > 1 for count in busy) > BUSY * 2 / 3
    stats = await node.rpc("getblockstats", hashes[busy.index(max(busy)) - BUSY])
    assert stats["totalfee"] > 0


async def test_progress_is_told_and_the_clock_is_the_real_one_again(node: RegtestNode) -> None:
    told: list[tuple[int, int]] = []
    await history.build(
        node, chance=random.Random(1), blocks=105, busy=2, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(100, 105), (105, 105)]
    assert (await node.rpc("getblockchaininfo"))["initialblockdownload"] is False
    (block_hash,) = await node.rpc("generatetodescriptor", 1, "raw(51)")
    assert abs((await node.rpc("getblockheader", block_hash))["time"] - time.time()) < 10
