"""The treemap: areas as large as what they stand for, none outside, none over another; words where there is room."""

from __future__ import annotations

import re

import pytest

from web.pages.treemap import Area, treemap

_PLACE = re.compile(r'<rect x="([\d.]+)%" y="([\d.]+)%" width="([\d.]+)%" height="([\d.]+)%"')


def places(drawn: str) -> list[tuple[float, float, float, float]]:
    return [(float(x), float(y), float(width), float(height)) for x, y, width, height in _PLACE.findall(drawn)]


@pytest.mark.parametrize("values", [(5,), (6, 3, 1), tuple(range(60, 0, -1)), (1e13, 1e9, 1)])
def test_areas_are_in_proportion_and_apart(values: tuple[float, ...]) -> None:
    drawn = places(treemap([Area(f"Asset {at}", value, "coin", "told") for at, value in enumerate(values)], "what"))
    assert len(drawn) == len(values)
    for value, (x, y, width, height) in zip(values, drawn, strict=True):
        assert width * height / 100 == pytest.approx(value / sum(values) * 100, abs=0.5)
        assert -0.02 <= x <= x + width <= 100.05
        assert -0.02 <= y <= y + height <= 100.05
    for at, one in enumerate(drawn):
        for other in drawn[at + 1 :]:
            across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
            down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
            assert across < 0.05 or down < 0.05


def test_words_stand_where_there_is_room_and_are_text() -> None:
    drawn = treemap([Area("<Gold>", 90, "commodity", "Gold & more"), Area("A long name", 0.1, "coin", "told")], "what")
    assert "&lt;Gold&gt;" in drawn
    assert "<title>Gold &amp; more</title>" in drawn
    assert ">A long name<" not in drawn


def test_nothing_is_drawn_of_nothing() -> None:
    assert treemap([], "what") == ""
    assert treemap([Area("nothing", 0, "coin", "told")], "what") == ""
