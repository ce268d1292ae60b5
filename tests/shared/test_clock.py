"""Redis' clock as it is heard: an answer that was long on its way says little, unless nothing better is known."""

from __future__ import annotations

import pytest

from shared import clock
from shared.clock import DELAY_MS, PATIENCE_MS, Moment, RedisClock

REDIS = 1_790_000_000_000  # Redis' clock when our steady one reads 0


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steady clock: what it reads now."""
    reads = [0]
    monkeypatch.setattr(clock, "now", lambda: Moment(5, reads[0]))
    return reads


def test_the_time_is_counted_on_from_what_was_heard(steady: list[int]) -> None:
    heard = RedisClock()
    assert heard.now_ms == 5  # the wall clock, before anything was
    heard.heard(REDIS + 100, 0, 200)
    steady[0] = 1_000
    assert heard.now_ms == REDIS + 1_000


def test_an_answer_that_came_late_moves_nothing_that_is_known(steady: list[int]) -> None:
    heard = RedisClock()
    heard.heard(REDIS + 100, 0, 200)
    steady[0] = 5_000
    heard.heard(REDIS + 5_000, 1_200, 5_000)  # half of the way would say 1.9 s more
    assert heard.now_ms == REDIS + 5_000


def test_an_answer_that_came_late_is_better_than_none(steady: list[int]) -> None:
    heard = RedisClock()
    heard.heard(REDIS + 1_000, 0, 2_000)
    assert heard.now_ms == REDIS
    steady[0] = 2_500
    heard.heard(REDIS + 2_400 + 77, 2_300, 2_500)
    assert heard.now_ms == REDIS + 2_500 + 77


def test_what_was_heard_long_ago_gives_way(steady: list[int]) -> None:
    heard = RedisClock()
    heard.heard(REDIS, 0, 0)
    late = PATIENCE_MS + 1 + DELAY_MS + 1
    steady[0] = late
    heard.heard(REDIS + late + 9_000, late - DELAY_MS - 1, late)
    assert heard.now_ms > REDIS + late + 8_000
