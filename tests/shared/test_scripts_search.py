"""What people type into the search: what is meant, or precisely what is wrong, and no key repeated."""

from __future__ import annotations

import copy
import pickle
import time
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Unreadable
from shared.networks import NETWORKS
from shared.scripts import base58, bip380
from shared.scripts.address import write
from shared.scripts.reasons import REASONS, refuse
from shared.scripts.search import HIGHEST, MOST, understood
from shared.scripts.terms import AddressTerm, Descriptor, ExtendedKey, Hash, Height, Outpoint, PoolName
from support.each import each
from support.scripts import GENESIS_SCRIPT, KEY, refused, tried, with_address
from support.scripts import KNOWN as SCRIPTS

MAIN, REGTEST, TEST = NETWORKS["main"], NETWORKS["regtest"], NETWORKS["test"]
COINBASE = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
GENESIS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
WPKH = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
XPUB = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8"
ZPUB = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
XPRV = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"
POOLS = {"foundryusa": "Foundry USA", "antpool": "AntPool", "f2pool": "F2Pool", "1thash": "1THash", "btccom": "BTC.com"}


def address(text: str) -> AddressTerm:
    found = understood(text, MAIN, POOLS)
    assert isinstance(found, AddressTerm)
    return found


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("840000", Height(840_000)),
        ("0", Height(0)),
        (" #840,000 ", Height(840_000)),
        ("block 840000", Height(840_000)),
        ("Height: 840.000", Height(840_000)),
        ("840 000", Height(840_000)),
        ("840\u202f000", Height(840_000)),
        ("840\u200b000", Height(840_000)),
        (str(HIGHEST), Height(HIGHEST)),
        (COINBASE, Hash(COINBASE, "transaction", certain=True)),
        (f"\u201c{COINBASE.upper()}\u201d,", Hash(COINBASE, "transaction", certain=True)),
        (MAIN.genesis_hash, Hash(MAIN.genesis_hash, "block")),
        ("0" * 64, Hash("0" * 64, "block")),
        (f"{COINBASE[:32]}\n{COINBASE[32:]}", Hash(COINBASE, "transaction", certain=True)),
        (f"{COINBASE}:0", Outpoint(COINBASE, 0)),
        (f"{COINBASE.upper()}:4294967295", Outpoint(COINBASE, 2**32 - 1)),
        (f"https://mempool.space/tx/{COINBASE}", Hash(COINBASE, "transaction")),
        (f"https://mempool.space/tx/{COINBASE}#vout=1", Outpoint(COINBASE, 1)),
        (f"mempool.space/de/tx/{COINBASE}?mode=details#flow=&vout=3", Outpoint(COINBASE, 3)),
        (f"https://www.blockchain.com/explorer/transactions/btc/{COINBASE}", Hash(COINBASE, "transaction")),
        ("https://blockchair.com/bitcoin/block/840000", Height(840_000)),
        ("http://127.0.0.1:3002/block-height/840000", Height(840_000)),
        (f"https://blockstream.info/block/{MAIN.genesis_hash}", Hash(MAIN.genesis_hash, "block")),
        (f"/block/{MAIN.genesis_hash}", Hash(MAIN.genesis_hash, "block")),
        (f"https://blockchair.com/bitcoin/xpub/{XPUB}", ExtendedKey(XPUB, "xpub")),
        (XPUB, ExtendedKey(XPUB, "xpub")),
        (ZPUB, ExtendedKey(ZPUB, "zpub")),
        (f"[d34db33f/84h/0'/0]{ZPUB}/<0;1>/*", ExtendedKey(f"[d34db33f/84h/0'/0]{ZPUB}/<0;1>/*", "zpub")),
        (f"wpkh({XPUB}/0/*)", Descriptor(f"wpkh({XPUB}/0/*)", "wpkh")),
        (f"tr({KEY})", Descriptor(f"tr({KEY})", "tr")),
        ("foundry", PoolName((("foundryusa", "Foundry USA"),))),
        ("FOUNDRY usa", PoolName((("foundryusa", "Foundry USA"),))),
        ("1thash", PoolName((("1thash", "1THash"),))),
        ("btc.com", PoolName((("btccom", "BTC.com"),))),
        ("pool", PoolName((("f2pool", "F2Pool"), ("antpool", "AntPool")))),
    ],
)
def test_what_is_meant(text: str, term: object) -> None:
    assert understood(text, MAIN, POOLS) == term


