"""Blocks by pool and day: sums that a block taken back leaves as they were, in whatever order blocks came."""

from __future__ import annotations

import random

from chain_history.pools import PoolsByDay
from shared.networks import NETWORKS
from shared.pools import UNKNOWN, Share, of_block, unpack
from shared.records import MinedBlock

FOUND = [
    (7, MinedBlock(time=100, tx_count=3, weight=2_000, fees=50, pool=1)),
    (7, MinedBlock(time=200, tx_count=1, weight=800, fees=0, pool=1)),
    (7, MinedBlock(time=300, tx_count=2, weight=900, fees=6, pool=UNKNOWN)),
    (8, MinedBlock(time=90_000, tx_count=2, weight=4_000_000, fees=7, pool=1)),
]
"""Day and block; the halving falls between the second and the third."""


def share(place: int) -> Share:
    height = NETWORKS["main"].halving_interval - 2 + place
    return of_block(FOUND[place][1], NETWORKS["main"].subsidy(height))


def test_a_day_is_the_sum_of_its_blocks() -> None:
    days = PoolsByDay()
    for place, (day, _) in enumerate(FOUND):
        days.count(day, share(place), 1)
    assert list(unpack(days.get(7))) == [
        Share(UNKNOWN, blocks=1, empty=0, weight=900, subsidy=2_500_000_000, fees=6),
        Share(1, blocks=2, empty=1, weight=2_800, subsidy=10_000_000_000, fees=50),
    ]
    assert list(unpack(days.get(8))) == [Share(1, 1, 0, 4_000_000, 2_500_000_000, 7)]
    assert days.get(9) == b""
    assert days.changed == {7, 8}


def test_what_is_taken_back_leaves_no_trace() -> None:
    chance = random.Random(1)
    for _ in range(20):
        order, gone = list(range(len(FOUND))), set(chance.sample(range(len(FOUND)), 2))
        chance.shuffle(order)
        seen, wanted = PoolsByDay(), PoolsByDay()
        for place in order:
            seen.count(FOUND[place][0], share(place), 1)
        for place in gone:
            seen.count(FOUND[place][0], share(place), -1)
        for place in sorted(set(order) - gone):
            wanted.count(FOUND[place][0], share(place), 1)
        assert [seen.get(day) for day in (7, 8)] == [wanted.get(day) for day in (7, 8)]
        assert len(seen) == len(wanted)
