"""What people wrote into the chain, told without harm."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.scripts.kinds import pushes
from shared.scripts.message import MOST, coinbase, message
from support.each import each
from support.scripts import GENESIS_COINBASE

TIMES = "The Times 03/Jan/2009 Chancellor on brink of second bailout for banks"


def test_the_genesis_coinbase() -> None:
    found = coinbase(GENESIS_COINBASE)
    assert (found.text, found.hex, found.size, found.cut) == (TIMES, GENESIS_COINBASE.hex(), 77, False)


def test_coinbases_of_pools() -> None:
    raw = bytes.fromhex("03a6dc0c") + b"\x1a/Foundry USA Pool #dropgold/\x00\x01\xff\xfe"
    assert coinbase(raw).text == "/Foundry USA Pool #dropgold/"
    chinese = "七彩神仙鱼".encode()
    assert coinbase(b"\x03abc" + bytes((len(chinese),)) + chinese).text == "七彩神仙鱼"
    assert coinbase(b"\x03\xa6\xdc\x0c\x04\xff\xfe\x00\x01").text is None
    assert coinbase(b"").text is None


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"hello world", "hello world"),
        ("Grüße, 世界 🎉".encode(), "Grüße, 世界 🎉"),
        ("👩‍👩‍👧".encode(), "👩👩👧"),
        (b"two\nlines\tand\x00more", "two lines and\ufffdmore"),
        ("abcdefgh\u202egpj.exe".encode(), "abcdefgh\ufffdgpj.exe"),
        ("Hangul\u3164filler".encode(), "Hangul\ufffdfiller"),
        ("zero\u200bwidth and more".encode(), "zero\ufffdwidth and more"),
        (("Z" + "\u0301" * 50 + "algo").encode(), "Z\u0301\u0301algo"),
        (b"<script>alert(1)</script>", "<script>alert(1)</script>"),
        (b"\xff\xfe\x00", None),
        (bytes(32), None),
        (b"\x01\x02\x03abc", None),
        (b"   ", None),
        (b"", None),
    ],
)  # fmt: skip
def test_what_is_text(payload: bytes, text: str | None) -> None:
    assert message(payload).text == text
    assert message(payload).hex == payload.hex()


def test_letters_that_look_alike_are_told() -> None:
    assert message("раypal".encode()).mixed  # noqa: RUF001 - Cyrillic
    assert not message("Привет world".encode()).mixed
    assert not message(b"paypal").mixed


def test_only_the_beginning_is_looked_at() -> None:
    found = message(b"a" * (MOST - 1) + "é".encode() + b"b" * 4_000_000)
    assert (found.text, found.cut, found.size) == ("a" * (MOST - 1), True, MOST + 1 + 4_000_000)
    assert len(found.hex) == 2 * MOST
    assert message(b"a" * (MOST - 1) + b"\xff" + b"b" * MOST).text is None
    assert coinbase(b"\x4e\xff\xff\xff\xff" + b"a" * 10_000).cut


@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode(errors="replace"))))
def test_nothing_harmful_is_told(payload: bytes) -> None:
    for found in (message(payload), coinbase(payload)):
        assert found.hex == payload.hex()
        if found.text is not None:
            assert each(unicodedata.category(sign)[0] != "C" and sign not in "\u2028\u2029" for sign in found.text)


def test_a_message_in_an_output() -> None:
    assert [message(push).text for push in pushes(bytes.fromhex("6a0568656c6c6f"))] == ["hello"]
