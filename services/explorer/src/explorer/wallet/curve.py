"""Points of secp256k1 and the hashes around them: all that is taken from embit's binding of libsecp256k1.

A point is 64 bytes of the library's own form. Raises ValueError for what is no point.
"""

from __future__ import annotations

import hashlib
from typing import Final, cast

from embit.util import secp256k1  # type: ignore[import-untyped]  # embit has no types

NATIVE: Final = secp256k1.ec_pubkey_add.__module__.endswith("ctypes_secp256k1")
"""False: embit found no library for this machine, and its Python in place of it is a thousand times slower."""


def parse(key: bytes) -> bytes:
    """The point of a public key of 33 or 65 bytes (SEC 1)."""
    return cast("bytes", secp256k1.ec_pubkey_parse(key))


def compressed(point: bytes) -> bytes:
    """33 bytes."""
    return cast("bytes", secp256k1.ec_pubkey_serialize(point))


def add(point: bytes, tweak: bytes) -> bytes:
    """The point and `tweak` (32 bytes) times the generator."""
    return cast("bytes", secp256k1.ec_pubkey_add(point, tweak))


def sha256d(content: bytes) -> bytes:
    """SHA-256 twice."""
    return hashlib.sha256(hashlib.sha256(content).digest()).digest()


_TAGS: Final = {tag: hashlib.sha256(tag.encode()).digest() * 2 for tag in ("TapLeaf", "TapBranch", "TapTweak")}


def tagged(tag: str, content: bytes) -> bytes:
    """BIP 340's hash with one of Taproot's tags."""
    return hashlib.sha256(_TAGS[tag] + content).digest()


def output_key(internal: bytes, root: bytes = b"") -> bytes:
    """BIP 341: what an output shows (32 bytes) of an internal key (32 bytes) and the root of its tree of scripts."""
    point = parse(b"\x02" + internal)
    return compressed(add(point, tagged("TapTweak", internal + root)))[1:]
