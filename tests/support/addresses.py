"""Whether a Bitcoin address of mainnet has its checksum: Base58Check, BIP 173 and BIP 350."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
CONSTANTS: Final = {0: 1}
"""What the checksum comes to, by witness version; BIP 350 has another for all but the first."""

BECH32M: Final = 0x2BC830A3


def checked(address: str) -> bool:
    """Whether it is one, of any form."""
    return _bech32(address.lower()) if address.lower().startswith("bc1") else _base58(address)


def _base58(address: str) -> bool:
    number = 0
    for character in address:
        if character not in BASE58:
            return False
        number = number * 58 + BASE58.index(character)
    raw = number.to_bytes(25, "big") if number < 256**25 else b""
    return len(raw) == 25 and raw[0] in (0, 5) and sha256(sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def _bech32(address: str) -> bool:
    prefix, _, rest = address.partition("1")
    if len(rest) < 8 or any(character not in BECH32 for character in rest):
        return False
    values = [BECH32.index(character) for character in rest]
    expanded = [ord(character) >> 5 for character in prefix] + [0] + [ord(character) & 31 for character in prefix]
    checksum = 1
    for value in expanded + values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(GENERATORS):
            checksum ^= generator if top >> place & 1 else 0
    return checksum == CONSTANTS.get(values[0], BECH32M)
