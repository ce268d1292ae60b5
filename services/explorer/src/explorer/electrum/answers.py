"""What Electrum servers answer, read strictly. Amounts in satoshi, hashes in hex as people write them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw

from explorer.aside import aside
from shared.errors import ElectrumMalformed
from shared.networks import COIN
from shared.pow import target

Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})*$")]
Amount = Annotated[int, Meta(ge=0, le=21_000_000 * COIN)]
Difference = Annotated[int, Meta(ge=-21_000_000 * COIN, le=21_000_000 * COIN)]
Height = Annotated[int, Meta(ge=0, le=0x7FFFFFFF)]

Status = Hash | None
"""A hash of a script's history; None: it has none."""

HEADER: Final = 80

LONG: Final = 100_000
"""Bytes from which on a list is decoded entry by entry, beside the event loop: some 1,000 entries, in a millisecond."""


class Balance(msgspec.Struct, frozen=True):
    """What a script holds."""

    confirmed: Amount
    unconfirmed: Difference  # what the mempool adds to it


class Used(msgspec.Struct, frozen=True, gc=False, rename={"txid": "tx_hash"}):
    """A transaction of a script's history."""

    txid: Hash
    height: Annotated[int, Meta(ge=-1, le=0x7FFFFFFF)]  # 0: in the mempool; -1: with inputs that are there as well
    fee: Amount | None = None  # of one in the mempool

    @property
    def waits(self) -> bool:
        """Whether it is in the mempool."""
        return self.height <= 0


class Unspent(msgspec.Struct, frozen=True, gc=False, rename={"txid": "tx_hash", "vout": "tx_pos"}):
    """An unspent output of a script."""

    txid: Hash
    vout: Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
    height: Height  # 0: in the mempool
    value: Amount


class Histories(msgspec.Struct, frozen=True):
    """Of protocol 1.7: an object around the list."""

    history: list[Used]


class Coins(msgspec.Struct, frozen=True):
    """Likewise."""

    utxos: list[Unspent]


class Merkle(msgspec.Struct, frozen=True):
    """That a transaction is in a block."""

    block_height: Height
    merkle: Annotated[list[Hash], Meta(max_length=32)]
    pos: Height

    def root(self, txid: str) -> str:
        """The Merkle root of a block that has the transaction at this position; its header's must be the same."""
        node, place = bytes.fromhex(txid)[::-1], self.pos
        for other in self.merkle:
            beside = bytes.fromhex(other)[::-1]
            node = double_sha256(beside + node if place & 1 else node + beside)
            place >>= 1
        return node[::-1].hex()


class Tip(msgspec.Struct, frozen=True):
    """The newest block of a server."""

    height: Height
    hex: Hex

    @property
    def hash(self) -> str:
        """Of the block."""
        return header_hash(bytes.fromhex(self.hex))

    @property
    def time(self) -> int:
        """That its miner gave it."""
        return int.from_bytes(bytes.fromhex(self.hex)[68:72], "little")


class Features(msgspec.Struct, frozen=True):
    """What we use of `server.features`."""

    genesis_hash: Hash


class _Histories(msgspec.Struct):
    history: list[Raw]


class _Coins(msgspec.Struct):
    utxos: list[Raw]


_LISTS: Final[Mapping[Any, tuple[Any, Any]]] = {
    list[Used]: (list[Raw], Used),
    list[Unspent]: (list[Raw], Unspent),
    Histories: (_Histories, Used),
    Coins: (_Coins, Unspent),
}
"""Answers that may be long: as a list of entries that stay bytes, and what each entry is."""


async def decoded(method: str, raw: Raw, kind: Any) -> Any:
    """As `read` does; nobody is held up by what is long."""
    if len(raw) < LONG or kind not in _LISTS:
        return read(method, raw, kind)
    return await aside(read, method, raw, kind, _by_entry)


def read(method: str, raw: Raw, kind: Any, decode: Callable[..., Any] = msgspec.json.decode) -> Any:
    """The result as this type; ElectrumMalformed says what was asked and what is wrong with it."""
    try:
        return decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ElectrumMalformed(f"the answer to {method}: {str(error)[:200]}") from None


def _by_entry(raw: Raw, type: Any) -> Any:
    shape, kind = _LISTS[type]
    listed, one = msgspec.json.decode(raw, type=shape), msgspec.json.Decoder(kind).decode
    match listed:
        case _Histories(history=entries):
            return Histories([one(entry) for entry in entries])
        case _Coins(utxos=entries):
            return Coins([one(entry) for entry in entries])
    return [one(entry) for entry in listed]


def double_sha256(raw: bytes) -> bytes:
    """As Bitcoin hashes."""
    return hashlib.sha256(hashlib.sha256(raw).digest()).digest()


def header_hash(header: bytes) -> str:
    """Of a block, in RPC order."""
    return double_sha256(header)[::-1].hex()


def checked_header(method: str, text: str) -> bytes:
    """The 80 bytes of a header that took the work that it claims; raises ElectrumMalformed."""
    header = bytes.fromhex(text)
    if len(header) != HEADER:
        raise ElectrumMalformed(f"the answer to {method}: a header of {len(header)} bytes; expected {HEADER}")
    if int(header_hash(header), 16) > target(int.from_bytes(header[72:76], "little")):
        raise ElectrumMalformed(f"the answer to {method}: a header without the work that it claims")
    return header
