"""What is no wallet: the right words, the place, and never a part of what was entered."""

from __future__ import annotations

import contextlib
import random
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.wallet.curve import sha256d
from explorer.wallet.read import ADDRESSES_MOST, DESCRIPTORS_MOST, read
from explorer.wallet.refusal import NotAWallet
from shared.lookups.wallet import LONGEST, SENTENCES, Form, Refused, Why
from shared.scripts import base58, secrets
from shared.scripts.bip380 import INPUT, checksum
from support.leaks import Secret
from support.wallet_samples import BIP_44, BIP_49, BIP_84, KEY, SIXTEEN, SLIP_49, A, B

ADDRESS = "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"
XPRV = "xprv9s21ZrQH143K31xYSDQpPDxsXRTUcvj2iNHm5NUtrGiGG5e2DtALGdso3pGz6ssrdK4PFmM8NSpSBHNqPqm55Qn3LqFtT2emdEXVYsCzC2U"
WIFS = ["5KYZdUEo39z3FPrtuX2QbbwGnNP5zTd7yyr2SC1j299sBCnWjss", "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1"]
SEED = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"


def refused(text: str, network: str = "main", form: Form = "") -> Refused:
    with pytest.raises(NotAWallet) as raised:
        read(text, network, form)
    error = raised.value
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert str(error) == error.refused.why
    sentence = SENTENCES[error.refused.why] % {"word": error.refused.word, "most": error.refused.most or 0}
    assert not Secret(text).parts_in(f"{error!r} {error.refused!r} {sentence}".encode())
    return error.refused


def with_version(text: str, version: int) -> str:
    raw = version.to_bytes(4, "big") + base58.bytes_of(text)[4:78]
    value = int.from_bytes(raw + sha256d(raw)[:4], "big")
    letters = ""
    while value:
        value, digit = divmod(value, 58)
        letters = base58.DIGITS[digit] + letters
    return letters


@pytest.mark.parametrize(
    "text",
    [
        XPRV,
        f"wpkh({XPRV}/0/*)",
        f"[73c5da0a/84h]{XPRV}",
        XPRV[:60],
        XPRV[:-1] + "1",  # a slip makes it no other thing
        *(
            beginning + XPRV[4:]
            for beginning in ("yprv", "zprv", "Yprv", "Zprv", "tprv", "uprv", "vprv", "Uprv", "Vprv")
        ),
        *WIFS,
        f"pkh({WIFS[1]})",
        f"{ADDRESS}\n{WIFS[0]}",
        "6PRVWUbkzzsbcVac2qwfssoUJAN1Xhrg6bNk8J7Nzm5H7kxEbn2Nh2ZoGg",
        "S6c56bnXQiBjk9mqSYE7ykVQ7NzrRy",
    ],
)
def test_private_keys(text: str) -> None:
    assert refused(text).why == "private-key"


def test_every_version_of_a_private_key_is_known_by_its_bytes() -> None:
    for version in (0x0488ADE4, 0x049D7878, 0x04B2430C, 0x04358394, 0x044A4E28, 0x045F18BC):
        assert refused(with_version(A, version)).why == "private-key"


@pytest.mark.parametrize(
    "text",
    [
        SEED,
        SEED.upper(),
        SEED.replace(" ", "\n"),
        SEED.replace(" ", ", "),
        " ".join(f"{number}. {word}" for number, word in enumerate(SEED.split(), 1)),
        "ábaco " * 24,
        "あいこくしん " * 12,
        "的 " * 15,
        SEED + " passphrase",
        SEED.rpartition(" ")[0],
    ],
)
def test_seeds(text: str) -> None:
    assert refused(text).why == "seed-words"


@pytest.mark.parametrize(
    "text", [BIP_44, f"wpkh({A}/0/*)", ADDRESS, f"sh(wsh(multi(16,{SIXTEEN})))", KEY, "", "bitcoin"]
)
def test_what_is_not_private(text: str) -> None:
    assert secrets.found(text) == ""


