"""What a person pasted, to a wallet: an extended key, descriptors, or addresses.

What cannot be read is refused in words that repeat nothing of it. Where a checksum is wrong, the mistyped character is
looked for, which takes some 10 ms: call `read` beside the event loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import msgspec

from explorer.wallet import addresses, keys
from explorer.wallet.branches import Branch, Wallet
from explorer.wallet.descriptors import Descriptor
from explorer.wallet.refusal import NotAWallet, refuse
from shared.lookups.wallet import LONGEST, Form, Role
from shared.scripts import secrets

T = TypeVar("T")

ADDRESSES_MOST, DESCRIPTORS_MOST = 100, 10

FORMS: Final[tuple[Form, ...]] = ("pkh", "sh(wpkh)", "wpkh", "tr")
"""What a plain extended key may stand for, oldest first."""

_PURPOSES: Final[dict[str, Form]] = {"44": "pkh", "49": "sh(wpkh)", "84": "wpkh", "86": "tr"}
"""First step of an account's path (BIP 44, 49, 84, 86) -> its form."""

_MULTISIG: Final = {"wsh": "wsh(sortedmulti(…))", "sh(wsh)": "sh(wsh(sortedmulti(…)))"}
_ORIGIN: Final = re.compile(r"\[[0-9a-fA-F]{8}/(44|49|84|86)['hH]/[^\]]*\]")
_KEY: Final = re.compile(rf"(\[[^\]]*\])?({'|'.join(keys.BEGINNINGS)})")
_LIKE_A_KEY: Final = re.compile(r"(\[[^\]]*\])?[0-9A-Za-z]{100,120}(/.*)?")
_LIKE_AN_ADDRESS: Final = re.compile(r"[0-9A-Za-z]{14,100}")
_INVISIBLE: Final = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060\u00ad"))
_ROLES: Final[tuple[Role, ...]] = ("receive", "change")


def read(text: str, network: str, form: Form = "") -> Wallet:
    """The wallet; `form` says what a plain extended key stands for, empty: what it implies, or all of FORMS.

    Raises NotAWallet.
    """
    if len(text) > LONGEST:
        refuse("too-long", most=LONGEST)
    text = text.translate(_INVISIBLE).strip()
    if not text:
        refuse("empty")
    if found := secrets.found(text):
        refuse(found)
    if "(" in text:
        return Wallet(network, tuple(_descriptors([line.strip() for line in text.splitlines()], network)))
    words = re.split(r"[\s,;]+" if not _KEY.match(text) else r"[\s,]+", text.strip(",; \n\t"))
    are_keys = [bool(_KEY.match(word) or _LIKE_A_KEY.fullmatch(word)) for word in words]
    if not any(are_keys):
        return Wallet(network, (_addresses(words, network),))
    if len(words) > 1:
        if not all(are_keys):
            refuse("mixed")
        refuse("several-keys", word=_MULTISIG["wsh"])
    return Wallet(network, tuple(_key(words[0], network, form)))


def _key(text: str, network: str, form: Form) -> list[Branch]:
    """The chains of an extended key: `0/*` and `1/*`, or those of the path behind it."""
    head, _, path = text.partition("]")[2].partition("/") if text.startswith("[") else text.partition("/")
    implied = keys.extended(head, network, len(text.partition("]")[0]) + 1 if text.startswith("[") else 0).form
    if implied in _MULTISIG:
        refuse("multisig-key", word=_MULTISIG[implied])
    if form and implied and form != implied:
        refuse("form-conflict", word=implied)
    origin = _ORIGIN.match(text)
    chosen = form or implied or (_PURPOSES[origin[1]] if origin else "")
    if not path:
        text = f"{text.rstrip('/')}/<0;1>/*"
    branches = []
    for one in [chosen] if chosen else FORMS:
        opening = f"{one.rstrip(')')}("
        at = len(opening)
        try:
            branches += _descriptor(f"{opening}{text}{')' * opening.count('(')}", network)
        except NotAWallet as error:  # the place is to be that in what was entered
            place = error.refused.position
            raise NotAWallet(
                msgspec.structs.replace(error.refused, position=place - at if place and place > at else None)
            ) from None
    return branches


def _descriptors(lines: list[str], network: str) -> list[Branch]:
    lines = [line for line in lines if line]
    if len(lines) > DESCRIPTORS_MOST:
        refuse("too-many", most=DESCRIPTORS_MOST)
    return [branch for number, line in enumerate(lines, 1) for branch in _of_line(number, lines, line, network)]


def _of_line(number: int, lines: list[str], line: str, network: str) -> list[Branch]:
    if "(" not in line:
        refuse("mixed")
    return _said_where(number, len(lines), partial(_descriptor, line, network))


def _descriptor(text: str, network: str) -> list[Branch]:
    read = Descriptor(text, network)
    branches = []
    for form, script in read.forms:
        for alternative in range(read.alternatives):
            steps = read.steps(alternative)
            if read.alternatives > 1:
                role = _ROLES[alternative] if alternative < len(_ROLES) else "other"
            else:
                role = _ROLES[steps[-1]] if read.ranged and steps and steps[-1] < len(_ROLES) else "other"
            prefix = "".join(f"{step}/" for step in steps)
            count = None if read.ranged else 1
            branches.append(Branch(form, role, prefix, partial(script, alternative), count))
    return branches


def _addresses(words: list[str], network: str) -> Branch:
    if len(words) > ADDRESSES_MOST:
        refuse("too-many", most=ADDRESSES_MOST)
    if not any(map(_LIKE_AN_ADDRESS.fullmatch, words)):
        refuse("not-recognised")
    scripts: list[bytes] = []
    for number, word in enumerate(words, 1):
        scripts.append(_said_where(number, len(words), partial(addresses.script_of, word, network)))
    return Branch("addresses", "other", "", scripts.__getitem__, len(scripts), first=1)


def _said_where(number: int, of: int, made: Callable[[], T]) -> T:
    """A refusal says which line it is about, where there are several."""
    try:
        return made()
    except NotAWallet as error:
        line = number if of > 1 else None
        raise NotAWallet(msgspec.structs.replace(error.refused, line=line)) from None
