"""Output descriptors (BIP 380 to 386, 389) to scripts.

`pk pkh wpkh sh wsh multi sortedmulti tr rawtr combo addr raw`, in `wsh` and in the leaves of `tr` any miniscript.
Keys are public; SLIP-132's forms are read, too, and what the descriptor says wins over what they imply.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final

from explorer.wallet import addresses, curve
from explorer.wallet.expressions import Node, parse
from explorer.wallet.keys import Key
from explorer.wallet.miniscript import Miniscript, number
from explorer.wallet.refusal import refuse
from shared.scripts import bip380
from shared.scripts.hashes import hash160

Script = Callable[[int, int], bytes]
"""From the alternative of a multipath (0 where there is none) and the index to a script."""

KEYS_MOST: Final = 50
"""Keys of one descriptor: at each index each of them is derived, some 60 µs a key, and nothing goes on meanwhile."""

_MULTI: Final = {"multi", "sortedmulti"}
_MULTI_MOST: Final = {"": 3, "sh": 15, "wsh": 20}
"""Keys of a multisig: bare ones are relayed up to 3, in P2SH the script has at most 520 bytes, else consensus."""

_SH_MOST, _WSH_MOST = 520, 3_600
"""Bytes: what consensus lets be pushed, and what is relayed of P2WSH."""

_OUTER: Final = {"sh", "wsh", "tr", "rawtr", "combo", "addr", "raw", "wpkh"}


class Descriptor:
    """The scripts of a descriptor. `forms` has one script a form: more than one only of `combo`."""

    def __init__(self, text: str, network: str) -> None:
        """Raises NotAWallet."""
        text = _unsealed(text)
        self._network = network
        self._keys: list[Key] = []
        self.forms: list[tuple[str, Script]] = self._top(parse(text))
        counts = {len(key.alternatives) for key in self._keys} - {1}
        if len(counts) > 1:
            refuse("multipath")
        self.alternatives = counts.pop() if counts else 1
        self.ranged = any(key.ranged for key in self._keys)
        for _, script in self.forms:
            script(0, 0)  # so that what cannot be made is said now

    def steps(self, alternative: int) -> tuple[int, ...]:
        """The path before the index, of the first key that has one."""
        for key in self._keys:
            if key.ranged or len(key.alternatives) > 1:
                return key.alternatives[alternative if len(key.alternatives) > 1 else 0]
        return ()

    # --- what may stand outside --------------------------------------------------------------------

    def _top(self, node: Node) -> list[tuple[str, Script]]:
        if node.is_word:
            refuse("syntax", at=node.at)
        match node.name:
            case "addr":
                return [("addr", _always(addresses.script_of(_word(node), self._network, node.args[0].at)))]
            case "raw":
                return [("raw", _always(_hex(node)))]
            case "combo":
                return self._combo(_only(node))
            case _:
                return [self._one(node)]

    def _one(self, node: Node) -> tuple[str, Script]:
        match node.name:
            case "rawtr":
                return "rawtr", _rawtr(self._key(_only(node), x_only=True))
            case "tr":
                return "tr", self._tr(node)
            case "wpkh":
                return "wpkh", _wpkh(self._key(_only(node)))
            case "wsh":
                form, inner = self._wsh(_only(node))
                return f"wsh({form})", _wsh(inner)
            case "sh":
                form, inner = self._sh(_only(node))
                return f"sh({form})", _sh(inner)
            case _:
                return self._plain(node, "")

    def _combo(self, node: Node) -> list[tuple[str, Script]]:
        key = self._key(node, uncompressed=True)
        forms = [("pk", _pk(key)), ("pkh", _pkh(key))]
        return [*forms, ("wpkh", _wpkh(key)), ("sh(wpkh)", _sh(_wpkh(key)))] if key.compressed else forms

    def _sh(self, node: Node) -> tuple[str, Script]:
        if node.name == "wpkh":
            return "wpkh", _wpkh(self._key(_only(node)))
        if node.name == "wsh":
            form, script = self._wsh(_only(node))
            return f"wsh({form})", _wsh(script)
        form, script = self._plain(node, "sh")
        return form, _at_most(_SH_MOST, script, node)

    def _wsh(self, node: Node) -> tuple[str, Script]:
        if node.name == "sortedmulti":
            return self._plain(node, "wsh")
        if node.name in _OUTER and not node.is_word:
            refuse("not-here", at=node.at, word=node.name)
        form = node.name if node.name in {"multi", "pk", "pkh"} else "miniscript"
        return form, _at_most(_WSH_MOST, Miniscript(node, self._key, taproot=False).script, node)

    def _plain(self, node: Node, inside: str) -> tuple[str, Script]:
        """`pk pkh multi sortedmulti`, bare or in `sh`; in `wsh` the last alone."""
        if node.is_word:
            refuse("syntax", at=node.at)
        if node.name == "pk":
            return "pk", _pk(self._key(_only(node), uncompressed=True))
        if node.name == "pkh":
            return "pkh", _pkh(self._key(_only(node), uncompressed=True))
        if node.name not in _MULTI:
            if node.name in _OUTER:
                refuse("not-here", at=node.at, word=node.name)
            refuse("unknown-function", at=node.at)
        least, most = number(node.args[0]), _MULTI_MOST[inside]
        if not 1 <= least <= len(node.args) - 1 <= most:
            refuse("threshold", at=node.at, most=most)
        keys = [self._key(arg, uncompressed=inside != "wsh") for arg in node.args[1:]]
        in_order = node.name == "sortedmulti"

        def script(alternative: int, index: int) -> bytes:
            found = [key.at(alternative, index) for key in keys]
            pushed = [_push(key) for key in (sorted(found) if in_order else found)]  # BIP 67
            return _count(least) + b"".join(pushed) + _count(len(keys)) + b"\xae"

        return node.name, script

    # --- Taproot -----------------------------------------------------------------------------------

    def _tr(self, node: Node) -> Script:
        if not 1 <= len(node.args) <= 2:
            refuse("syntax", at=node.at)
        internal = self._key(node.args[0], x_only=True)
        tree = self._tree(node.args[1]) if len(node.args) == 2 else None

        def script(alternative: int, index: int) -> bytes:
            root = b"" if tree is None else tree(alternative, index)
            return b"\x51\x20" + curve.output_key(internal.at(alternative, index), root)

        return script

    def _tree(self, node: Node) -> Script:
        """The hash of a branch or a leaf (BIP 341)."""
        if node.name == "{":
            if len(node.args) != 2:
                refuse("syntax", at=node.at)
            left, right = map(self._tree, node.args)
            return lambda alternative, index: curve.tagged(
                "TapBranch", b"".join(sorted((left(alternative, index), right(alternative, index))))
            )
        leaf = self._sorted_leaf(node) if node.name == "sortedmulti_a" else self._leaf(node)

        def hashed(alternative: int, index: int) -> bytes:
            script = leaf(alternative, index)
            return curve.tagged("TapLeaf", b"\xc0" + _compact(len(script)) + script)

        return hashed

    def _leaf(self, node: Node) -> Script:
        return Miniscript(node, lambda word: self._key(word, x_only=True), taproot=True).script

    def _sorted_leaf(self, node: Node) -> Script:
        """`sortedmulti_a`, which may stand alone in a leaf and nowhere else."""
        least, most = number(node.args[0]), KEYS_MOST
        if not 1 <= least <= len(node.args) - 1 <= most:
            refuse("threshold", at=node.at, most=most)
        keys = [self._key(arg, x_only=True) for arg in node.args[1:]]

        def script(alternative: int, index: int) -> bytes:
            first, *others = sorted(key.at(alternative, index) for key in keys)
            return _push(first) + b"\xac" + b"".join(_push(k) + b"\xba" for k in others) + _count(least) + b"\x9c"

        return script

    def _key(self, node: Node, *, x_only: bool = False, uncompressed: bool = False) -> Key:
        if not node.is_word:
            refuse("key-form", at=node.at)
        if len(self._keys) >= KEYS_MOST:
            refuse("too-many-keys", most=KEYS_MOST)
        self._keys.append(Key(node.name, self._network, node.at, x_only=x_only, uncompressed=uncompressed))
        return self._keys[-1]


def _unsealed(text: str) -> str:
    """The descriptor without its checksum, which must be right if it is there."""
    if (odd := bip380.stranger(text)) is not None:
        refuse("descriptor-character", at=odd)
    body, mark, said = text.partition("#")
    if mark and len(said) != bip380.LENGTH:
        refuse("descriptor-checksum-length", at=len(body))
    if mark and said != bip380.checksum(body):
        refuse("descriptor-checksum", at=bip380.fault(body, said))
    return body


def _only(node: Node) -> Node:
    if len(node.args) != 1:
        refuse("syntax", at=node.at)
    return node.args[0]


def _word(node: Node) -> str:
    word = _only(node)
    if not word.is_word:
        refuse("syntax", at=word.at)
    return word.name


def _hex(node: Node) -> bytes:
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2}){1,10000}", _word(node)):
        refuse("syntax", at=node.args[0].at)
    return bytes.fromhex(_word(node))


def _at_most(most: int, script: Script, node: Node) -> Script:
    if len(script(0, 0)) > most:  # of every index the same length
        refuse("script-too-large", at=node.at, most=most)
    return script


def _always(script: bytes) -> Script:
    return lambda _, __: script


def _rawtr(key: Key) -> Script:
    return lambda alternative, index: b"\x51\x20" + key.at(alternative, index)


def _pk(key: Key) -> Script:
    return lambda alternative, index: _push(key.at(alternative, index)) + b"\xac"


def _pkh(key: Key) -> Script:
    return lambda alternative, index: b"\x76\xa9\x14" + hash160(key.at(alternative, index)) + b"\x88\xac"


def _wpkh(key: Key) -> Script:
    return lambda alternative, index: b"\x00\x14" + hash160(key.at(alternative, index))


def _sh(inner: Script) -> Script:
    return lambda alternative, index: b"\xa9\x14" + hash160(inner(alternative, index)) + b"\x87"


def _wsh(inner: Script) -> Script:
    return lambda alternative, index: b"\x00\x20" + hashlib.sha256(inner(alternative, index)).digest()


def _push(content: bytes) -> bytes:
    return bytes([len(content)]) + content


def _count(value: int) -> bytes:
    """A small number as a script pushes it: up to 16 there are opcodes."""
    return bytes([0x50 + value]) if value <= 16 else b"\x01" + bytes([value])


def _compact(size: int) -> bytes:
    return bytes([size]) if size < 0xFD else b"\xfd" + size.to_bytes(2, "little")
