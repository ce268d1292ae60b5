"""What is known to be true from confirmations, and when."""

from __future__ import annotations

import random

import pytest

from shared.views import Confirmed
from web.state.truth import KEPT, Witness


def said(seq: int, time_ms: int, incomplete: str = "") -> Confirmed:
    return Confirmed(seq=seq, time_ms=time_ms, node="main", incomplete=incomplete)


def true_ms(witness: Witness) -> int | None:
    return witness.truth.true_ms


def test_views_are_true_at_the_newest_confirmation_that_they_have_come_up_to() -> None:
    """Against the rule said plainly, over every confirmation so far."""
    for seed in range(50):
        rng = random.Random(seed)
        witness, told = Witness(), []
        seq = folded = 0
        for now in range(1_000, 200_000, 2_000):
            seq += rng.choice((0, 0, 1, 400))
            folded = max(folded, seq - rng.choice((0, 0, 3, 900)))
            if rng.random() < 0.9:
                told.append(said(seq, now))
            witness.heard(told[-1] if told else None, folded, now)
            expected = max((one.time_ms for one in told if one.seq <= folded), default=None)
            assert witness.truth.true_ms == expected


def test_a_busy_stream_a_moment_behind_is_as_fresh_as_its_fold() -> None:
    witness = Witness()
    for second in range(0, 600, 2):
        witness.heard(said(second * 100, second * 1000 + 1), (second - 4) * 100, second * 1000 + 1)
    assert witness.truth.age(600.0) == pytest.approx(6, abs=0.01)


def test_a_fold_that_stands_still_ages_and_the_history_stays_bounded() -> None:
    witness = Witness()
    witness.heard(said(5, 1_000), 5, 1_000)
    for second in range(2, 10_000, 2):
        witness.heard(said(5 + second, second * 1000), 5, second * 1000)
        assert len(witness._kept) <= KEPT
    assert witness.truth.true_ms == 1_000
    witness.heard(said(10_003, 9_998_000), 10_003, 9_998_000)
    assert witness.truth.true_ms == 9_998_000


def test_a_stream_made_anew_and_a_lost_confirmation() -> None:
    witness = Witness()
    witness.heard(said(500, 1_000_000), 500, 1_006_000)
    witness.heard(None, 500, 1_006_000)
    assert true_ms(witness) == 1_000_000  # what was heard still stands
    witness.heard(said(3, 1_002_000), 500, 1_006_000)  # of another stream: views of the old one say nothing about it
    assert true_ms(witness) == 1_002_000
    witness.heard(said(4, 1_004_000), 2, 1_006_000)
    assert true_ms(witness) is None
    witness.heard(said(4, 1_006_000), 4, 1_006_000)
    assert true_ms(witness) == 1_006_000


def test_a_clock_that_went_back_takes_the_confirmations_ahead_of_it_along() -> None:
    witness = Witness()
    witness.heard(said(5, 7_200_000), 5, 7_200_000)
    witness.heard(None, 5, 3_600_000)
    assert true_ms(witness) is None
    witness.heard(said(5, 3_601_000), 5, 3_601_000)
    assert true_ms(witness) == 3_601_000
    witness.heard(None, 5, 3_600_000)  # a second is no step
    assert true_ms(witness) == 3_601_000
