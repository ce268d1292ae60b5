"""Miniscript (BIP 379) to scripts. The fragments, their types and their opcodes are embit's.

Where embit 0.8 is not right it is mended here: `0` and `1` are missing, `t:` and `andor` are checked too little, and
`v:` compiles its argument three times, which nested is without end. It does not ask whether a script is sane (whether
it always wants a signature, mixes kinds of locks or may be malleated): Bitcoin Core does, and a script that is not can
be looked at all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from embit.base import EmbitError  # type: ignore[import-untyped]  # embit has no types
from embit.descriptor import miniscript as embit  # type: ignore[import-untyped]  # as above
from embit.descriptor.arguments import Number, Raw20, Raw32  # type: ignore[import-untyped]  # as above

from explorer.wallet.expressions import Node
from explorer.wallet.keys import Key
from explorer.wallet.refusal import refuse
from shared.scripts.hashes import hash160

LEVELS_MOST: Final = 100
"""Fragments and wrappers within each other: embit goes into each with several calls, of which Python allows 1,000."""

ReadKey = Callable[[Node], Key]

_KEYS: Final = {"pk_k", "pk_h", "pk", "pkh"}
_HASHES: Final = {"sha256": Raw32, "hash256": Raw32, "ripemd160": Raw20, "hash160": Raw20}
_LOCKS: Final = {"older", "after"}
_MULTI: Final = {False: {"multi"}, True: {"multi_a"}}
_LARGEST_MULTI: Final = {False: 20, True: 999}


class _Zero(embit.Miniscript):  # type: ignore[misc]  # embit has no types
    """`0`: never satisfied."""

    NAME, TYPE, PROPS = "0", "B", "zud"

    def inner_compile(self) -> bytes:
        return b"\x00"


class _One(embit.Miniscript):  # type: ignore[misc]  # embit has no types
    """`1`: always satisfied."""

    NAME, TYPE, PROPS = "1", "B", "zu"

    def inner_compile(self) -> bytes:
        return b"\x51"


class _Verify(embit.V):  # type: ignore[misc]  # embit has no types
    """`v:` as embit has it, but its argument is compiled once."""

    def inner_compile(self) -> bytes:
        script: bytes = self.carg
        if script[-1] in {0xAC, 0xAE, 0x9C, 0x87}:
            return script[:-1] + bytes([script[-1] + 1])
        return script + b"\x69"


class _True(embit.T):  # type: ignore[misc]  # embit has no types
    """`t:X` is `and_v(X,1)`, so X must be of type V."""

    def verify(self) -> None:
        super().verify()
        if self.arg.type != "V":
            raise embit.MiniscriptError("t: X should be V")


class _AndOr(embit.AndOr):  # type: ignore[misc]  # embit has no types
    """X must be both d and u; embit is content with one of them."""

    def verify(self) -> None:
        super().verify()
        if not {"d", "u"} <= set(self.args[0].properties):
            raise embit.MiniscriptError("andor: X should be du")


class _AndN(embit.AndN):  # type: ignore[misc]  # embit has no types
    """As `andor`."""

    def verify(self) -> None:
        super().verify()
        if not {"d", "u"} <= set(self.args[0].properties):
            raise embit.MiniscriptError("and_n: X should be du")


_FRAGMENTS: Final[dict[str, Any]] = {
    **dict(zip(embit.OPERATOR_NAMES, embit.OPERATORS, strict=True)),
    "andor": _AndOr,
    "and_n": _AndN,
}
_WRAPPERS: Final[dict[str, Any]] = {
    **dict(zip(embit.WRAPPER_NAMES, embit.WRAPPERS, strict=True)),
    "v": _Verify,
    "t": _True,
}


class _Placed:
    """A key in the place of embit's: what it compiles to is what it was turned to last."""

    def __init__(self, key: Key, *, hashed: bool) -> None:
        self._key = key
        self._hashed = hashed
        self._now = b""

    def turn(self, alternative: int, index: int) -> None:
        key = self._key.at(alternative, index)
        self._now = hash160(key) if self._hashed else key

    def compile(self) -> bytes:
        return bytes([len(self._now)]) + self._now


