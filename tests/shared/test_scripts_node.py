"""Bitcoin Core's own word on addresses, scripts and descriptors: a regtest node is asked about what we made of them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from local_run.node import RegtestNode
from shared.errors import Unreadable
from shared.networks import NETWORKS
from shared.scripts import base58, bip380
from shared.scripts.address import of_script, read, write
from shared.scripts.asm import disassembled
from shared.scripts.bech32 import CHARSET
from shared.scripts.kinds import kind_of, multisig
from shared.scripts.message import coinbase
from shared.scripts.opcodes import NAMES
from support.scripts import GENESIS_COINBASE, GENESIS_SCRIPT, KEY, KNOWN, OTHER_KEY, tried

REGTEST = NETWORKS["regtest"]
KINDS = {
    "pubkey": {"p2pk"},
    "pubkeyhash": {"p2pkh"},
    "scripthash": {"p2sh"},
    "witness_v0_keyhash": {"v0_p2wpkh"},
    "witness_v0_scripthash": {"v0_p2wsh"},
    "witness_v1_taproot": {"v1_p2tr"},
    "anchor": {"p2a"},
    "witness_unknown": {"witness"},
    "multisig": {"multisig"},
    "nulldata": {"op_return"},
    "nonstandard": {"unknown", "empty", "op_return"},  # of one whose pushes are not whole Core says no more
}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path_factory.mktemp("node")) as it:
        yield it


def made_up(chance: random.Random) -> bytes:
    """A script with an address."""
    match chance.randrange(5):
        case 0:
            return b"\x76\xa9\x14" + chance.randbytes(20) + b"\x88\xac"
        case 1:
            return b"\xa9\x14" + chance.randbytes(20) + b"\x87"
        case 2:
            return b"\0\x14" + chance.randbytes(20)
        case 3:
            return b"\0\x20" + chance.randbytes(32)
        case _:
            size = chance.choice((2, 3, 20, 31, 32, 32, 33, 40))
            return bytes((chance.choice((0x51, 0x51, 0x52, 0x60)), size)) + chance.randbytes(size)


async def test_addresses(node: RegtestNode) -> None:
    chance = random.Random(11)
    scripts = [made_up(chance) for _ in range(300)]
    addresses = [write(script, REGTEST) for script in scripts]
    answers = await node.batch([("validateaddress", [address]) for address in addresses])
    for script, address, answer in zip(scripts, addresses, answers, strict=True):
        assert answer["isvalid"], address
        assert answer["scriptPubKey"] == script.hex()
        assert answer["address"] == address


async def test_places_of_wrong_characters(node: RegtestNode) -> None:
    """One to three wrong symbols of bech32: the same places as Core finds, or as little."""
    chance = random.Random(12)
    wrong: list[str] = []
    while len(wrong) < 300:
        address = write(made_up(chance), REGTEST) or ""
        if address.startswith("bcrt1"):
            signs = list(address)
            for place in chance.sample(range(5, len(signs)), chance.choice((1, 1, 2, 2, 2, 3))):
                signs[place] = chance.choice(CHARSET)
            wrong.append("".join(signs))
    wrong += ["bcrt1" + "".join(chance.choices(CHARSET, k=chance.randrange(14, 80))) for _ in range(200)]
    answers = await node.batch([("validateaddress", [address]) for address in wrong])
    found = 0
    for address, answer in zip(wrong, answers, strict=True):
        ours = tried(read, address, REGTEST)
        if isinstance(ours, Unreadable):
            assert not answer["isvalid"], address
            if ours.reason == "checksum":
                assert list(ours.places) == sorted(answer["error_locations"]), address
                found += bool(ours.places)
        else:
            assert answer["scriptPubKey"] == ours.script.hex()
    assert found > 150


async def test_what_core_refuses_is_refused(node: RegtestNode) -> None:
    chance = random.Random(13)
    texts = [
        base58.encode(bytes((chance.choice((0, 5, 111, 196, 128, 48)),)) + chance.randbytes(20)) for _ in range(100)
    ]
    texts += [base58.encode(chance.randbytes(chance.choice((19, 20, 21, 22)))) for _ in range(100)]
    texts += [address for _, _, address in KNOWN if address]
    answers = await node.batch([("validateaddress", [text]) for text in texts])
    for text, answer in zip(texts, answers, strict=True):
        assert answer["isvalid"] != isinstance(tried(read, text, REGTEST), Unreadable), text


async def test_scripts(node: RegtestNode) -> None:
    chance = random.Random(14)
    scripts = [bytes.fromhex(script) for _, script, _ in KNOWN]
    scripts += [made_up(chance) for _ in range(100)]
    keys = [bytes.fromhex(key) for key in (KEY, OTHER_KEY)] + [GENESIS_SCRIPT[1:66], b"\x05" + bytes(32), b"\x02"]
    numbers = [b"\x51", b"\x52", b"\x53", b"\0", b"\x01\x11", b"\x01\x05", b"\x60"]
    for _ in range(300):  # most of them nearly a multisig
        chosen = [chance.choice(keys[:3] if chance.random() < 0.9 else keys) for _ in range(chance.randrange(5))]
        count = bytes((0x50 + len(chosen),)) if chosen and chance.random() < 0.8 else chance.choice(numbers)
        scripts.append(chance.choice(numbers) + b"".join(bytes((len(key),)) + key for key in chosen) + count + b"\xae")
    for script in list(scripts):
        if script:
            bitten = bytearray(script)
            bitten[chance.randrange(len(bitten))] = chance.randrange(256)
            scripts += [bytes(bitten), script[: chance.randrange(len(script))]]
    answers = await node.batch([("decodescript", [script.hex()]) for script in scripts])
    many = 0
    for script, answer in zip(scripts, answers, strict=True):
        assert kind_of(script) in KINDS[answer["type"]], (script.hex(), answer)
        assert write(script, REGTEST) == answer.get("address"), script.hex()
        found = multisig(script)
        many += found is not None
        if found is not None:
            assert answer["asm"].split()[1:-2] == [key.hex() for key in found.keys]
            assert answer["asm"].split()[0] == str(found.needed)
    assert many > 50


async def test_instructions_have_core_s_names(node: RegtestNode) -> None:
    ours = {"CLTV": "CHECKLOCKTIMEVERIFY", "CSV": "CHECKSEQUENCEVERIFY"}
    codes = [0x50, *range(0x61, 0xBB)]
    answers = await node.batch([("decodescript", [f"{code:02x}"]) for code in codes])
    for code, answer in zip(codes, answers, strict=True):
        name = NAMES[code].removeprefix("OP_")
        assert answer["asm"] == f"OP_{ours.get(name, name)}"


async def test_words_of_scripts(node: RegtestNode) -> None:
    """Core names no push, and writes numbers as they are: without that the words are the same."""
    for _, script, _ in KNOWN:
        answer = await node.rpc("decodescript", script)
        if answer["type"] in ("pubkey", "pubkeyhash", "scripthash"):
            words = [word for word in disassembled(bytes.fromhex(script)).split() if "PUSHBYTES" not in word]
            assert answer["asm"].split() == words


async def test_the_genesis_block(node: RegtestNode) -> None:
    block = await node.rpc("getblock", REGTEST.genesis_hash, 2)
    first = block["tx"][0]
    assert first["vin"][0]["coinbase"] == GENESIS_COINBASE.hex()
    assert coinbase(bytes.fromhex(first["vin"][0]["coinbase"])).text.startswith("The Times 03/Jan/2009")  # type: ignore[union-attr]  # a failure as well
    assert first["vout"][0]["scriptPubKey"]["hex"] == GENESIS_SCRIPT.hex()
    assert of_script(GENESIS_SCRIPT, REGTEST).text == GENESIS_SCRIPT[1:66].hex()


async def test_checksums_of_descriptors(node: RegtestNode) -> None:
    for body in (f"pk({KEY})", f"wsh(sortedmulti(1,{KEY},{OTHER_KEY}))", "raw(51)", f"tr({KEY},pk({OTHER_KEY}))"):
        answer = await node.rpc("getdescriptorinfo", body)
        assert bip380.checksum(body) == answer["checksum"]
