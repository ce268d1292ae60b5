"""Extended public keys and output descriptors as people enter them. Errors name places at most, never characters."""

from __future__ import annotations

import re
from typing import Final

from shared.networks import NETWORKS, Network
from shared.scripts import base58, bip380
from shared.scripts.reasons import refuse
from shared.scripts.terms import Descriptor, ExtendedKey

_MAIN: Final = {"xpub": "0488b21e", "ypub": "049d7cb2", "zpub": "04b24746", "Ypub": "0295b43f", "Zpub": "02aa7ed3"}
_TEST: Final = {"tpub": "043587cf", "upub": "044a5262", "vpub": "045f1cf6", "Upub": "024289ef", "Vpub": "02575483"}
"""First bytes by prefix (BIP 32, SLIP 132)."""

_VERSIONS: Final = {**_MAIN, **_TEST}
_LENGTH: Final = 111
_KEY: Final = re.compile(r"(?P<origin>\[[^\[\]]*\])?(?P<key>(?P<prefix>[xyzYZtuvUV]pub)[0-9A-Za-z]{20,})(?P<path>/.*)?")
_ORIGIN: Final = re.compile(r"\[[0-9a-fA-F]{8}(/[0-9]{1,10}[hH']?)*\]")
_PATH: Final = re.compile(r"(/([0-9]{1,10}|\*|<[0-9]{1,10}(;[0-9]{1,10})+>))*")
_WITHIN: Final = re.compile(r"(?<![0-9A-Za-z])([xyzYZtuvUV]pub)[0-9A-Za-z]{100}")
_FUNCTION: Final = re.compile(r"(pk|pkh|wpkh|sh|wsh|tr|rawtr|combo|multi|sortedmulti|addr|raw)\(")


def is_wallet(text: str) -> bool:
    """Whether the text is meant as an extended key or a descriptor."""
    return bool(_KEY.fullmatch(text) or _FUNCTION.match(text))


def extended_key(text: str, network: Network) -> ExtendedKey | None:
    """The key; None where the text is not meant as one. Raises Unreadable."""
    shape = _KEY.fullmatch(text)
    if shape is None:
        return None
    start, key = shape.start("key"), shape["key"]
    if (place := base58.stranger(key)) is not None:
        raise refuse("extended-key-character", start + place)
    if len(key) != _LENGTH:
        raise refuse("extended-key-length", length=len(key))
    whole = base58.bytes_of(key)
    if len(whole) != 82 or not base58.matches(whole) or whole[45] not in (2, 3):
        raise refuse("extended-key-checksum")
    if whole[:4].hex() != _VERSIONS[shape["prefix"]]:
        raise refuse("extended-key-checksum")
    if not _ORIGIN.fullmatch(shape["origin"] or "[00000000]") or not _PATH.fullmatch(shape["path"] or ""):
        raise refuse("extended-key-path")
    _check_network(shape["prefix"], network)
    return ExtendedKey(text, shape["prefix"])


def descriptor(text: str, network: Network) -> Descriptor | None:
    """The descriptor; None where the text is not meant as one. Raises Unreadable."""
    shape = _FUNCTION.match(text)
    if shape is None:
        return None
    if (place := bip380.stranger(text)) is not None:
        raise refuse("descriptor-character", place)
    body, separator, given = text.partition("#")
    if _closes(body) != len(body):
        raise refuse("descriptor")
    if separator and given != bip380.checksum(body):
        raise refuse("descriptor-checksum")
    for key in _WITHIN.finditer(body):
        _check_network(key[1], network)
    return Descriptor(text, shape[1])


def _check_network(prefix: str, network: Network) -> None:
    main = network.name == "main"
    if (prefix in _MAIN) != main:
        names = tuple(name for name in NETWORKS if (name == "main") != main)
        raise refuse("network", networks=names, expected=network.name)


def _closes(body: str) -> int:
    """Where the first bracket of a descriptor is closed: characters up to and with that; 0: nowhere."""
    depth = 0
    for place, sign in enumerate(body):
        depth += (sign == "(") - (sign == ")")
        if sign == ")" and not depth:
            return place + 1
    return 0
