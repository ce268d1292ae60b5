"""Parsing transactions: any that can be serialised, broken ones, and what a real node says of every script type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from chain_ingest.transaction import FINGERPRINT, compact, fingerprint, is_coinbase, parse, walk
from local_run.node import RegtestNode
from shared.rpc import satoshi
from support import spending

# --- any transaction ---------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    for limit, lead, width in ((0xFD, b"", 1), (1 << 16, b"\xfd", 2), (1 << 32, b"\xfe", 4), (1 << 64, b"\xff", 8)):
        if number < limit:
            return lead + number.to_bytes(width, "little")
    raise OverflowError


@dataclass
class Made:
    """A transaction and its serialisations, written by other code than what reads them."""

    raw: bytes
    stripped: bytes
    value: int
    outpoints: list[bytes]

    @property
    def txid(self) -> str:
        return sha256(sha256(self.stripped).digest()).digest()[::-1].hex()


scripts = st.one_of(st.binary(max_size=40), st.integers(0, 70_000).map(bytes))


@st.composite
def transactions(draw: st.DrawFn) -> Made:
    version, lock_time = draw(st.binary(min_size=4, max_size=4)), draw(st.binary(min_size=4, max_size=4))
    outpoints = draw(st.lists(st.binary(min_size=36, max_size=36), min_size=1, max_size=4))
    inputs = varint(len(outpoints))
    for outpoint in outpoints:
        script = draw(scripts)
        inputs += outpoint + varint(len(script)) + script + draw(st.binary(min_size=4, max_size=4))
    values = draw(st.lists(st.integers(0, 21 * 10**14), max_size=300 if draw(st.booleans()) else 3))
    outputs = varint(len(values))
    for place, value in enumerate(values):
        script = draw(scripts) if place < 3 else b"\x51"
        outputs += value.to_bytes(8, "little") + varint(len(script)) + script
    stripped = version + inputs + outputs + lock_time
    if not draw(st.booleans()):
        return Made(stripped, stripped, sum(values), outpoints)
    witness = b""
    for _ in outpoints:
        items = draw(st.lists(scripts, max_size=3))
        witness += varint(len(items)) + b"".join(varint(len(item)) + item for item in items)
    return Made(version + b"\0\1" + inputs + outputs + witness + lock_time, stripped, sum(values), outpoints)


@given(transactions())
def test_whatever_is_serialised_is_read(made: Made) -> None:
    found = parse(made.raw)
    assert (found.txid, found.size, found.value) == (made.txid, len(made.raw), made.value)
    assert found.inputs == b"".join(fingerprint(outpoint) for outpoint in made.outpoints)


@given(transactions(), st.binary(max_size=20), st.binary(max_size=20))
def test_one_is_found_within_a_buffer(made: Made, before: bytes, after: bytes) -> None:
    walked = walk(before + made.raw + after, len(before), 1)
    assert walked.starts == [len(before), len(before) + len(made.raw)]
    assert walked.outpoints() == made.outpoints
    assert walked.txid(0) == made.txid


@given(st.lists(transactions(), min_size=1, max_size=4))
def test_several_are_read_one_behind_the_other(made: list[Made]) -> None:
    walked = walk(b"".join(one.raw for one in made), 0, len(made))
    assert [walked.txid(place) for place in range(len(walked))] == [one.txid for one in made]
    assert [walked.size(place) for place in range(len(walked))] == [len(one.raw) for one in made]
    assert walked.weights() == [3 * len(one.stripped) + len(one.raw) for one in made]
    assert walked.sums == [one.value for one in made]
    assert walked.inputs == [len(one.outpoints) for one in made]
    assert (sum(walked.values), len(walked.values)) == (sum(walked.sums), sum(walked.outputs))


@given(transactions(), st.data())
def test_a_cut_one_is_an_error(made: Made, data: st.DataObject) -> None:
    end = data.draw(st.integers(0, len(made.raw) - 1))
    with pytest.raises((ValueError, IndexError)):
        parse(made.raw[:end])


@given(st.binary(max_size=300))
def test_rubbish_ends_in_an_error_or_in_something_no_longer_than_it_is(raw: bytes) -> None:
    try:
        found = parse(raw)
    except (ValueError, IndexError):
        return
    assert found.size <= len(raw)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=9))
def test_compact_sizes(number: int, after: bytes) -> None:
    raw = varint(number)
    assert compact(raw + after, 0) == (number, len(raw))
    assert compact(b"xyz" + raw, 3) == (number, 3 + len(raw))


def test_fingerprints_are_short_and_their_own() -> None:
    seen = {fingerprint(bytes([first]) * 36) for first in range(256)}
    assert len(seen) == 256
    assert {len(one) for one in seen} == {FINGERPRINT}


# --- a real node -------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RegtestNode]:
    async with RegtestNode(tmp_path_factory.mktemp("node"), extra=["-datacarriersize=200"]) as it:
        await it.rpc("createwallet", "w")
        address = await it.rpc("getnewaddress", "", "bech32", wallet="w")
        await it.rpc("generatetoaddress", 110, address)
        yield it


@pytest.mark.asyncio(loop_scope="module")
async def test_every_script_type_is_read_as_the_node_reads_it(node: RegtestNode) -> None:
    kinds = ("legacy", "p2sh-segwit", "bech32", "bech32m")
    txids = []
    for kind in kinds:  # pay to each, so that each is spent below
        address = await node.rpc("getnewaddress", "", kind, wallet="w")
        txids.append(await node.rpc("sendtoaddress", address, 2.12345678, wallet="w"))
    await node.rpc("generatetoaddress", 1, await node.rpc("getnewaddress", wallet="w"))
    for kind in kinds:
        coins = await node.rpc("listunspent", 1, wallet="w")
        coin = next(c for c in coins if c["amount"] == 2.12345678 and KINDS[kind](c["scriptPubKey"]))
        outputs: list[dict[str, Any]] = [{await node.rpc("getnewaddress", "", one, wallet="w"): 0.1} for one in kinds]
        outputs += [{"data": "00" * 75}]
        raw = await node.rpc("createrawtransaction", [{"txid": coin["txid"], "vout": coin["vout"]}], outputs)
        funded = await node.rpc("fundrawtransaction", raw, {"changePosition": 2}, wallet="w")
        signed = await node.rpc("signrawtransactionwithwallet", funded["hex"], wallet="w")
        txids.append(await node.rpc("sendrawtransaction", signed["hex"], 0))
    many = {await node.rpc("getnewaddress", "", kinds[n % 4], wallet="w"): 0.01 for n in range(300)}
    txids.append(await node.rpc("sendmany", "", many, wallet="w"))
    swept = await node.rpc("sendall", [await node.rpc("getnewaddress", wallet="w")], None, "unset", 5, wallet="w")
    txids.append(swept["txid"])
    hashes = {await node.rpc("getbestblockhash")}
    for txid in txids:
        await compare(node, txid, hashes)
    top = await node.rpc("getblock", next(iter(hashes)))
    await compare(node, top["tx"][0], hashes)  # a coinbase


KINDS = {
    "legacy": lambda script: script.startswith("76a914"),
    "p2sh-segwit": lambda script: script.startswith("a914"),
    "bech32": lambda script: script.startswith("0014"),
    "bech32m": lambda script: script.startswith("5120"),
}


class Out(msgspec.Struct):
    value: Decimal


class Told(msgspec.Struct):
    txid: str
    hash: str
    size: int
    vsize: int
    weight: int
    vout: list[Out]
    vin: list[dict[str, Any]]


async def compare(node: RegtestNode, txid: str, hashes: set[str]) -> None:
    present = await node.rpc("getrawmempool")
    arguments = [txid, True] if txid in present else [txid, True, next(iter(hashes))]
    told: Told = await node.rpc("getrawtransaction", *arguments, kind=Told)
    raw = bytes.fromhex(await node.rpc("getrawtransaction", txid, False, *arguments[2:]))
    found = parse(raw)
    assert (found.txid, found.size) == (told.txid, told.size) == (txid, len(raw))
    assert found.value == sum(satoshi(out.value) for out in told.vout)
    walked = walk(raw, 0, 1)
    assert walked.weights() == [told.weight]
    assert (told.weight + 3) // 4 == told.vsize
    assert (walked.stripped_size(0) != len(raw)) == (told.hash != told.txid)
    assert is_coinbase(raw) == ("coinbase" in told.vin[0])
    if "coinbase" not in told.vin[0]:
        coins = [bytes.fromhex(one["txid"])[::-1] + one["vout"].to_bytes(4, "little") for one in told.vin]
        assert walked.outpoints() == coins


@pytest.mark.asyncio(loop_scope="module")
async def test_what_tests_build_is_what_the_node_reads(node: RegtestNode) -> None:
    built = spending.build([spending.Coin("11" * 32, 7, 50_000)], [10_000, 20_000])
    told = await node.rpc("decoderawtransaction", built.raw)
    found = parse(bytes.fromhex(built.raw))
    assert (built.txid, built.vsize) == (told["txid"], told["vsize"])
    assert (found.txid, found.value, found.size) == (built.txid, 30_000, told["size"])
