"""How a transaction is kept in Redis: 32 bytes and its parents' txids, so that a restart goes on where it stopped."""

from __future__ import annotations

import struct
from typing import Final

from mempool.graph import Tx

_RECORD: Final = struct.Struct("<QQIIII")  # fee, value, vsize, weight, size, time
_TXID: Final = 32


def pack(tx: Tx) -> bytes:
    """A transaction's record."""
    fixed = _RECORD.pack(tx.fee, tx.value, tx.vsize, tx.weight, tx.size, tx.time)
    return fixed + b"".join(tx.parents) if tx.parents else fixed


def unpack(record: bytes) -> tuple[Tx, list[bytes]]:
    """A transaction and its parents' txids."""
    fee, value, vsize, weight, size, time = _RECORD.unpack_from(record)
    parents = [record[at : at + _TXID] for at in range(_RECORD.size, len(record), _TXID)]
    return Tx(fee, vsize, weight, size, value, time), parents
