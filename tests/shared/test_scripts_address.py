"""Addresses: BIP 173's and BIP 350's vectors, embit as a second opinion, and which character is wrong."""

from __future__ import annotations

import statistics
import time

import pytest
from embit.networks import NETWORKS as EMBIT  # type: ignore[import-untyped]  # embit has no types
from embit.script import Script, address_to_scriptpubkey  # type: ignore[import-untyped]  # as above
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.networks import NETWORKS
from shared.scripts import base58, bech32
from shared.scripts.address import of_script, read, write
from shared.scripts.kinds import kind_of
from support.each import each
from support.scripts import GENESIS_SCRIPT, KEY, KNOWN, programs, refused, with_address

MAIN, TEST, REGTEST = NETWORKS["main"], NETWORKS["test"], NETWORKS["regtest"]
GENESIS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
WPKH = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
TAPROOT = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"


@pytest.mark.parametrize(("kind", "script", "address"), KNOWN)
def test_known_scripts_have_their_address(kind: str, script: str, address: str | None) -> None:
    raw = bytes.fromhex(script)
    assert write(raw, MAIN) == address
    if raw:
        found = read(of_script(raw, MAIN).text, MAIN, scripts=True)
        assert (found.script, found.kind) == (raw, kind)
    if address:
        assert read(f" {address}\n", MAIN) == (raw, kind, address)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "0014751e76e8199196d454941c45d1b3a323f1433bd6"),
        (
            "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
            "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
        ),
        (
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
            "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        ("BC1SW50QGDZ25J", "6002751e"),
        ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "5210751e76e8199196d454941c45d1b3a323"),
        (
            "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy",
            "0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
        ),
        (
            "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
            "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
        ),
        (TAPROOT, "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
    ],
)
def test_valid_vectors(text: str, script: str) -> None:
    network = MAIN if text.lower().startswith("bc") else TEST
    found = read(text, network)
    assert found.script.hex() == script
    assert found.text == text.lower()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut", "prefix"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "encoding"),
        ("tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf", "encoding"),
        ("BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL", "encoding"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "encoding"),
        ("tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47", "encoding"),
        ("bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", "character"),
        ("BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", "witness-version"),
        ("bc1pw5dgrnzv", "witness-length"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav", "witness-length"),
        ("BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "witness-length"),
        ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq", "mixed-case"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf", "padding"),
        ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j", "padding"),
        ("bc1gmk9yu", "too-short"),
    ],
)
def test_invalid_vectors(text: str, reason: str) -> None:
    assert refused(read, text, MAIN if text.lower().startswith("bc") else TEST).reason == reason


