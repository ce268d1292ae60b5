"""Addresses to scripts and back: the one place where the wallet does that."""

from __future__ import annotations

import re
from typing import Final

from embit.base import EmbitError  # type: ignore[import-untyped]  # embit has no types
from embit.networks import NETWORKS  # type: ignore[import-untyped]  # as above
from embit.script import Script, address_to_scriptpubkey  # type: ignore[import-untyped]  # as above

from explorer.wallet.refusal import refuse
from shared.lookups.parts import Kind

_NETWORKS = {"main": "main", "test": "test", "testnet4": "test", "signet": "signet", "regtest": "regtest"}


def script_of(text: str, network: str, at: int = 0) -> bytes:
    """The script that an address of the network stands for; `at` is where it stands. Raises NotAWallet."""
    try:
        script: bytes = address_to_scriptpubkey(text).data
    except (EmbitError, ValueError, KeyError, IndexError, AttributeError, TypeError, AssertionError):
        refuse("address", at=at or None)
    known = address_of(script, network)
    if known is None or known != (text.lower() if text.isupper() else text):
        refuse("other-network", at=at or None, word=network)
    return script


def address_of(script: bytes, network: str) -> str | None:
    """The address of a script; None where none stands for it."""
    if kind_of(script) not in {"p2pkh", "p2sh", "v0_p2wpkh", "v0_p2wsh", "v1_p2tr"}:
        return None
    address: str = Script(script).address(NETWORKS[_NETWORKS[network]])
    return address


_FORMS: Final[tuple[tuple[Kind, bytes], ...]] = (
    ("p2pkh", rb"\x76\xa9\x14.{20}\x88\xac"),
    ("p2sh", rb"\xa9\x14.{20}\x87"),
    ("v0_p2wpkh", rb"\x00\x14.{20}"),
    ("v0_p2wsh", rb"\x00\x20.{32}"),
    ("v1_p2tr", rb"\x51\x20.{32}"),
    ("p2pk", rb"\x21.{33}\xac|\x41.{65}\xac"),
    ("multisig", rb"[\x51-\x60].+[\x51-\x60]\xae"),
)
_PATTERNS: Final = tuple((kind, re.compile(form, re.DOTALL)) for kind, form in _FORMS)


def kind_of(script: bytes) -> Kind:
    """The type of a script that a wallet can have."""
    return next((kind for kind, form in _PATTERNS if form.fullmatch(script)), "unknown")
