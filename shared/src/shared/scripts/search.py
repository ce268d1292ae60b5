"""What a person typed into the search, and what is meant by it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import hexdigits
from typing import Final

from shared.networks import Network
from shared.pow import target as target_of
from shared.scripts import links, wallets
from shared.scripts.address import is_bech32, read
from shared.scripts.elsewhere import refuse_elsewhere
from shared.scripts.reasons import refuse, wrong_sign
from shared.scripts.secrets import refuse_secrets
from shared.scripts.signs import foreign_digit
from shared.scripts.terms import AddressTerm, Descriptor, Hash, Height, Outpoint, PoolName, Term
from shared.scripts.typed import Typed, typed

MOST: Final = 10_000
"""Characters. A descriptor of twenty keys has 3,000."""

HIGHEST: Final = 499_999_999
"""Height from which on a lock time would be a time (shared.events.base.Height)."""

_MOST_POOLS: Final = 10
_SHORTEST_NAME: Final = 2
_SHORTEST_HEX: Final = 16
"""Hex digits that are no height and no word any more."""

_HEX: Final = re.compile("[0-9a-fA-F]+")
_KEY: Final = re.compile("0[23][0-9a-f]{64}|0[467][0-9a-f]{128}", re.IGNORECASE)
_SPACES: Final = " \u00a0\u2009\u202f"
_NUMBER: Final = re.compile(
    rf"(?:(?:block|height)[\s#:]*|#\s*)?(?P<number>[-+]?\s*[0-9][0-9.,'_\u2019{_SPACES}]*(?:[eE][-+]?[0-9]+)?)",
    re.IGNORECASE,
)
_GROUPED: Final = re.compile(rf"[0-9]{{1,3}}(?P<mark>[.,'_\u2019{_SPACES}])[0-9]{{3}}(?:(?P=mark)[0-9]{{3}})*")
_OUTPOINT: Final = re.compile(r"(?P<txid>[0-9a-z]{50,80}):(?P<vout>[^:]{0,20})", re.IGNORECASE)
_BASE58: Final = re.compile(r"[13]\S{24,38}|(?=[a-zA-Z]*[0-9])[0-9A-Za-z]{26,37}")
_BECH32: Final = re.compile(r"(bc|tb|bcrt)(1\S*|[0-9a-z]{30,})", re.IGNORECASE)
_LIKE_HEX: Final = {"O": "0", "o": "0", "Q": "0", "l": "1", "I": "1", "i": "1", "S": "5", "s": "5", "Z": "2", "g": "9"}


def understood(text: str, network: Network, pools: Mapping[str, str] | None = None) -> Term:
    """What is meant; `pools` are the names of mining pools by their slug.

    Raises Unreadable, whose places count in `text` itself. Takes some milliseconds at most, whatever the text.
    """
    entered = typed(text, MOST)
    refuse_secrets(entered.text)
    named = _pools(entered.text, pools or {})
    if named and named[0][0] and not entered.text.isdigit():
        return PoolName((named[0][1:],))
    found = _linked(entered, network) or _single(entered, network)
    if found is not None:
        return found
    if named:
        return PoolName(tuple(pool[1:] for pool in named))
    parts = entered.text.split()
    raise refuse("several" if len(parts) > 1 and any(map(_shaped, parts)) else "unknown")


def _linked(entered: Typed, network: Network) -> Term | None:
    """What a link leads to; None where the text is none."""
    with entered.telling():
        paid = links.payment(entered)
        refuse_elsewhere(entered.text)
        target = None if paid or wallets.is_wallet(entered.text) else links.target(entered, network)
    if paid:
        with paid.telling():
            return AddressTerm(read(paid.text, network))
    if target is None:
        return None
    found = _single(target.value, network)
    if found is None:
        raise refuse("link")
    if isinstance(found, Hash) and target.to == "transaction" and target.output:
        return Outpoint(found.hash, _vout(target.output))
    if isinstance(found, Hash) and target.to in ("transaction", "block"):
        return Hash(found.hash, "block" if target.to == "block" else "transaction")
    return found


def _single(entered: Typed, network: Network) -> Term | None:
    """What one value is; None where it has the shape of none."""
    height = _height(entered)
    if height is not None:
        return height
    compact = entered.compact()
    shown = compact.ascii()
    if not _shaped(shown):
        return None
    if len(compact.text) < len(entered.text) and not (
        shown[0] in "13" or _HEX.fullmatch(shown) or _BECH32.match(shown)
    ):
        return None  # words together have the shape of an address, and each of them has none
    if shown != compact.text:
        raise compact.foreign()
    with compact.telling():
        return _value(shown, network)


def _height(entered: Typed) -> Height | None:
    shape = _NUMBER.fullmatch(entered.ascii())
    if shape is None or (shape["number"].isdigit() and len(shape["number"]) >= _SHORTEST_HEX):
        return None
    number = shape["number"].strip()
    if any(map(foreign_digit, entered.text)):
        raise entered.foreign()
    if number.startswith("-"):
        raise refuse("negative")
    if _GROUPED.fullmatch(number):
        number = "".join(sign for sign in number if sign.isdigit())
    if not number.isdigit():
        raise refuse("fraction")
    if len(number.lstrip("0")) > len(str(HIGHEST)) or int(number) > HIGHEST:
        raise refuse("height-too-large", most=HIGHEST)
    if number[0] == "0" and number != "0":
        raise refuse("leading-zero", height=number.lstrip("0") or "0")
    return Height(int(number))


def _shaped(text: str) -> bool:
    """Whether this looks like a value, right or wrong. Of text in ASCII, without spaces."""
    if _HEX.fullmatch(text):
        return len(text) >= _SHORTEST_HEX
    return bool(
        _OUTPOINT.fullmatch(text)
        or _BASE58.fullmatch(text)
        or _BECH32.fullmatch(text)
        or _nearly_hash(text)
        or wallets.is_wallet(text)
        or (20 < len(text) <= 90 and is_bech32(text))
    )


def _nearly_hash(text: str) -> bool:
    """64 characters, of which up to eight are no hex digits."""
    return len(text) == 64 and sum(sign not in hexdigits for sign in text) <= 8


def _value(text: str, network: Network) -> Term:
    """What a value is, of which at least the shape is known. Raises Unreadable, with places in `text`."""
    if _HEX.fullmatch(text) and not _KEY.fullmatch(text):
        return _hash(text, network)
    outpoint = _OUTPOINT.fullmatch(text)
    if outpoint is not None:
        return Outpoint(_hash(outpoint["txid"], network).hash, _vout(outpoint["vout"]))
    if _nearly_hash(text):
        return _hash(text, network)
    wallet = wallets.extended_key(text, network) or wallets.descriptor(text, network)
    if isinstance(wallet, Descriptor) and wallet.function in ("addr", "raw"):
        within = Typed(text, range(len(text))).part(len(wallet.function) + 1, text.rindex(")"))
        with within.telling():
            return AddressTerm(read(within.text, network, scripts=wallet.function == "raw"))
    return wallet or AddressTerm(read(text, network))


def _hash(text: str, network: Network) -> Hash:
    for place, sign in enumerate(text):
        if sign not in hexdigits:
            raise wrong_sign("hash-character", text, place, _LIKE_HEX.get(sign, ""))
    if len(text) != 64:
        raise refuse("hash-length", length=len(text))
    limit = target_of(network.pow_limit_bits)
    if int(text, 16) > limit:
        return Hash(text.lower(), "transaction", certain=True)
    return Hash(text.lower(), "block" if limit >> 240 == 0 else None)


def _vout(text: str) -> int:
    if not text.isascii() or not text.isdigit() or str(int(text)) != text or int(text) >= 1 << 32:
        raise refuse("output-number")
    return int(text)


def _pools(text: str, names: Mapping[str, str]) -> list[tuple[bool, str, str]]:
    """(whether it is this very name, slug, name) of pools whose name is so, begins so or holds it, in this order."""
    wanted = _letters(text)
    if len(wanted) < _SHORTEST_NAME or len(text) > 100:
        return []
    found = []
    for slug, name in names.items():
        letters = _letters(name)
        place = letters.find(wanted)
        if place >= 0 or wanted == slug:
            exact = wanted in (letters, slug)
            found.append((not exact, place, name, exact, slug))
    return [(exact, slug, name) for _, _, name, exact, slug in sorted(found)[:_MOST_POOLS]]


def _letters(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())