@pytest.mark.parametrize(
    ("text", "reason", "places", "fields"),
    [
        ("", "empty", (), {}),
        (GENESIS.replace("N", "0"), "character", (32,), {"sign": "0", "looks_like": ("o", "D", "Q")}),
        (GENESIS.replace("L", "l"), "character", (21,), {"codepoint": "U+006C", "looks_like": ("1", "i", "L")}),
        (GENESIS.replace("a", "а"), "character", (33,), {"codepoint": "U+0430", "looks_like": ("a",)}),  # noqa: RUF001 - Cyrillic
        (WPKH.replace("w508", "w5b8"), "character", (6,), {"sign": "b", "looks_like": ("6", "8")}),
        (WPKH[:-1] + "1", "character", (41,), {"looks_like": ("l", "7")}),
        (WPKH.replace("1", "l"), "separator", (2,), {}),
        (WPKH.replace("1", ""), "separator", (2,), {}),
        (WPKH.replace("q", "Q", 1), "mixed-case", (3,), {}),
        (WPKH.upper().replace("Q", "q", 1), "mixed-case", (3,), {}),
        (WPKH[:-1] + "5", "checksum", (41,), {}),
        (WPKH[:20] + "qqq" + WPKH[23:], "checksum", (), {}),
        (WPKH + "q" * 60, "too-long", tuple(range(90, 102)), {"length": 102, "most": 90}),
        ("bc1", "too-short", (), {"length": 3}),
        ("bd" + WPKH[2:], "prefix", (0, 1), {"prefix": "bd", "expected": "bc"}),
        (GENESIS[:-1] + "b", "checksum", (33,), {}),
        (GENESIS[:-2] + "aN", "swapped", (32, 33), {}),
        (GENESIS.lower(), "character", (21,), {"sign": "l"}),
        (GENESIS[:20] + "zzz" + GENESIS[23:], "checksum", (), {}),
        (GENESIS[:-1], "checksum", (), {}),
        (GENESIS[:-3], "address-length", (), {"length": 31, "bytes": 23, "expected": 25}),
        ("1" + GENESIS[:-1] + "b", "address-length", (), {"length": 35, "bytes": 26}),  # two faults
        (GENESIS + "11", "address-length", (), {"length": 36, "bytes": 27}),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "network", (), {"networks": ("test", "testnet4", "signet", "regtest")}),
        ("2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc", "network", (), {"expected": "main"}),
        ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "network", (0, 1, 2, 3), {"networks": ("regtest",)}),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "network", (0, 1), {"networks": ("test", "testnet4", "signet")}),
        ("LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9", "other-coin", (), {"coin": "Litecoin"}),
        ("ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9", "other-coin", (), {"coin": "Litecoin"}),
        ("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "other-coin", (), {"coin": "Bitcoin Cash"}),
        ("lnbc2500u1pvjluez", "lightning", (), {}),
        ("sp1qqgste7k9hx0qftg6qmwlkqtwuy6cycyavzmzj85c6qdfhjdpdjtdgqjuexz", "silent-payment", (), {}),
        ("5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", "private-key", (), {}),
        ("KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn", "private-key", (), {}),
        (KEY[:-2], "public-key", (), {"length": 64}),
        ("05" + KEY[2:], "public-key", (), {"length": 66}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(text: str, reason: str, places: tuple[int, ...], fields: dict[str, object]) -> None:
    error = refused(read, text, MAIN)
    assert (error.reason, error.places) == (reason, places)
    assert {name: error.fields.get(name) for name in fields} == fields


def test_an_address_whose_case_was_lost_is_told_so() -> None:
    shouted = "1BTCADDRESSHSHUTEDHASNUMERAS111111"[:26] + "22222222"
    assert refused(read, shouted, MAIN).reason == "lost-case"


def test_a_public_key_stands_for_the_output_that_names_it() -> None:
    key = GENESIS_SCRIPT[1:66].hex()
    found = read(key.upper(), MAIN)
    assert found == (GENESIS_SCRIPT, "p2pk", key)
    assert read(KEY, MAIN).script.hex() == f"21{KEY}ac"


def test_scripts_are_read_where_asked_for() -> None:
    assert read("6A00", MAIN, scripts=True) == (b"\x6a\x00", "op_return", "6a00")
    assert read("0014" + "11" * 20, MAIN, scripts=True).text == write(b"\0\x14" + b"\x11" * 20, MAIN)
    assert read(GENESIS, MAIN, scripts=True).kind == "p2pkh"
    assert refused(read, "6a0", MAIN, scripts=True).reason == "script"
    assert refused(read, "zz" * 2_000, MAIN, scripts=True).reason == "script"
    assert refused(read, "00" * 10_001, MAIN, scripts=True).reason == "too-long"
    assert refused(read, "6a00", MAIN).reason == "character"


@given(with_address(), st.sampled_from(sorted(NETWORKS)))
def test_what_is_written_is_read_again(script: bytes, name: str) -> None:
    network = NETWORKS[name]
    text = write(script, network)
    assert text
    assert read(text, network) == (script, kind_of(script), text)
    if text.lower().startswith(network.hrp):
        assert read(text.upper(), network).script == script
    elsewhere = REGTEST if network.hrp != "bcrt" else MAIN
    if network.p2pkh != elsewhere.p2pkh or network.hrp in text[:4]:
        error = refused(read, text, elsewhere)
        assert error.reason == "network"
        assert name in str(error.fields["networks"])


@given(with_address())
def test_embit_agrees(script: bytes) -> None:
    assume(len(script) in (22, 23, 25, 34))
    address = write(script, MAIN)
    if script[0] <= 0x51:  # it writes no later versions
        assert address == Script(script).address(EMBIT["main"])
    assert address_to_scriptpubkey(address).data == script


@given(st.binary(max_size=60))
def test_base58_is_read_back(payload: bytes) -> None:
    assert base58.bytes_of(base58.encode(payload))[:-4] == payload


@given(with_address().filter(lambda script: len(script) in (23, 25) and script[0] > 0x60), st.data())
def test_one_wrong_digit_is_found(script: bytes, data: st.DataObject) -> None:
    address = write(script, MAIN) or ""
    place = data.draw(st.integers(1, len(address) - 1))  # another first digit may be another network's
    digit = data.draw(st.sampled_from(base58.DIGITS.replace(address[place], "")))
    error = refused(read, address[:place] + digit + address[place + 1 :], MAIN)
    assert error.reason in ("checksum", "address-length")
    assert error.places in ((place,), ()) if place < 3 else error.places == (place,)


@given(with_address().filter(lambda script: len(script) in (23, 25) and script[0] > 0x60), st.data())
def test_two_digits_that_changed_places_are_found(script: bytes, data: st.DataObject) -> None:
    address = write(script, MAIN) or ""
    place = data.draw(st.integers(3, len(address) - 2))
    one, two = address[place], address[place + 1]
    assume(one != two)
    error = refused(read, address[:place] + two + one + address[place + 2 :], MAIN)
    assert (error.reason, error.places) == ("swapped", (place, place + 1))


@given(programs(), st.data())
def test_up_to_two_wrong_symbols_are_found(script: bytes, data: st.DataObject) -> None:
    address = write(script, MAIN) or ""
    places = data.draw(st.sets(st.integers(3, len(address) - 1), min_size=1, max_size=2))
    wrong = list(address)
    for place in places:
        wrong[place] = data.draw(st.sampled_from(bech32.CHARSET.replace(address[place], "")))
    error = refused(read, "".join(wrong), MAIN)
    assert error.reason == "checksum"
    assert error.places == tuple(sorted(places))


@given(st.text(max_size=120))
def test_whatever_is_entered_is_read_or_refused(text: str) -> None:
    for network in (MAIN, REGTEST):
        error = refused(read, text, network)
        assert error.reason
        assert each(0 <= place < len(text) for place in error.places) if error.places else True


def test_thousands_are_written_within_one_page() -> None:
    """15 microseconds an output, for kind and address; five times that here, where other work takes the processor."""
    for _, script, address in KNOWN:
        if address:
            raw, taken = bytes.fromhex(script), []
            for _ in range(500):
                begun = time.perf_counter_ns()
                kind_of(raw)
                write(raw, MAIN)
                taken.append(time.perf_counter_ns() - begun)
            assert statistics.median(taken) < 5 * 15_000, address
