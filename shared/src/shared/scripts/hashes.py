"""The hashes that scripts and addresses are made with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from hashlib import sha256

from shared.scripts.ripemd160 import ripemd160 as _own


def _ripemd160() -> Callable[[bytes], bytes]:
    """OpenSSL's, or our own where it leaves this hash out (3.0.0 to 3.0.6, and where `legacy` is switched off)."""
    try:
        hashlib.new("ripemd160", b"")
    except ValueError:
        return _own
    return lambda message: hashlib.new("ripemd160", message).digest()


ripemd160 = _ripemd160()


def hash160(message: bytes) -> bytes:
    """RIPEMD-160 of SHA-256: 20 bytes."""
    return ripemd160(sha256(message).digest())


def checksum(payload: bytes) -> bytes:
    """The 4 bytes that base58check puts behind a payload."""
    return sha256(sha256(payload).digest()).digest()[:4]


def scripthash(script: bytes) -> str:
    """How Electrum's protocol names an output's script: SHA-256, its bytes reversed, in hex."""
    return sha256(script).digest()[::-1].hex()