@pytest.mark.parametrize(
    "text",
    [
        GENESIS,
        f"bitcoin:{GENESIS}?amount=0.1&label=x",
        f"bitcoin://{GENESIS}",
        f"BITCOIN:?pj=x&BC={WPKH.upper()}",
        f"https://mempool.space/address/{WPKH}",
        "bc1q w508 d6qe jxtd g4y5 r3za rvar y0c5 xw7k v8f3 t4",
        f"{WPKH[:10]}\u200b{WPKH[10:]}\u2060\ufeff",
        f"addr({GENESIS})",
        "raw(51024e73)",
        "bc1pfeessrawgf",
        KEY,
        GENESIS_SCRIPT[1:66].hex(),
    ],
)
def test_addresses_are_found_wherever_they_stand(text: str) -> None:
    found = address(text).address.text
    assert found in text.replace(" ", "").replace("\u200b", "").lower() or found in text or found == "bc1pfeessrawgf"


@given(with_address())
def test_every_address_is_found(script: bytes) -> None:
    text = write(script, REGTEST)
    assert text
    assert understood(text, REGTEST) == understood(f"bitcoin:{text}", REGTEST)
    assert isinstance(found := understood(text, REGTEST), AddressTerm)
    assert found.address.script == script


def test_every_known_script_is_found_by_what_it_is_called() -> None:
    for kind, script, text in SCRIPTS:
        if text:
            assert address(text).address[:2] == (bytes.fromhex(script), kind)


def test_hashes_of_networks_whose_blocks_have_few_leading_zeros() -> None:
    assert understood(COINBASE, REGTEST) == Hash(COINBASE, None)
    assert understood("f" + COINBASE[1:], REGTEST) == Hash("f" + COINBASE[1:], "transaction", certain=True)
    signet = NETWORKS["signet"]
    assert understood(signet.genesis_hash, signet) == Hash(signet.genesis_hash, "block")


