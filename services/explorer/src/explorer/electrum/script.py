"""Output scripts as Electrum servers know them: by their hash up to protocol 1.6, by themselves from 1.7 on."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self

_HASH: Final = re.compile("[0-9a-f]{64}")


def script_hash(script: bytes) -> str:
    """Electrum's script hash: SHA-256 of the script, bytes reversed, hex."""
    return hashlib.sha256(script).digest()[::-1].hex()


@dataclass(frozen=True, slots=True)
class Script:
    """An output script; `script` (hex) is None where only its hash is known."""

    hash: str
    script: str | None = None

    @classmethod
    def of(cls, script: str | bytes) -> Self:
        """From the script itself, as bytes or hex; ValueError where it is no hex."""
        raw = bytes.fromhex(script) if isinstance(script, str) else script
        return cls(script_hash(raw), raw.hex())

    @classmethod
    def hashed(cls, scripthash: str) -> Self:
        """From its hash alone; ValueError where it is none."""
        if not _HASH.fullmatch(scripthash):
            raise ValueError(f"{scripthash[:80]!r} is no script hash: expected 64 hex digits")
        return cls(scripthash)


Wanted = Script | str
"""A script, or a script hash in hex."""


def as_script(wanted: Wanted) -> Script:
    """A script hash in hex stands for a script of which nothing else is known."""
    return wanted if isinstance(wanted, Script) else Script.hashed(wanted)
