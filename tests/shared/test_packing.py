"""Records of one width: all of them at once are what they are one by one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from shared.packing import Layout
from shared.price_records import BAR, QUOTES, RATES, Bar
from shared.prices import FX
from shared.records import FLOW, HEADER, Flow, Header
from support.each import each

BAR_OF = Bar(1, 2, 3, 4, 5)
FLOW_OF = Flow(1, 2, 3, 4)
CASES = (
    (BAR, BAR_OF),
    (FLOW, FLOW_OF),
    (HEADER, Header(7, 8, bytes(8))),
    (RATES, tuple(float(place) for place in range(len(FX)))),
)


def one_by_one(layout: Layout[Any], raw: bytes) -> list[Any]:
    return [layout.unpack(raw, at) for at in range(0, len(raw) - layout.width + 1, layout.width)]


@pytest.mark.parametrize(("layout", "record"), CASES)
def test_all_at_once_are_what_they_are_one_by_one(layout: Layout[Any], record: Any) -> None:
    packed, none = layout.pack(record), bytes(layout.width)
    for raw in (b"", packed, none, packed + none + packed, packed + none + packed[:-1], packed[:3]):
        found: Iterable[Any] = layout.records(raw)
        assert [*found] == one_by_one(layout, raw)
    assert [*layout.records(packed + none + packed)] == [record, None, record]


def test_records_are_of_their_kind() -> None:
    assert each(isinstance(one, Bar) for one in BAR.records(BAR.pack(BAR_OF) * 3))
    assert [*QUOTES.records(bytes(QUOTES.width))] == [None]