@pytest.mark.parametrize(
    ("text", "reason", "places", "fields"),
    [
        ("", "empty", (), {}),
        (" \u200b\n", "empty", (), {}),
        ("00840000", "leading-zero", (), {"height": "840000"}),
        ("000", "leading-zero", (), {"height": "0"}),
        ("-1", "negative", (), {}),
        ("\u2212840000", "negative", (), {}),
        ("block -1", "negative", (), {}),
        ("840000.5", "fraction", (), {}),
        ("8,40,000", "fraction", (), {}),
        ("1e6", "fraction", (), {}),
        ("500000000", "height-too-large", (), {"most": HIGHEST}),
        ("999999999999999", "height-too-large", (), {}),
        ("1" + ",000" * 2_000, "height-too-large", (), {}),
        ("٨٤٠٠٠٠", "foreign-digit", (0,), {"digit": "8", "name": "ARABIC-INDIC DIGIT EIGHT"}),
        ("84\u0966000", "foreign-digit", (2,), {"digit": "0"}),
        ("８40000", "foreign-digit", (0,), {"digit": "8"}),  # noqa: RUF001 - full width
        ("84²", "foreign-digit", (2,), {"digit": "2"}),
        (COINBASE[:-1], "hash-length", (), {"length": 63}),
        (COINBASE + "0", "hash-length", (), {"length": 65}),
        ("0" * 40, "hash-length", (), {"length": 40}),
        (COINBASE[:5] + "O" + COINBASE[6:], "hash-character", (5,), {"looks_like": ("0",)}),
        (f" {COINBASE[:5]}l{COINBASE[6:]}", "hash-character", (6,), {"looks_like": ("1",)}),
        (f"{COINBASE}:", "output-number", (), {}),
        (f"{COINBASE}:01", "output-number", (), {}),
        (f"{COINBASE}:-1", "output-number", (), {}),
        (f"{COINBASE}:4294967296", "output-number", (), {}),
        (f"{COINBASE[1:]}:1", "hash-length", (), {"length": 63}),
        (f"bitcoin:{GENESIS[:-1]}b", "checksum", (41,), {}),
        (f"https://mempool.space/address/{WPKH[:-1]}5?x", "checksum", (71,), {}),
        (f" {WPKH[:10]}\u200b{WPKH[10:-1]}5", "checksum", (43,), {}),
        ("bc1q w508 d6qe jxtd g4y5 r3za rvar y0c5 xw7k v8f3 t5", "checksum", (51,), {}),
        (WPKH.replace("a", "\u0430", 1), "character", (23,), {"looks_like": ("a",)}),
        (WPKH.replace("v", "é", 1), "character", (25,), {"codepoint": "U+00E9"}),
        (f"addr({GENESIS[:-1]}b)", "checksum", (38,), {}),
        ("bitcoin:?amount=1", "payment-link", (), {}),
        ("https://mempool.space/mining", "link", (), {}),
        ("https://mempool.space/tx/push", "link", (), {}),
        (f"https://mempool.space/signet/tx/{COINBASE}", "network", tuple(range(22, 28)), {"networks": ("signet",)}),
        (f"https://blockstream.info/liquid/tx/{COINBASE}", "other-coin", (), {"coin": "Liquid"}),
        (f"0x{COINBASE}", "other-coin", (), {"coin": "Ethereum"}),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "network", (0, 1), {"expected": "main"}),
        ("abc\x00", "control", (3,), {"codepoint": "U+0000"}),
        ("\udcff\udcfe", "control", (0,), {"codepoint": "U+DCFF"}),
        (f"{GENESIS} {WPKH}", "several", (), {}),
        ("hello world", "unknown", (), {}),
        ("🎉" * 50, "unknown", (), {}),
        ("../../etc/passwd", "link", (), {}),
        ("<script>alert(1)</script>", "unknown", (), {}),
        ("' OR 1=1 --", "unknown", (), {}),
        ("z", "unknown", (), {}),
    ],
)
def test_what_is_wrong_is_named(text: str, reason: str, places: tuple[int, ...], fields: dict[str, object]) -> None:
    error = refused(understood, text, MAIN, POOLS)
    assert (error.reason, error.places) == (reason, places)
    assert {name: error.fields.get(name) for name in fields} == fields


SECRET = [
    (XPUB[:-1] + "9", "extended-key-checksum"),
    (XPUB[:-1], "extended-key-length"),
    (XPUB[:50] + "0" + XPUB[51:], "extended-key-character"),
    (f"{XPUB}/0'/*", "extended-key-path"),
    (f"[nofinger]{XPUB}", "extended-key-path"),
    (f"wpkh({XPUB}/0/*", "descriptor"),
    (f"wpkh({XPUB}/0/*))", "descriptor"),
    (f"wpkh({XPUB}/0/*)#aaaaaaaa", "descriptor-checksum"),
    (f"wpkh({XPUB}/0/ü)", "descriptor-character"),
    (XPRV, "private-key"),
    (f"wpkh({XPRV}/0/*)", "private-key"),
    (f"https://example.org/xpub/{XPRV}", "private-key"),
    ("KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn", "private-key"),
    ("6PRVWUbkzzsbcVac2qwfssoUJAN1Xhrg6bNk8J7Nzm5H7kxEbn2Nh2ZoGg", "private-key"),
    ("abandon " * 11 + "about", "seed-words"),
    ("Zoo, " * 23 + "vote", "seed-words"),
]


