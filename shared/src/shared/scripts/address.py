"""Addresses to scripts and back (BIP 13, 141, 173, 350; pay to anchor), as bitcoin/src/key_io.cpp has them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from shared.lookups.parts import Kind
from shared.networks import NETWORKS, Network
from shared.scripts import base58, bech32
from shared.scripts.elsewhere import FIRST_BYTES, refuse_elsewhere
from shared.scripts.hashes import scripthash
from shared.scripts.kinds import is_key, kind_of, public_key, witness
from shared.scripts.reasons import refuse

LONGEST_SCRIPT: Final = 10_000
"""Bytes above which nobody can spend a script."""

PREFIXES: Final = frozenset(network.hrp for network in NETWORKS.values())

_LONGEST: Final = 130
_HEX: Final = re.compile("[0-9a-fA-F]+")
_KEY: Final = re.compile("0[23467][0-9a-fA-F]*")
_FIRST_BYTES: Final = frozenset(first for network in NETWORKS.values() for first in (network.p2pkh, network.p2sh))
_PRIVATE_BYTES: Final = frozenset((128, 239))
_DECODED: Final = 25  # bytes of a base58 address: the first, 20 of a hash, 4 of the checksum


class Address(NamedTuple):
    """A script and how it is written: as an address, else the public key, else the script in hex."""

    script: bytes
    kind: Kind
    text: str

    @property
    def scripthash(self) -> str:
        """Electrum's name for it."""
        return scripthash(self.script)


def write(script: bytes, network: Network) -> str | None:
    """The address of an output's script; None where there is none for its kind, such as P2PK and bare multisig."""
    size = len(script)
    if size == 25 and script.startswith(b"\x76\xa9\x14") and script.endswith(b"\x88\xac"):
        return base58.encode(bytes((network.p2pkh,)) + script[3:23])
    if size == 23 and script.startswith(b"\xa9\x14") and script.endswith(b"\x87"):
        return base58.encode(bytes((network.p2sh,)) + script[2:22])
    program = witness(script)
    if program is None or (not program.version and size not in (22, 34)):
        return None
    return bech32.encode(network.hrp, *program)


def of_script(script: bytes, network: Network) -> Address:
    """What stands for a script on this network."""
    text = write(script, network) or (public_key(script) or script).hex()
    return Address(script, kind_of(script), text)


def read(text: str, network: Network, *, scripts: bool = False) -> Address:
    """The script that an address, or a public key in hex, stands for; with `scripts` also a script in hex.

    Raises Unreadable. `read(address.text, network, scripts=True)` gives the same script again.
    """
    text = text.strip()
    refuse_elsewhere(text)
    longest = 2 * LONGEST_SCRIPT if scripts else _LONGEST
    if not text:
        raise refuse("empty")
    if len(text) > longest:
        raise refuse("too-long", length=len(text), most=longest)
    if len(text) > _LONGEST and not _HEX.fullmatch(text):
        raise refuse("script", most=longest)
    if _HEX.fullmatch(text) and not text.lower().startswith(f"{network.hrp}1"):
        found = _of_hex(text, scripts)
        if found is not None:
            return of_script(found, network)
    return of_script(_of_bech32(text, network) if is_bech32(text) else _of_base58(text, network), network)


def is_bech32(text: str) -> bool:
    """Whether this seems to be meant as bech32, right or wrong: no base58 address of Bitcoin begins with a prefix."""
    small = text.lower()
    before, _, after = small.rpartition("1")
    general = before.isalpha() and before not in "mn" and len(after) > 10 and set(after) <= set(bech32.CHARSET)
    return small.startswith(tuple(PREFIXES)) or (general and text in (small, text.upper()))


def _of_hex(text: str, scripts: bool) -> bytes | None:
    """The script that hex digits stand for; None where they may be an address."""
    if _KEY.match(text) and len(text) in (66, 130):
        key = bytes.fromhex(text)
        if is_key(key):
            return bytes((len(key),)) + key + b"\xac"
    if scripts and len(text) % 2:
        raise refuse("script", most=2 * LONGEST_SCRIPT)
    if scripts:
        return bytes.fromhex(text)
    if len(text) > 50:
        raise refuse("public-key", length=len(text))
    return None


def _of_bech32(text: str, network: Network) -> bytes:
    prefix, encoding, symbols = bech32.decode(text, PREFIXES)
    if encoding is None:
        shown = prefix if len(prefix) <= 12 and prefix.isalnum() else f"{prefix[:12]}…"
        raise refuse("prefix", *range(len(prefix)), prefix=shown, expected=network.hrp)
    if not symbols:
        raise refuse("too-short", length=len(text))
    version, program = symbols[0], bech32.bytes_of(symbols[1:])
    due = "bech32m" if version else "bech32"
    if encoding != due:
        raise refuse("encoding", version=version, encoding=encoding, expected=due)
    if version > 16:
        raise refuse("witness-version", len(prefix) + 1, version=version)
    if program is None:
        raise refuse("padding")
    if not 2 <= len(program) <= 40 or (not version and len(program) not in (20, 32)):
        expected = "2 to 40" if version else "20 or 32"
        raise refuse("witness-length", version=version, length=len(program), expected=expected)
    if prefix != network.hrp:
        names = tuple(other.name for other in NETWORKS.values() if other.hrp == prefix)
        raise refuse("network", *range(len(prefix)), networks=names, expected=network.name)
    return bytes((version and version + 0x50, len(program))) + program


def _of_base58(text: str, network: Network) -> bytes:
    whole = base58.bytes_of(text)
    good = len(whole) > 4 and base58.matches(whole)
    if good and len(whole) in (37, 38) and whole[0] in _PRIVATE_BYTES:
        raise refuse("private-key")
    if good and len(whole) == 82:
        raise refuse("extended-key")
    if not good and 24 < len(text) < 37:
        base58.refuse_checksum(text, _DECODED, _FIRST_BYTES)
    if len(whole) != _DECODED:
        raise refuse("address-length", length=len(text), bytes=len(whole), expected=_DECODED)
    if not good:
        raise refuse("lost-case" if text in (text.lower(), text.upper()) else "checksum")
    first, digest = whole[0], whole[1:21]
    if first == network.p2pkh:
        return b"\x76\xa9\x14" + digest + b"\x88\xac"
    if first == network.p2sh:
        return b"\xa9\x14" + digest + b"\x87"
    names = tuple(other.name for other in NETWORKS.values() if first in (other.p2pkh, other.p2sh))
    if names:
        raise refuse("network", networks=names, expected=network.name)
    if first in FIRST_BYTES:
        raise refuse("other-coin", coin=FIRST_BYTES[first])
    raise refuse("first-byte", byte=first)