@pytest.mark.parametrize(
    ("text", "network", "expected"),
    [
        ("", "main", Refused(why="empty")),
        (" \n\u200b ", "main", Refused(why="empty")),
        (BIP_44, "test", Refused(why="other-network", word="test")),
        (BIP_49, "main", Refused(why="other-network", word="main")),
        (f"wpkh({BIP_49}/0/*)", "main", Refused(why="other-network", word="main")),
        (BIP_44[:-1], "main", Refused(why="key-length")),
        (BIP_44 + "x", "main", Refused(why="key-length")),
        (BIP_44[:20] + "0" + BIP_44[21:], "main", Refused(why="key-character", position=21)),
        (with_version(A, 0x0488B21F), "main", Refused(why="key-version")),
        (f"{BIP_44} {BIP_84}", "main", Refused(why="several-keys", word="wsh(sortedmulti(…))")),
        (f"{BIP_44}\n{ADDRESS}", "main", Refused(why="mixed")),
        (f"wpkh({A}/0/*)\n{ADDRESS}", "main", Refused(why="mixed")),
        (with_version(A, 0x02AA7ED3), "main", Refused(why="multisig-key", word="wsh(sortedmulti(…))")),
        (with_version(A, 0x0295B43F), "main", Refused(why="multisig-key", word="sh(wsh(sortedmulti(…)))")),
        (f"{BIP_44}/44h/0/*", "main", Refused(why="hardened", position=113)),
        (f"{BIP_44}/0/*h", "main", Refused(why="hardened", position=115)),
        (f"wpkh({A}/0/*)\nwpkh({B}/0'/*)", "main", Refused(why="hardened", position=118, line=2)),
        (f"{ADDRESS},{ADDRESS[:-1]}q", "main", Refused(why="address", position=42, line=2)),
        (ADDRESS, "test", Refused(why="other-network", word="test")),
        ("tb1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", "main", Refused(why="address")),
        (" ".join([ADDRESS] * (ADDRESSES_MOST + 1)), "main", Refused(why="too-many", most=ADDRESSES_MOST)),
        ("\n".join([f"wpkh({A}/0/*)"] * 11), "main", Refused(why="too-many", most=DESCRIPTORS_MOST)),
        ("x" * (LONGEST + 1), "main", Refused(why="too-long", most=LONGEST)),
        ("hello", "main", Refused(why="not-recognised")),
        ("🦀🦀🦀", "main", Refused(why="not-recognised")),
        ("-1", "main", Refused(why="not-recognised")),
        ("\ud800", "main", Refused(why="not-recognised")),
        (f"wsh(multi(1,{','.join([KEY] * 21)}))", "main", Refused(why="threshold", position=5, most=20)),
        (f"tr({KEY},multi_a(1,{','.join([KEY] * 60)}))", "main", Refused(why="too-many-keys", most=50)),
        ("wsh(" * 150 + ")" * 150, "main", Refused(why="syntax", position=405)),
        (f"wsh({'n' * 5_000}:pk({KEY}))", "main", Refused(why="miniscript", position=5)),
        ("(", "main", Refused(why="syntax", position=1)),
        ("wpkh(\x00)", "main", Refused(why="descriptor-character", position=6)),
    ],
)
def test_words_and_places(text: str, network: str, expected: Refused) -> None:
    assert refused(text, network) == expected


def test_a_form_that_the_key_contradicts() -> None:
    assert refused(SLIP_49, form="wpkh") == Refused(why="form-conflict", word="sh(wpkh)")
    assert read(SLIP_49, "main", "sh(wpkh)") is not None


