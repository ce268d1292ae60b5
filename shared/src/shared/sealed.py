"""What only web and explorer can read, although it lies in Redis: entered wallets, and what was found about them.

AES-256-GCM with keys that follow from the installation's secret (WALLET_SECRET) by HKDF (RFC 5869). What is sealed
ends at a moment that stands inside, and is bound to what it is about: another wallet's does not open in its place.
A wallet's page is named by a random handle; Redis sees a keyed hash of it, so that whoever reads Redis knows no page.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import zlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.errors import ConfigError, SealBroken, SealExpired

HANDLE_BYTES: Final = 18
"""144 bits, which are 24 characters without padding."""

LONGEST_OPENED: Final = 32 * 1024 * 1024
"""Bytes of what was sealed, so that what is compressed cannot fill the memory."""

_FORM: Final = b"\x01"
_NONCE: Final = 12
_PAD: Final = 256
_HANDLE: Final = re.compile(r"[A-Za-z0-9_-]{24}")


def new_handle() -> str:
    """Names a wallet's page: at random, 144 bits, as it stands in an address."""
    return secrets.token_urlsafe(HANDLE_BYTES)


def is_handle(text: str) -> bool:
    """Whether it has the form of a handle."""
    return _HANDLE.fullmatch(text) is not None


class Seal:
    """Seals and opens; the same secret opens what another process sealed."""

    def __init__(self, secret: str) -> None:
        """Raises ConfigError without a secret."""
        if not secret:
            raise ConfigError("WALLET_SECRET is not set: expected at least 32 characters at random")
        self._cipher = AESGCM(_derived(secret, b"seal"))
        self._naming = _derived(secret, b"name")

    def __repr__(self) -> str:
        return "Seal(…)"

    def name(self, handle: str) -> str:
        """What Redis knows the handle's page by: 32 hex digits, from which the handle does not follow."""
        return hmac.digest(self._naming, handle.encode(), hashlib.sha256)[:16].hex()

    def seal(self, content: bytes, *, about: str, until_ms: int) -> str:
        """URL-safe text. `about` says whose it is and what; `until_ms` (Unix milliseconds) when it ends."""
        packed = zlib.compress(content, 6)
        padding = -len(packed) % _PAD  # so that the length says little: a key, or a descriptor
        inside = until_ms.to_bytes(8, "big") + len(packed).to_bytes(4, "big") + packed + bytes(padding)
        nonce = secrets.token_bytes(_NONCE)
        closed = _FORM + nonce + self._cipher.encrypt(nonce, inside, _FORM + about.encode())
        return base64.urlsafe_b64encode(closed).rstrip(b"=").decode()

    def open(self, sealed: str, *, about: str, now_ms: int) -> bytes:
        """What was sealed. Raises SealExpired after its end, SealBroken for all that is not ours, or not about this."""
        try:
            raw = sealed.encode("ascii")
            closed = base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raise SealBroken("sealed content is no URL-safe base64") from None
        if closed[:1] != _FORM or len(closed) < 1 + _NONCE + 16 + 12:
            raise SealBroken("sealed content has an unknown form")
        nonce = closed[1 : 1 + _NONCE]
        try:
            inside = self._cipher.decrypt(nonce, closed[1 + _NONCE :], _FORM + about.encode())
        except InvalidTag:
            raise SealBroken("sealed content is of another secret, about something else, or damaged") from None
        if now_ms >= int.from_bytes(inside[:8], "big"):
            raise SealExpired("sealed content has ended")
        length = int.from_bytes(inside[8:12], "big")
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(inside[12 : 12 + length], LONGEST_OPENED)
        if not unpacking.eof:
            raise SealBroken(f"sealed content is longer than {LONGEST_OPENED} bytes")
        return content


def _derived(secret: str, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=b"bitcoin-dashboard", info=b"wallet " + purpose).derive(secret.encode())
