"""Who goes on where Redis has lost everything: whoever committed last, and nobody before him."""

from __future__ import annotations

import pytest

from shared import newest
from shared.newest import Newest


class Clock:
    """A steady clock that stands, and the lease's last moment in another's hands."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.stood_by_at = float("-inf")

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(newest, "time", found)
    return found


def made(clock: Clock) -> Newest:
    return Newest(clock)  # type: ignore[arg-type]  # what it reads of a lease's holder


def test_what_redis_has_counts(clock: Clock) -> None:
    it = made(clock)
    it.committed()
    clock.stood_by_at = clock.now
    assert it.whose(empty=False) == "redis"


def test_alone_at_the_first_start_nobody_is_waited_for(clock: Clock) -> None:
    assert made(clock).whose(empty=True) == "redis"


def test_whoever_committed_a_moment_ago_has_it_in_memory(clock: Clock) -> None:
    it = made(clock)
    it.committed()
    clock.now += newest.RECENT_SECONDS - 1
    assert it.whose(empty=True) == "ours"
    clock.now += 2
    assert it.whose(empty=True) == "redis"


def test_a_standby_gives_way_for_some_seconds(clock: Clock) -> None:
    it = made(clock)
    clock.stood_by_at = clock.now
    assert it.whose(empty=True) == "theirs"
    clock.now += newest.WAY_SECONDS - 1
    assert it.whose(empty=True) == "theirs"
    clock.now += 1
    assert it.whose(empty=True) == "redis"


def test_one_that_stood_by_long_ago_waits_for_nobody(clock: Clock) -> None:
    it = made(clock)
    clock.stood_by_at = clock.now - newest.RECENT_SECONDS
    assert it.whose(empty=True) == "redis"


def test_each_loss_is_waited_for_anew(clock: Clock) -> None:
    it = made(clock)
    for _ in range(2):
        clock.stood_by_at = clock.now
        assert it.whose(empty=True) == "theirs"
        assert it.whose(empty=False) == "redis"
        clock.now += newest.WAY_SECONDS
