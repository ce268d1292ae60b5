"""Mainnet's retargets, as the backfill of headers leaves them: every epoch's difficulty is the recorded one."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from chain_history.fold import HistoryFold
from shared import domains, redis
from shared.events.backfill import HeadersCollected
from shared.events.blocks import HeadersLoaded
from shared.keys import Keys
from shared.networks import RETARGET_INTERVAL
from shared.pow import difficulty
from shared.series import HEADERS, RETARGETS, read
from support import folding
from support.chain_samples import digest
from support.each import each
from support.folding import at

EPOCHS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "difficulty_epochs.csv"
KEYS = Keys("main")
SPACING = 590
CHUNK = 2_000


@pytest.mark.skipif(not EPOCHS.exists(), reason=f"the recorded difficulty history is not there ({EPOCHS.name})")
async def test_the_difficulty_of_every_epoch_is_the_recorded_one(client: redis.Client, full: bool) -> None:
    """Headers with these bits, from the newest down, over the same way that a worker's take; all of them in full."""
    with EPOCHS.open() as file:
        rows = list(csv.DictReader(file))
    first_epoch = 0 if full else len(rows) - 30
    bits = [int(row["bits"], 16) for row in rows]
    top = len(rows) * RETARGET_INTERVAL  # the last epoch in full

    def header(height: int) -> tuple[int, int]:
        return 1_231_006_505 + height * SPACING, bits[height // RETARGET_INTERVAL]

    def block_hash(height: int) -> str:
        return digest("epochs", height) if height >= 0 else ""

    fold, committer = HistoryFold(KEYS), folding.Committer(client, KEYS.checkpoint(domains.HISTORY))
    low = top - CHUNK
    fold.apply(
        HeadersLoaded(
            height=low,
            headers=[header(height) for height in range(low, top)],
            hashes=[block_hash(height) for height in range(low, top)],
            prev_hash=block_hash(low - 1),
            tip_hash=block_hash(top - 1),
            chainwork="00",
            median_time=0,
            node="main",
        )
    )
    floor = first_epoch * RETARGET_INTERVAL
    now_ms = 0
    while low > floor:
        high, low, now_ms = low, max(floor, low - CHUNK), now_ms + 50
        heights = range(low, high)
        fold.apply(
            HeadersCollected(
                height=low,
                prev_hash=block_hash(low - 1),
                tip_hash=block_hash(high - 1),
                headers=[(*header(height), block_hash(height)[-16:]) for height in heights],
            )
        )
        await committer.commit(fold.flush(at(now_ms)))
    found = dict(await read(client, KEYS, RETARGETS, 0, len(rows)))
    assert sorted(found) == list(range(first_epoch, len(rows)))
    for row in rows[first_epoch:]:
        record = found[int(row["epoch"])]
        assert record.bits == int(row["bits"], 16)
        assert difficulty(record.bits) == pytest.approx(float(row["difficulty"]), rel=1e-12)
        assert record.time == 1_231_006_505 + int(row["height"]) * SPACING
    sample = await read(client, KEYS, HEADERS, floor, floor + 3 * RETARGET_INTERVAL)
    assert [height for height, _ in sample] == list(range(floor, floor + 3 * RETARGET_INTERVAL + 1))
    assert each(record.bits == bits[height // RETARGET_INTERVAL] for height, record in sample)