class Miniscript:
    """A script of any index. It is turned to an index and then compiled: to be used by one task at a time."""

    def __init__(self, node: Node, read_key: ReadKey, *, taproot: bool) -> None:
        """Raises NotAWallet."""
        self._read_key = read_key
        self._taproot = taproot
        self._keys: list[_Placed] = []
        self._level = 0
        self._root = self._fragment(node)
        try:
            self._root.verify()
            fits = self._root.type == "B"
        except EmbitError:
            fits = False
        if not fits:
            refuse("miniscript", at=node.at)

    def script(self, alternative: int, index: int) -> bytes:
        """The script itself: what wsh, or a leaf of a tree, commits to."""
        for key in self._keys:
            key.turn(alternative, index)
        script: bytes = self._root.compile()
        return script

    def _fragment(self, node: Node) -> Any:
        wrappers, colon, name = node.name.rpartition(":")
        if (colon and not wrappers) or not set(wrappers) <= _WRAPPERS.keys():
            refuse("miniscript", at=node.at)
        levels = 1 + len(wrappers)
        self._level += levels
        if self._level > LEVELS_MOST:
            refuse("miniscript", at=node.at)
        made = self._word(name, node) if node.is_word else self._function(name, node)
        self._level -= levels
        for wrapper in reversed(wrappers):
            made = _WRAPPERS[wrapper](made, taproot=self._taproot)
        return made

    def _word(self, name: str, node: Node) -> Any:
        if name not in {"0", "1"}:
            refuse("miniscript", at=node.at)
        return (_Zero if name == "0" else _One)(taproot=self._taproot)

    def _function(self, name: str, node: Node) -> Any:
        if name not in _FRAGMENTS:
            refuse("unknown-function", at=node.at)
        fragment = _FRAGMENTS[name]
        if name in _KEYS:
            args = [self._key(node, 0, hashed=name in {"pk_h", "pkh"})] if len(node.args) == 1 else []
        elif name in _HASHES and len(node.args) == 1:
            args = [self._hash(node.args[0], _HASHES[name])]
        elif name in _LOCKS and len(node.args) == 1:
            args = [Number(number(node.args[0]))]
        elif fragment.NARGS is None and fragment is not embit.Thresh:
            args = self._several(name, node)
        elif fragment is embit.Thresh and len(node.args) > 1:
            args = [Number(number(node.args[0])), *map(self._fragment, node.args[1:])]
        else:
            args = [*map(self._fragment, node.args)] if name not in {*_HASHES, *_LOCKS, "thresh"} else []
        if not args or fragment.NARGS not in {None, len(args)}:
            refuse("syntax", at=node.at)
        return fragment(*args, taproot=self._taproot)

    def _several(self, name: str, node: Node) -> list[Any]:
        if name not in _MULTI[self._taproot]:
            refuse("not-here", at=node.at, word=name)
        most, keys = _LARGEST_MULTI[self._taproot], len(node.args) - 1
        least = number(node.args[0])
        if not 1 <= least <= keys <= most:
            refuse("threshold", at=node.at, most=most)
        return [Number(least), *(self._key(node, at, hashed=False) for at in range(1, keys + 1))]

    def _key(self, node: Node, at: int, *, hashed: bool) -> _Placed:
        placed = _Placed(self._read_key(node.args[at]), hashed=hashed)
        self._keys.append(placed)
        return placed

    def _hash(self, node: Node, kind: Any) -> Any:
        if not node.is_word:
            refuse("miniscript", at=node.at)
        try:
            return kind(node.name)
        except (EmbitError, ValueError):
            refuse("miniscript", at=node.at)


def number(node: Node) -> int:
    """A whole number below 2**31, without leading zeros. Raises NotAWallet."""
    text = node.name
    if not (node.is_word and text.isascii() and text.isdecimal() and len(text) <= 10) or (text[0] == "0" != text):
        refuse("syntax", at=node.at)
    if int(text) >= 1 << 31:
        refuse("syntax", at=node.at)
    return int(text)
