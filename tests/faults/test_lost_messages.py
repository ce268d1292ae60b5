"""A ZMQ message that never arrives is found and repaired within 20 s."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared import domains
from support import check
from support.lossy_zmq import LossyZmq
from support.spending import Coin, chain, fan_out, mine, mined_coins, send
from support.stack import Stack

LIMIT = 20.0


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[tuple[Stack, LossyZmq, list[Coin]]]:
    async with Stack(tmp_path) as started, LossyZmq(started.node.zmq_url) as lossy:
        coins = await fan_out(started.node, await mined_coins(started.node, 1), 50)
        started.extra_env["MAIN_ZMQ_URLS"] = lossy.url
        await started.start(*check.LIVE)
        await started.synced()
        yield started, lossy, coins


def label(frames: list[bytes]) -> str:
    """`A`, `R`, `C`, `D` of a `sequence` message, else nothing."""
    return chr(frames[1][32]) if frames[0] == b"sequence" else ""


async def test_the_last_message_is_lost(stack: tuple[Stack, LossyZmq, list[Coin]]) -> None:
    """Nothing follows that would show the gap: only comparing with the node finds it."""
    started, lossy, coins = stack
    lossy.loses = lambda frames: label(frames) == "A" and len(lossy.lost) < 1
    began = time.monotonic()
    await send(started.node, chain(coins[0], 1, [5]))
    await check.equals_node(started, LIMIT)
    assert len(lossy.lost) == 1
    assert time.monotonic() - began < LIMIT


async def test_a_message_in_between_is_lost(stack: tuple[Stack, LossyZmq, list[Coin]]) -> None:
    """The next message shows the gap at once, long before the next comparison."""
    started, lossy, coins = stack
    await send(started.node, chain(coins[2], 1, [5]))
    await started.synced()  # the first message tells where the counter stands
    lossy.loses = lambda frames: label(frames) == "A" and len(lossy.lost) < 1
    await send(started.node, chain(coins[0], 4, [5]))
    await check.equals_node(started, 5)
    kinds = [kind for _, _, kind, _ in await started.entries(started.keys.stream(domains.OPS))]
    assert "gap.detected" in kinds
    assert "gap.repaired" in kinds


async def test_a_block_and_raw_transactions_are_lost(stack: tuple[Stack, LossyZmq, list[Coin]]) -> None:
    started, lossy, coins = stack
    lossy.loses = lambda frames: label(frames) == "C" or frames[0] == b"rawtx"
    await send(started.node, chain(coins[0], 2, [5]))
    await mine(started.node)
    await check.equals_node(started, LIMIT)
    assert {bytes(frames[0]) for frames in lossy.lost} == {b"sequence", b"rawtx"}
