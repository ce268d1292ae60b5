"""Kinds of scripts, what they hold, how they are written in words, and their hashes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.networks import NETWORKS
from shared.scripts import ripemd160
from shared.scripts.address import of_script, read
from shared.scripts.asm import CUT, PAST_END, disassembled
from shared.scripts.hashes import hash160, scripthash
from shared.scripts.kinds import Multisig, Witness, kind_of, multisig, public_key, pushes, witness
from shared.scripts.opcodes import NAMES, steps
from support.each import each
from support.scripts import BLOCK_170, GENESIS_COINBASE, GENESIS_SCRIPT, KEY, KNOWN, OTHER_KEY

MAIN = NETWORKS["main"]


@pytest.mark.parametrize(("kind", "script", "address"), KNOWN)
def test_known_scripts_are_of_their_kind(kind: str, script: str, address: str | None) -> None:
    del address
    assert kind_of(bytes.fromhex(script)) == kind


def test_keys_of_the_first_outputs() -> None:
    assert public_key(GENESIS_SCRIPT) == GENESIS_SCRIPT[1:66]
    assert public_key(BLOCK_170) == BLOCK_170[1:66]
    genesis = read("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", MAIN)
    assert hash160(GENESIS_SCRIPT[1:66]) == genesis.script[3:23]
    assert genesis.scripthash == "8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161"
    assert scripthash(GENESIS_SCRIPT) == hashlib.sha256(GENESIS_SCRIPT).digest()[::-1].hex() != genesis.scripthash


def test_keys_of_multisig() -> None:
    keys = tuple(map(bytes.fromhex, (KEY, OTHER_KEY)))
    assert multisig(bytes.fromhex(f"5121{KEY}21{OTHER_KEY}52ae")) == Multisig(1, keys)
    most = bytes((0x01, 20)) + b"".join(b"\x21" + keys[0] for _ in range(20)) + bytes((0x01, 20, 0xAE))
    assert multisig(most) == Multisig(20, keys[:1] * 20)
    assert kind_of(most) == "multisig"
    assert multisig(most[:2] + b"\x21" + keys[0] + most[2:]) is None
    inside = bytes.fromhex(f"5121{KEY}2a" + "00" * 41 + "ae")  # the last byte belongs to a push
    assert multisig(inside) is None


def test_witness_programs() -> None:
    assert witness(bytes.fromhex("51024e73")) == Witness(1, b"\x4e\x73")
    assert witness(bytes.fromhex("0003000000")) == Witness(0, bytes(3))
    assert witness(b"\x60\x28" + bytes(40)) == Witness(16, bytes(40))
    assert witness(b"\x60\x29" + bytes(41)) is None
    assert witness(b"\x61\x02" + bytes(2)) is None
    assert witness(b"\x50\x02" + bytes(2)) is None


def test_what_is_pushed_behind_an_op_return() -> None:
    assert pushes(bytes.fromhex("6a0568656c6c6f")) == [b"hello"]
    assert pushes(bytes.fromhex("6a5d0568656c6c6f4c03616263")) == [b"hello", b"abc"]  # OP_13 is a number
    assert pushes(bytes.fromhex("6a0a6162")) == [b"ab"]
    assert pushes(bytes.fromhex("6a4dff")) == []
    assert pushes(bytes.fromhex("0568656c6c6f")) == []
    assert len(pushes(b"\x6a" + b"\x01a" * 5_000)) == 1_000


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
            "OP_DUP OP_HASH160 OP_PUSHBYTES_20 62e907b15cbf27d5425399ebf6f0fb50ebb88f18 OP_EQUALVERIFY OP_CHECKSIG",
        ),
        (
            "0014751e76e8199196d454941c45d1b3a323f1433bd6",
            "OP_0 OP_PUSHBYTES_20 751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        ("51024e73", "OP_PUSHNUM_1 OP_PUSHBYTES_2 4e73"),
        (GENESIS_SCRIPT.hex(), f"OP_PUSHBYTES_65 {GENESIS_SCRIPT[1:66].hex()} OP_CHECKSIG"),
        (
            f"5121{KEY}21{OTHER_KEY}52ae",
            f"OP_PUSHNUM_1 OP_PUSHBYTES_33 {KEY} OP_PUSHBYTES_33 {OTHER_KEY} OP_PUSHNUM_2 OP_CHECKMULTISIG",
        ),
        ("6a4c0161", "OP_RETURN OP_PUSHDATA1 61"),
        ("4d0200abcd4e01000000ef4c00", "OP_PUSHDATA2 abcd OP_PUSHDATA4 ef OP_PUSHDATA1"),
        ("4f50b1b2ba", "OP_PUSHNUM_NEG1 OP_RESERVED OP_CLTV OP_CSV OP_CHECKSIGADD"),
        ("bbfeff", "OP_RETURN_187 OP_RETURN_254 OP_INVALIDOPCODE"),
        ("", ""),
        ("6a05aabb", f"OP_RETURN OP_PUSHBYTES_5 {PAST_END}"),
        ("4d01", f"OP_PUSHDATA2 {PAST_END}"),
        ("4c", f"OP_PUSHDATA1 {PAST_END}"),
        ("4effffffff00", f"OP_PUSHDATA4 {PAST_END}"),
    ],
)
def test_scripts_in_words(script: str, words: str) -> None:
    assert disassembled(bytes.fromhex(script)) == words


def test_words_are_bounded() -> None:
    for script in (b"\x61" * 100_000, b"\x4e\x40\x42\x0f\x00" + bytes(1_000_000)):
        words = disassembled(script)
        assert len(words) == 20_001
        assert words.endswith(CUT)
    assert disassembled(b"\x61" * 3, most=20) == "OP_NOP OP_NOP OP_NOP"
    assert disassembled(b"\x61" * 3, most=19) == "OP_NOP OP_NOP OP_NO…"


def test_every_instruction_has_a_name() -> None:
    assert len(NAMES) == len(set(NAMES)) == 256
    assert (NAMES[0xAC], NAMES[0xAE], NAMES[0xB1], NAMES[0x6A]) == (
        "OP_CHECKSIG",
        "OP_CHECKMULTISIG",
        "OP_CLTV",
        "OP_RETURN",
    )


@given(st.binary(max_size=200))
def test_any_bytes_are_a_script(script: bytes) -> None:
    assert kind_of(script)
    disassembled(script)
    found = list(steps(script))
    assert each(step.whole for step in found[:-1]) if len(found) > 1 else True
    assert (
        of_script(script, MAIN).text == read(of_script(script, MAIN).text or "00", MAIN, scripts=True).text
        or not script
    )


@given(st.binary(max_size=200))
def test_our_own_ripemd160(message: bytes) -> None:
    assert ripemd160.ripemd160(message) == hashlib.new("ripemd160", message).digest()


def test_ripemd160_of_the_paper() -> None:
    assert ripemd160.ripemd160(b"").hex() == "9c1185a5c5e9fc54612808977ee8f548b2258d31"
    assert ripemd160.ripemd160(b"message digest").hex() == "5d0689ef49d2fae572b881b123a85ffa21595f36"


def test_the_genesis_coinbase_in_words() -> None:
    assert disassembled(GENESIS_COINBASE).startswith("OP_PUSHBYTES_4 ffff001d OP_PUSHBYTES_1 04 OP_PUSHBYTES_69 5468")
