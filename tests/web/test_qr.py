"""QR codes: what they hold, and that their mask is the one that the standard asks for."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import pytest
import segno

from web.pages import qr

TEXTS = (
    "bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "bitcoin:bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    "0" * 40,
    "a",
    "b" * 300,
)


def points(matrix: Sequence[Sequence[int]]) -> int:
    """Table 11 of ISO/IEC 18004:2015, module by module."""
    size, found = len(matrix), 0
    for line in (*matrix, *zip(*matrix, strict=True)):
        runs = [len([*run]) for _, run in itertools.groupby(line)]
        found += sum(run - 2 for run in runs if run >= 5)
        padded = "0000" + "".join(map(str, line)) + "0000"
        for at in range(len(padded) - 6):
            if padded[at : at + 7] == "1011101" and "0000" in (padded[at - 4 : at], padded[at + 7 : at + 11]):
                found += 40
    for y, x in itertools.product(range(size - 1), repeat=2):
        found += 3 * (matrix[y][x] == matrix[y][x + 1] == matrix[y + 1][x] == matrix[y + 1][x + 1])
    dark = 100 * sum(map(sum, matrix)) / size**2
    return found + 10 * int(abs(dark - 50) / 5)


def modules(svg: str) -> list[list[int]]:
    """What is drawn, without the border."""
    size = int(re.findall(r'viewBox="0 0 (\d+) ', svg)[0]) - 2 * qr.BORDER
    path = re.findall(r'stroke="#000" d="M4 4\.5([^"]*)"', svg)[0]
    drawn = [[0] * size for _ in range(size)]
    x = y = 0
    for right, down, length in re.findall(r"m(-?\d+) (\d+)h(\d+)", path):
        x, y = x + int(right), y + int(down)
        drawn[y][x : x + int(length)] = [1] * int(length)
        x += int(length)
    return drawn


@pytest.mark.parametrize("text", TEXTS)
def test_the_mask_with_the_fewest_points_is_taken(text: str) -> None:
    masked = [segno.make(text, error="m", micro=False, mask=mask).matrix for mask in range(8)]
    counted = [points(matrix) for matrix in masked]
    assert len(set(counted)) > 1, "there is something to choose"
    drawn = modules(qr.drawn(text, "a code"))
    assert drawn == [[*line] for line in masked[counted.index(min(counted))]]
    assert [qr.points(qr._read(matrix)) for matrix in masked] == counted


def test_it_is_told_in_words_and_drawn_without_styles() -> None:
    drawn = qr.drawn("bitcoin:x", "what <it> is")
    assert "<title>what &lt;it&gt; is</title>" in drawn
    assert 'viewBox="0 0 29 29"' in drawn, "of 21 modules, with four light ones around"
    assert "style" not in drawn