@pytest.mark.parametrize(("text", "reason"), SECRET)
def test_keys_are_refused_without_repeating_them(text: str, reason: str) -> None:
    error = refused(understood, text, MAIN, POOLS)
    assert error.reason == reason
    said = f"{error!r} {error} {error.fields} {''.join(traceback.format_exception(error))}"
    for at in range(len(text) - 8):
        assert text[at : at + 8] not in said.replace("extended", "") or text[at : at + 8].isspace()


def test_keys_of_another_network() -> None:
    for text in (XPUB, f"wpkh({XPUB}/0/*)"):
        error = refused(understood, text, TEST)
        assert (error.reason, error.fields["networks"]) == ("network", ("main",))


def test_terms_do_not_show_keys() -> None:
    for text in (XPUB, f"wpkh({XPUB}/0/*)"):
        term = understood(text, MAIN)
        assert text not in f"{term} {term!r} {[term]}"
        assert copy.copy(term) == term == pickle.loads(pickle.dumps(term))  # noqa: S301 - our own


def test_a_key_that_calls_itself_otherwise_is_refused() -> None:
    whole = base58.bytes_of(XPUB)[:-4]
    private = base58.encode(whole[:45] + b"\0" + whole[46:])
    assert private.startswith("xpub")
    other = base58.encode(bytes.fromhex("0488b21f") + whole[4:])
    assert other.startswith("xpub")
    for text in (private, other):
        assert refused(understood, text, MAIN).reason == "extended-key-checksum"


def test_the_checksum_of_descriptors() -> None:
    assert bip380.checksum("raw(deadbeef)") == "89f8spxm"
    assert address("raw(deadbeef)#89f8spxm").address.text == "deadbeef"
    assert refused(understood, "raw(deadbeef)#89f8spxx", MAIN).reason == "descriptor-checksum"


GARBAGE = [
    "a" * 1_000_000,
    "\udcff" * 1_000_000,
    *(
        (sign * MOST)[:MOST]
        for sign in (
            "0", "1", "a", " a", "a.", "é", "\u200b", "bc1", "1,000,", "tx/", "/tx", "(", "wpkh(", "[", "xpub",
            "a/<0;1>", "-", "abandon ", "abc, ", "\u202e", "\u0301", "5K", "block ", "#", "'", ":", "%", "xprv",
        )
    ),
    "xpub" + "A" * (MOST - 4),
    "[" * 5_000 + "]" * 5_000,
    "wpkh(" + "(" * 4_000 + ")" * 4_000,
    "bitcoin:" + "1" * 9_000,
    "http://" + "a." * 4_000,
    COINBASE + "/<0" + ";1" * 4_000,
    XPUB + "/<0" + ";1" * 4_000,
    XPUB + "/0" * 4_000 + "x",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(GARBAGE)))
def test_garbage_is_refused_quickly(number: int) -> None:
    fastest = 1.0
    for _ in range(3):
        begun = time.perf_counter()
        refused(understood, GARBAGE[number], MAIN, POOLS)
        fastest = min(fastest, time.perf_counter() - begun)
    assert fastest < 0.1


@given(st.one_of(st.text(max_size=200), st.text("0123456789abcdefxpubcrtq1:/#?()[]*,.-' \u200b\u0430", max_size=150)))
def test_whatever_is_typed_is_understood_or_refused(text: str) -> None:
    found = tried(understood, text, MAIN, POOLS)
    if isinstance(found, Unreadable):
        assert found.reason in REASONS
        assert str(found).isprintable() or not text.isprintable()
        assert not found.places or each(0 <= place < len(text) for place in found.places)


def test_every_reason_has_a_sentence() -> None:
    names = "length most codepoint name digit prefix expected byte networks coin bytes version encoding height"
    for reason in REASONS:
        said = str(refuse(reason, 0, 1, **dict.fromkeys(names.split(), "x")))
        assert said
        assert "%(" not in said
