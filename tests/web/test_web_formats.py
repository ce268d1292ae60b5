from __future__ import annotations

from typing import Any

import pytest

from shared.networks import COIN
from shared.views import FeeBand
from web.pages import pictures as figures
from web.words import formats, moments
from web.words.quantity import Quantity


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (formats.whole, 953_568, "953,568"),
        (formats.hashrate, 8.94e20, "894 EH/s"),
        (formats.hashrate, 1.0214e21, "1,021 EH/s"),
        (formats.hashrate, 7.1e6, "7.10 MH/s"),
        (formats.hashrate, 0.0035, "0.0035 H/s"),
        (formats.hashrate, 0, "0 H/s"),
        (formats.difficulty, 138_955_357_012_247.3, "138.96 T"),
        (formats.difficulty, 4.6565423739069247e-10, "4.66×10⁻¹⁰"),  # noqa: RUF001
        (formats.difficulty, 1.0, "1"),
        (formats.difficulty, 112_149.0, "112 K"),
        (formats.vsize, 141, "141 vB"),
        (formats.vsize, 9_120, "9.12 kvB"),
        (formats.vsize, 21_870_334, "21.9 MvB"),
        (formats.vsize, 1_234_567_890, "1,235 MvB"),
        (formats.vsize_rate, 212.4, "212 vB/s"),
        (formats.size, 300_000_000, "300 MB"),
        (formats.btc, 312_500_000, "3.125 BTC"),
        (formats.btc, 2_004_440_937_500_000, "20,044,409.375 BTC"),
        (formats.btc, 1, "0.00000001 BTC"),
        (formats.btc, 0, "0 BTC"),
        (formats.amount, 999_999, "999,999 sat"),
        (formats.amount, COIN // 100, "0.0100 BTC"),
        (formats.amount, 1_358 * COIN + 19_000_000, "1,358.19 BTC"),
        (formats.feerate, 1.0, "1 sat/vB"),
        (formats.feerate, 1.3149, "1.31 sat/vB"),
        (formats.feerate, 73.61, "73.6 sat/vB"),
        (formats.feerate, 218.18, "218 sat/vB"),
        (formats.percent, 43.14, "43.1 %"),
        (moments.duration, 0, "0 s"),
        (moments.duration, 59, "59 s"),
        (moments.duration, 3_660, "1 h 1 min"),
        (moments.duration, 86_400, "1 d"),
        (moments.milliseconds, 572_114, "9 min 32 s"),
        (moments.age, 0.4, "just now"),
        (moments.age, 3_599, "59 min ago"),
        (moments.age, 7_300, "2 h 1 min ago"),
        (moments.long_duration, 31_556_952 * 2 + 86_400 + 7_200, "2 years 1 day 2 h"),
        (moments.utc, 1_231_006_505, "2009-01-03 18:15:05 UTC"),
        (formats.ordinal, 1, "1st"),
        (formats.ordinal, 12, "12th"),
        (formats.ordinal, 23, "23rd"),
        (formats.label, "node_version", "Node version"),
        (formats.detail, 954_210, "954,210"),
        (formats.detail, None, "none"),
        (formats.short, "ab" * 32, "abababab…abababab"),
        (formats.short, "short", "short"),
    ],
)
def test_a_value_reads_as_people_write_it(form: Any, value: Any, text: str) -> None:
    assert str(form(value)) == text


def test_a_change_has_a_sign_and_an_arrow() -> None:
    assert "▲" in formats.change(4.871)
    assert "+4.87" in formats.change(4.871)
    assert "▼" in formats.change(-10.09)
    assert "−10.09" in formats.change(-10.09)  # noqa: RUF001
    assert "▲" not in formats.change(0.001)


def test_a_time_carries_its_exact_moment() -> None:
    html = moments.ago(1_800_000_000 - 65, 1_800_000_000)
    assert "1 min ago</time>" in html
    assert "data-ago" in html
    assert 'title="20' in html
    assert "UTC" in html


def test_text_from_outside_is_escaped() -> None:
    assert "<script>" not in Quantity("<script>", "<b>").__html__()
    assert "<script>" not in figures.sparkline([(0, 1.0), (1, 2.0)], '"><script>')


def band(low: float, high: float | None, count: int) -> FeeBand:
    return FeeBand(from_rate=low, to_rate=high, count=count, vsize=count * 200, fee=count * 400)


def test_the_histogram_shows_the_bands_in_use() -> None:
    bands = [band(0, 1, 0), band(1, 2, 5), band(2, 3, 0), band(3, None, 1), band(9, None, 0)]
    assert len(figures.occupied(bands)) == 3
    html = figures.histogram(bands)
    assert html.count("<rect") == 3
    assert "3 and more sat/vB: 200 vB, 1 transaction" in html
    assert figures.histogram([band(0, 1, 0)]) == ""


def test_a_sparkline_stays_inside_its_box() -> None:
    assert figures.sparkline([(0, 1.0)], "x") == ""
    assert "NaN" not in figures.sparkline([(5, 1.0), (5, 1.0)], "flat, and all at once")
    path = figures.sparkline([(0, 1.0), (10, 3.0), (20, 2.0)], "x").split('class="line" d="M')[1].split('"')[0]
    points = [tuple(float(n) for n in pair.split()) for pair in path.split(" L")]
    assert points == [(0, 45), (120, 3), (240, 24)]
