from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.push.cursor import ALL_KEPT, BEGINNING, BadCursor, EntryId, decode, encode

KNOWN = ("blocks", "txs", "fees", "metrics", "ops")
IDS = st.builds(EntryId, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


@given(st.dictionaries(st.sampled_from(KNOWN), IDS, min_size=1))
def test_a_cursor_comes_back_as_it_was(positions: dict[str, EntryId]) -> None:
    streams = tuple(name for name in KNOWN if name in positions)
    assert decode(encode(streams, positions), streams, KNOWN) == positions


@given(st.text(max_size=60))
def test_nonsense_is_refused_and_never_breaks(text: str) -> None:
    for streams in (("blocks",), ("blocks", "fees")):
        with contextlib.suppress(BadCursor):
            assert set(decode(text, streams, KNOWN)) <= set(streams)


@pytest.mark.parametrize(
    ("text", "streams", "wrong"),
    [
        ("abc", ("blocks",), "'abc' is no entry id"),
        ("1-2-3", ("blocks",), "is no entry id"),
        ("-5", ("blocks",), "is no entry id"),
        ("99999999999999999999-0", ("blocks",), "out of range"),
        ("5-1", ("blocks", "fees"), "names no stream"),
        ("blocks:1-0,nope:1-0", ("blocks", "fees"), "names no stream"),
        ("blocks:1-0,blocks:2-0", ("blocks", "fees"), "stands there twice"),
        ("blocks:", ("blocks", "fees"), "is no entry id"),
    ],
)
def test_a_wrong_cursor_says_what_is_wrong(text: str, streams: tuple[str, ...], wrong: str) -> None:
    with pytest.raises(BadCursor, match=wrong):
        decode(text, streams, KNOWN)


def test_short_forms_and_other_streams() -> None:
    assert decode("0", ("blocks", "fees"), KNOWN) == {"blocks": ALL_KEPT, "fees": ALL_KEPT}
    assert decode("blocks:0,fees:0-0", ("blocks", "fees"), KNOWN) == {"blocks": ALL_KEPT, "fees": BEGINNING}
    assert str(ALL_KEPT) == "0"
    assert ALL_KEPT < BEGINNING
    assert decode("blocks:5-1", ("blocks",), KNOWN) == {"blocks": EntryId(5, 1)}
    assert decode("blocks:5-1,ops:7-0", ("blocks", "fees"), KNOWN) == {"blocks": EntryId(5, 1)}
    assert EntryId(5, 10) > EntryId(5, 9)
