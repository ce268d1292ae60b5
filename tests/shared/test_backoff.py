"""The one back-off: pauses that double, when they are over, and that nobody who is to stop waits for them."""

from __future__ import annotations

import asyncio
import time

from shared.backoff import Backoff


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pauses_double_and_are_forgotten_after_quiet() -> None:
    clock = Clock()
    backoff = Backoff(1, 120, quiet=60, steady=clock)
    assert backoff.wait == 0
    pauses, firsts = [], []
    for _ in range(12):
        firsts.append(backoff.tried())
        pauses.append(backoff.wait)
        clock.now += backoff.wait
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 120, 120, 120, 120, 120]
    assert firsts == [True, *[False] * 11]
    assert backoff.repeats == 11
    clock.now += 60
    assert not backoff.tried()  # not beyond it
    clock.now += 120 + 61
    assert backoff.tried()
    assert (backoff.wait, backoff.repeats) == (1, 0)


def test_without_a_quiet_time_only_success_ends_it() -> None:
    clock = Clock()
    backoff = Backoff(0.2, 5, steady=clock)
    assert backoff.tried()
    clock.now += 1e9
    assert not backoff.tried()
    assert backoff.pause == 0.4
    clock.now += 0.1
    assert round(backoff.wait, 6) == 0.3
    backoff.reset()
    assert backoff.wait == 0
    assert backoff.tried()
    assert backoff.pause == 0.2


async def test_a_rest_lasts_and_ends_with_the_service() -> None:
    stopping = asyncio.Event()
    backoff = Backoff(0.05, 60)
    began = time.monotonic()
    await backoff.rest(stopping)
    await backoff.rest(stopping)
    assert time.monotonic() - began >= 0.15
    stopping.set()
    for _ in range(20):
        await asyncio.wait_for(backoff.rest(stopping), 5)
    assert backoff.pause == 60
