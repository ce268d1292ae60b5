"""What only the holder of the secret can open."""

from __future__ import annotations

import base64
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import sealed
from shared.errors import ConfigError, SealBroken, SealExpired
from shared.lookups.wallet import Entered, Refused
from shared.sealed import Seal, is_handle, new_handle
from shared.wallets import SealedWallet

SECRET = secrets.token_hex(24)
NOW = 1_700_000_000_000
SEAL = Seal(SECRET)


@given(st.binary(max_size=5_000), st.text(max_size=50), st.integers(1, 10**9))
def test_what_is_sealed_opens(content: bytes, about: str, lasts: int) -> None:
    closed = SEAL.seal(content, about=about, until_ms=NOW + lasts)
    assert Seal(SECRET).open(closed, about=about, now_ms=NOW + lasts - 1) == content
    with pytest.raises(SealExpired):
        SEAL.open(closed, about=about, now_ms=NOW + lasts)
    assert closed.replace("-", "").replace("_", "").isalnum()


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at: int, change: int) -> None:
    closed = SEAL.seal(b"a key", about="it", until_ms=NOW)
    raw = bytearray(base64.urlsafe_b64decode(closed + "=" * (-len(closed) % 4)))
    raw[at % len(raw)] ^= change
    with pytest.raises(SealBroken) as raised:
        SEAL.open(base64.urlsafe_b64encode(raw).decode(), about="it", now_ms=0)
    assert not isinstance(raised.value, SealExpired)


@pytest.mark.parametrize("closed", ["", "A", "AQ", "ä", "*" * 80, "A" * 80, "\ud800", "AQ" * 60])
def test_what_is_not_ours(closed: str) -> None:
    with pytest.raises(SealBroken):
        SEAL.open(closed, about="it", now_ms=0)


def test_it_is_bound_to_what_it_is_about_and_to_the_secret() -> None:
    closed = SEAL.seal(b"a key", about="one", until_ms=NOW)
    with pytest.raises(SealBroken):
        SEAL.open(closed, about="other", now_ms=0)
    with pytest.raises(SealBroken):
        Seal(SECRET + "x").open(closed, about="one", now_ms=0)


def test_the_same_never_looks_the_same_and_its_length_says_little() -> None:
    closed = {SEAL.seal(bytes(range(length)), about="it", until_ms=NOW) for length in (1, 1, 50, 111)}
    assert len(closed) == 4
    assert len({len(text) for text in closed}) == 1


def test_what_would_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = SEAL.seal(bytes(100_000), about="it", until_ms=NOW)
    monkeypatch.setattr(sealed, "LONGEST_OPENED", 99_999)
    with pytest.raises(SealBroken, match="longer"):
        SEAL.open(closed, about="it", now_ms=0)


def test_handles() -> None:
    handles = {new_handle() for _ in range(1_000)}
    assert len(handles) == 1_000
    assert {len(handle) for handle in handles} == {24}  # 144 bits
    handle = handles.pop()
    assert is_handle(handle)
    assert not any(map(is_handle, ("", handle[1:], handle + "A", "/" * 24, handle + "\n", "ä" * 24)))


def test_names_in_redis_do_not_tell_the_handle() -> None:
    handle = new_handle()
    name = SEAL.name(handle)
    assert name == Seal(SECRET).name(handle)
    assert len(bytes.fromhex(name)) == 16
    assert name not in {Seal(SECRET + "x").name(handle), SEAL.name(new_handle())}
    assert handle not in name


def test_nothing_is_shown_of_the_secret() -> None:
    assert SECRET not in repr(SEAL)
    assert SECRET not in str(vars(SEAL))
    with pytest.raises(ConfigError, match="WALLET_SECRET is not set"):
        Seal("")


def test_what_web_and_explorer_hand_each_other() -> None:
    one, other = SealedWallet(SEAL, "a" * 32), SealedWallet(Seal(SECRET), "b" * 32)
    entered = Entered(text="xpub…", form="tr")
    closed = one.seal_entered(entered, NOW)
    assert SealedWallet(Seal(SECRET), "a" * 32).open_entered(closed, NOW - 1) == entered
    answer = one.seal_answer(Refused(why="address", line=3), NOW)
    assert one.open_answer(answer, NOW - 1) == Refused(why="address", line=3)
    for open_it, sealed_text in (
        (other.open_entered, closed),  # of another wallet
        (one.open_answer, closed),  # no answer
        (one.open_entered, answer),
    ):
        with pytest.raises(SealBroken):
            open_it(sealed_text, NOW - 1)
    with pytest.raises(SealExpired):
        one.open_answer(answer, NOW)