def test_the_mistyped_character_of_a_key() -> None:
    chance = random.Random(3)
    for _ in range(4):
        at = chance.randrange(111)
        other = chance.choice([letter for letter in base58.DIGITS if letter != BIP_84[at]])
        wrong = BIP_84[:at] + other + BIP_84[at + 1 :]
        if re.match("[xyztuvYZUV]p", wrong):  # else it is not known as a key
            assert refused(wrong).position == at + 1
            assert refused(f"wpkh({wrong}/0/*)").position == at + 6
    assert refused(BIP_84[:30] + BIP_84[31] + BIP_84[30] + BIP_84[32:]) == Refused(why="key-checksum", position=31)
    two = BIP_84[:30] + "11" + BIP_84[32:50] + "2" + BIP_84[51:]
    assert refused(two) == Refused(why="key-checksum", position=None)


@given(at=st.integers(0, 10**6), letter=st.sampled_from(INPUT.replace("#", "").replace("\\", "")))
def test_the_mistyped_character_of_a_descriptor(at: int, letter: str) -> None:
    """A descriptor without keys, so that nothing else is at fault before its checksum."""
    body = "wsh(multi(1,{}))".format(",".join(SIXTEEN.split(",")[:2]))
    said = checksum(body)
    at %= len(body)
    if letter == body[at]:
        return
    wrong = body[:at] + letter + body[at + 1 :]
    if "(" not in wrong or secrets.found(wrong) or wrong != wrong.strip():
        return
    assert refused(f"{wrong}#{said}") == Refused(why="descriptor-checksum", position=at + 1)


def test_a_mistyped_checksum() -> None:
    body = f"wpkh({A}/0/*)"
    said = checksum(body)
    wrong = said[:3] + ("q" if said[3] != "q" else "p") + said[4:]
    assert refused(f"{body}#{wrong}") == Refused(why="descriptor-checksum", position=len(body) + 1 + 4)
    assert refused(f"{body}#{said[::-1]}").position is None
    assert refused(f"{body}#{'1' * 8}") == Refused(why="descriptor-checksum")


@given(st.text(max_size=300))
def test_whatever_is_entered_is_read_or_refused(text: str) -> None:
    for whole in (text, f"wsh({text})", f"tr({KEY},{text})", f"{BIP_44}/{text}", f"[{text}]{BIP_44}"):
        with contextlib.suppress(NotAWallet):
            read(whole, "main")


@given(
    st.lists(
        st.sampled_from(
            ["wsh(", "sh(", "tr(", "{", "}", ",", ")", "v:", "and_v(", "pk(", "0", "1", KEY, A, "/*", "thresh(", "2"]
        )
    )
)
def test_whatever_is_put_together_of_parts(parts: list[str]) -> None:
    with contextlib.suppress(NotAWallet):
        read("".join(parts), "main")


def test_as_deep_as_may_be() -> None:
    """Python allows some 1,000 calls within each other."""
    assert read(f"wsh({'n' * 99}:pk({KEY}))", "main").branches[0].script(0)
    deep = f"pk({KEY})"
    for _ in range(32):
        deep = f"or_i(n:{deep},0)"
    assert read(f"wsh(n:{deep})", "main").branches[0].script(0)
    for _ in range(2):
        deep = f"or_i(n:{deep},0)"
    assert read(f"wsh({deep})", "main").branches[0].script(0)
    assert refused(f"wsh({'n' * 40}:{deep})").why == "miniscript"


@given(st.lists(st.sampled_from("asctdvjnlu"), max_size=150), st.sampled_from(["pk", "pkh", "pk_k", "older"]))
def test_whatever_is_wrapped_around(wrappers: list[str], inside: str) -> None:
    with contextlib.suppress(NotAWallet):
        read(f"wsh({''.join(wrappers)}:{inside}({KEY if inside.startswith('pk') else 9}))", "main")


def test_nested_verifications_are_quick() -> None:
    """embit compiles the argument of `v:` three times: 40 levels would take for ever."""
    inner = f"pk({A}/*)"
    for _ in range(40):
        inner = f"and_v(v:{inner},pk({KEY}))"
    assert read(f"wsh({inner})", "main").branches[0].script(0)


def test_every_reason_has_its_sentence() -> None:
    assert set(SENTENCES) == set(get_args(Why))
