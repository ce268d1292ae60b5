"""A miner for regtest: assembles blocks out of the node's template, with a tag in the coinbase as pools leave one.

`generatetoaddress` would do but for the tag. Formats: BIP 22 (template), BIP 34 (height), BIP 141 (commitment).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from local_run.errors import SetupError
from local_run.node import RegtestNode

TAGS: Final = ("/Demo Miner One/", "/Demo Miner Two/", "/Demo Miner Three/")

_NONCES: Final = 1000  # on regtest every second one will do
_NULL_OUTPOINT = bytes(32) + b"\xff\xff\xff\xff"
_FINAL = b"\xff\xff\xff\xff"


class _Transaction(msgspec.Struct):
    data: str
    txid: str


class Template(msgspec.Struct):
    """The parts of `getblocktemplate`'s answer that a block is made of; `coinbasevalue` in satoshi."""

    version: int
    previousblockhash: str
    transactions: list[_Transaction]
    coinbasevalue: int
    curtime: int
    bits: str
    height: int
    target: str
    default_witness_commitment: str


async def mine(node: RegtestNode, script: bytes, tag: str) -> tuple[str, int, int]:
    """Mine one block with all that the template holds, paying to `script`; returns hash, height, transactions.

    Raises as shared.rpc does, and SetupError when the node refuses the block.
    """
    template = await node.rpc("getblocktemplate", {"rules": ["segwit"]}, kind=Template)
    block_hash, block = assemble(template, script, tag)
    refusal = await node.rpc("submitblock", block.hex())
    if refusal not in (None, "inconclusive"):  # BIP 22: null is accepted; inconclusive has lost a race
        raise SetupError(f"the node refused block {template.height}: {refusal}")
    return block_hash, template.height, len(template.transactions) + 1


def assemble(template: Template, script: bytes, tag: str) -> tuple[str, bytes]:
    """A valid block and its hash (hex, RPC order)."""
    coinbase, witness_coinbase = _coinbase(template, script, tag.encode())
    txids = [_sha256d(coinbase), *(bytes.fromhex(transaction.txid)[::-1] for transaction in template.transactions)]
    fixed = (
        struct.pack("<i", template.version)
        + bytes.fromhex(template.previousblockhash)[::-1]
        + merkle_root(txids)
        + struct.pack("<I", template.curtime)
        + bytes.fromhex(template.bits)[::-1]
    )
    target = int(template.target, 16)
    for nonce in range(_NONCES):
        header = fixed + struct.pack("<I", nonce)
        digest = _sha256d(header)
        if int.from_bytes(digest, "little") <= target:
            body = [bytes.fromhex(transaction.data) for transaction in template.transactions]
            count = _compact_size(1 + len(body))
            return digest[::-1].hex(), b"".join([header, count, witness_coinbase, *body])
    raise SetupError(f"no nonce reaches the target {template.target}; expected a regtest node")


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Of hashes in internal byte order; an odd row repeats its last one."""
    row = list(leaves)
    while len(row) > 1:
        if len(row) % 2:
            row.append(row[-1])
        row = [_sha256d(left + right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def _coinbase(template: Template, script: bytes, tag: bytes) -> tuple[bytes, bytes]:
    """The coinbase without its witness, which its txid is made of, and with it."""
    input_script = _push_number(template.height) + bytes([len(tag)]) + tag
    commitment = bytes.fromhex(template.default_witness_commitment)
    inputs = b"\x01" + _NULL_OUTPOINT + _with_size(input_script) + _FINAL
    outputs = (
        b"\x02"
        + struct.pack("<q", template.coinbasevalue)
        + _with_size(script)
        + struct.pack("<q", 0)
        + _with_size(commitment)
    )
    version, locktime = struct.pack("<i", 2), bytes(4)
    reserved = b"\x01" + _with_size(bytes(32))  # what the template's commitment was made with
    return (
        version + inputs + outputs + locktime,
        version + b"\x00\x01" + inputs + outputs + reserved + locktime,
    )


def _push_number(number: int) -> bytes:
    """A script that pushes a positive number, in its one minimal form, which BIP 34 asks for."""
    if 1 <= number <= 16:
        return bytes([0x50 + number])  # OP_1 to OP_16
    length = number.bit_length() // 8 + 1  # the highest bit is the sign
    return bytes([length]) + number.to_bytes(length, "little")


def _with_size(script: bytes) -> bytes:
    return _compact_size(len(script)) + script


def _compact_size(number: int) -> bytes:
    if number < 0xFD:
        return bytes([number])
    return b"\xfd" + struct.pack("<H", number) if number <= 0xFFFF else b"\xfe" + struct.pack("<I", number)


def _sha256d(raw: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(raw).digest()).digest()
