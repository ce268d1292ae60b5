"""Keys of a wallet: extended public keys (BIP 32, SLIP-132), with the path below them, and single public keys."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Final

from explorer.wallet import curve
from explorer.wallet.refusal import refuse
from shared.scripts import base58

SIZE: Final = 82
"""Bytes of an extended key, its checksum included."""

HARDENED: Final = 1 << 31

_VERSIONS: Final = {
    0x0488B21E: ("xpub", True, ""),
    0x049D7CB2: ("ypub", True, "sh(wpkh)"),
    0x04B24746: ("zpub", True, "wpkh"),
    0x0295B43F: ("Ypub", True, "sh(wsh)"),
    0x02AA7ED3: ("Zpub", True, "wsh"),
    0x043587CF: ("tpub", False, ""),
    0x044A5262: ("upub", False, "sh(wpkh)"),
    0x045F1CF6: ("vpub", False, "wpkh"),
    0x024289EF: ("Upub", False, "sh(wsh)"),
    0x02575483: ("Vpub", False, "wsh"),
}
"""First four bytes -> how it begins, whether of main, and the form it implies (SLIP-132)."""

_PRIVATE: Final = {
    *(0x0488ADE4, 0x049D7878, 0x04B2430C, 0x0295B005, 0x02AA7A99),
    *(0x04358394, 0x044A4E28, 0x045F18BC, 0x024285B5, 0x02575048),
}

BEGINNINGS: Final = tuple(name for name, _, _ in _VERSIONS.values())

_EXTENDED: Final = re.compile(r"[xyztuvYZUV]pub")
_STEP: Final = re.compile(r"(0|[1-9]\d{0,9})(['hH]?)")
_ORIGIN: Final = re.compile(r"[0-9a-fA-F]{8}((/(0|[1-9][0-9]{0,9})['hH]?)*)")


@dataclass(frozen=True, slots=True, repr=False)
class Extended:
    """A point and its chain code. Nothing of it may be said anywhere, so it has no form to be printed in."""

    point: bytes
    chain_code: bytes
    key: bytes  # the point in 33 bytes
    form: str = ""  # that its version implies

    def child(self, index: int) -> Extended:
        """BIP 32's public derivation; index below 2**31."""
        digest = hmac.digest(self.chain_code, self.key + index.to_bytes(4, "big"), "sha512")
        point = curve.add(self.point, digest[:32])
        return Extended(point, digest[32:], curve.compressed(point))


def extended(text: str, network: str, at: int = 0) -> Extended:
    """Read an extended public key; `at` is where it stands, for refusals. Raises NotAWallet."""
    if (odd := base58.stranger(text)) is not None:
        refuse("key-character", at=at + odd)
    if not 107 <= len(text) <= 115:
        refuse("key-length")
    raw = base58.checked(text, SIZE)
    if raw is None:
        if len(text) != 111:
            refuse("key-length")
        places = base58.fault(text, SIZE)
        refuse("key-checksum", at=at + places[0] if places else None)
    version = int.from_bytes(raw[:4], "big")
    if version in _PRIVATE:
        refuse("private-key")
    if version not in _VERSIONS:
        refuse("key-version")
    _, main, form = _VERSIONS[version]
    if main != (network == "main"):
        refuse("other-network", word=network)
    try:
        return Extended(curve.parse(raw[45:78]), raw[13:45], raw[45:78], form)
    except ValueError:
        refuse("key-broken")


class Key:
    """A key of a descriptor: what its place in a script gets, by alternative of its multipath and index."""

    def __init__(self, text: str, network: str, at: int, *, x_only: bool = False, uncompressed: bool = False) -> None:
        """Raises NotAWallet. `x_only`: keys of 32 bytes may stand here; `uncompressed`: those of 65."""
        start = at
        if text.startswith("["):
            origin, bracket, text = text[1:].partition("]")
            if not bracket or not (path := _ORIGIN.fullmatch(origin)):
                refuse("path", at=start)
            _steps(path[1][1:], start, hardened=True)
            start += len(origin) + 2
        name, slash, below = text.partition("/")
        self.x_only = x_only
        self.alternatives: list[tuple[int, ...]] = [()]  # the paths before `*`
        self.ranged = False
        self._fixed: bytes | None = None
        self._root: Extended | None = None
        self._parents: dict[int, Extended] = {}
        if _EXTENDED.match(name) or (len(name) > 80 and not name.startswith("0")):
            self._root = extended(name, network, start)
            if slash:
                self.alternatives, self.ranged = _below(below, start + len(name) + 1)
        else:
            if slash:
                refuse("key-form", at=start)
            self._fixed = _single(name, start, x_only=x_only, uncompressed=uncompressed)

    @property
    def compressed(self) -> bool:
        """Whether it has 33 bytes."""
        return self._fixed is None or len(self._fixed) != 65

    def at(self, alternative: int, index: int) -> bytes:
        """The public key of 33 bytes (65 of an uncompressed one), or 32 where keys are x-only."""
        if self._root is None:
            assert self._fixed is not None  # noqa: S101 - one of the two is there
            return self._fixed[1:] if self.x_only else self._fixed
        alternative = alternative if len(self.alternatives) > 1 else 0
        parent = self._parents.get(alternative)
        if parent is None:
            parent = self._root
            for step in self.alternatives[alternative]:
                parent = parent.child(step)
            self._parents[alternative] = parent
        key = parent.child(index).key if self.ranged else parent.key
        return key[1:] if self.x_only else key


def _single(text: str, at: int, *, x_only: bool, uncompressed: bool) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]+", text):
        refuse("key-form", at=at)
    raw = bytes.fromhex(text) if len(text) % 2 == 0 else b""
    if len(raw) == 32 and x_only:
        raw = b"\x02" + raw
    elif (len(raw) == 65 and not uncompressed) or len(raw) not in {33, 65}:
        refuse("key-form", at=at)
    try:
        point = curve.parse(raw)
    except ValueError:
        refuse("key-broken", at=at)
    return raw if len(raw) == 65 else curve.compressed(point)


def _below(text: str, at: int) -> tuple[list[tuple[int, ...]], bool]:
    """The paths behind a key, one for each alternative (BIP 389), and whether `*` ends them."""
    ranged = False
    paths: list[tuple[int, ...]] = [()]
    steps = text.split("/")
    for number, step in enumerate(steps):
        if step in {"*'", "*h", "*H"}:
            refuse("hardened", at=at)
        if step == "*" and number == len(steps) - 1:
            ranged = True
        elif step.startswith("<") and step.endswith(">") and len(paths) == 1:
            several = [_steps(part, at)[0] for part in step[1:-1].split(";")]
            if len(several) < 2 or len(set(several)) != len(several):
                refuse("multipath", at=at)
            paths = [(*paths[0], one) for one in several]
        else:
            (one,) = _steps(step, at)
            paths = [(*path, one) for path in paths]
        at += len(step) + 1
    return paths, ranged


def _steps(text: str, at: int, *, hardened: bool = False) -> list[int]:
    """Numbers of a path; a hardened one is refused where it would have to be taken."""
    steps = []
    for step in text.split("/") if text or not hardened else ():
        read = _STEP.fullmatch(step)
        if read is None or int(read[1]) >= HARDENED:
            refuse("path", at=at)
        if read[2] and not hardened:
            refuse("hardened", at=at)
        steps.append(int(read[1]))
    return steps
