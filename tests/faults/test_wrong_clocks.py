"""Clocks that are wrong, and that step: the node's, and the machine's that our services run on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.series import CONGESTION_MINUTES, read
from shared.views import MempoolView
from support.spending import Built, chain, fan_out, mine, mined_coins, send
from support.stack import Stack, until
from support.states import Table, wrong

HOUR = 3_600
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))

stepping = pytest.mark.skipif(not LIBRARIES, reason="no libfaketime: apt-get install faketime")


class Clock:
    """The wall clock of the services that get its environment; the steady one stays as it is."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "faketime"
        self.step(0)

    def step(self, seconds: int) -> None:
        """Set it ahead of the machine's (negative: behind)."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self._file)

    @property
    def env(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with Stack(tmp_path) as started:
        yield started


async def coins_of(stack: Stack) -> list[Built]:
    coins = await fan_out(stack.node, await mined_coins(stack.node, 1), 60)
    return [built for coin in coins for built in chain(coin, 5, [5, 30])]


async def arrives(stack: Stack, transactions: list[Built]) -> None:
    """Send them, and wait until the views show how fast they came."""
    await send(stack.node, transactions)

    async def counted() -> bool:
        view = await stack.view(MempoolView)
        return view is not None and view.txs_per_second * 60 > len(transactions) * 0.9

    await until(counted, 20, f"{len(transactions)} transactions within a minute are told as such")


@pytest.mark.parametrize("ahead", [2 * HOUR - 60, -2 * HOUR], ids=["ahead", "behind"])
async def test_the_clock_of_the_node_steps(stack: Stack, states: Table, ahead: int) -> None:
    """What comes in is counted by the node's clock alone; that it is another than ours is said."""
    transactions = await coins_of(stack)
    await stack.start()
    await stack.synced()
    await arrives(stack, transactions[:100])
    async with wrong(
        stack, states, f"the node's clock is {abs(ahead) / HOUR:.0f} h {'ahead' if ahead > 0 else 'behind'}"
    ) as state:
        await stack.node.rpc("setmocktime", int(time.time()) + ahead)
        await send(stack.node, transactions[100:150])

        async def said() -> bool:
            health = await stack.health("chain-ingest")
            return health is not None and "clock" in health.reason

        await until(said, 40, "the heartbeat says that the clocks differ")
        await state.shows(lambda seen: seen.ready == 200, 20, "still ready")
        await arrives(stack, transactions[150:])
        await stack.node.rpc("setmocktime", 0)
        await state.well(40)


@stepping
@pytest.mark.parametrize("step", [-HOUR, 366 * 24 * HOUR], ids=["an hour back", "a year ahead"])
async def test_the_clock_of_the_machine_steps(
    stack: Stack, states: Table, request: pytest.FixtureRequest, step: int
) -> None:
    """Nothing falls silent, nothing that no node can tell again is trimmed, and the clock that is wrong is named."""
    clock = Clock(stack.folder)
    transactions = await coins_of(stack)
    await stack.start("chain-ingest", "chain-metrics", "chain-history", "mempool", "web", **clock.env)
    await stack.synced()
    now = int(time.time())

    async def minutes() -> int:
        return len(await read(stack.redis, stack.keys, CONGESTION_MINUTES, now // 60 - 60, now // 60 + 5))

    async def recorded() -> bool:
        return await minutes() > 0

    await until(recorded, 20, "a minute of congestion is kept")
    async with wrong(stack, states, f"the machine's clock steps {request.node.callspec.id}") as state:
        clock.step(step)
        await send(stack.node, transactions[:100])
        await mine(stack.node)
        await stack.synced(20)

        async def said() -> bool:
            found = [await stack.health(name) for name in ("chain-ingest", "mempool")]
            return all(health is not None and "clock" in f"{health.reason} {health.details}" for health in found)

        await until(said, 40, "the heartbeats say that the clock is wrong")
        await state.shows(lambda seen: seen.ready == 200, 20, "still ready")
        await send(stack.node, transactions[100:200])
        clock.step(0)
        await state.well(40)
    assert await minutes() > 0
