"""Why what a person entered cannot be read (shared.scripts.reasons), in the sentences of pages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from shared.errors import Unreadable
from shared.networks import NETWORKS
from shared.scripts.signs import INVISIBLE, Field
from web.words.sentence import Sentence, gettext, joined, note, say, shown

SENTENCES: Final[Mapping[str, str]] = {
    # of anything
    "empty": note("Nothing was entered."),
    "too-long": note("It has %(length)s characters. The search takes %(most)s at most."),
    "control": note("Character %(place)s is %(character)s, which cannot be part of anything to look for."),
    "foreign-digit": note("Character %(place)s is %(character)s. The digit %(digit)s is expected."),
    "several": note("These are several words or values. Look for one at a time."),
    "unknown": note("This is no height, hash, address, key or mining pool that is known here."),
    "private-key": note(
        "This is, or looks like, a private key. Do not enter it anywhere: whoever saw it can take the coins."
    ),
    "seed-words": note(
        "These look like the words of a seed. Do not enter them anywhere: whoever saw them can take the coins."
    ),
    # of addresses
    "character": note("Character %(place)s is %(character)s, which no such address has."),
    "mixed-case": note("Capital and small letters are mixed, such as at character %(place)s. One case is expected."),
    "lost-case": note("All letters are of one case, while capital and small letters differ in such an address."),
    "separator": note("There is no 1 between the prefix and the rest of the address."),
    "prefix": note("The prefix is %(prefix)s. Expected is %(expected)s."),
    "first-byte": note("The first byte is %(byte)s, which no address of Bitcoin has."),
    "network": note("This belongs to another network: %(networks)s. This dashboard shows %(expected)s."),
    "other-coin": note("This belongs to %(coin)s, and not to Bitcoin's chain."),
    "lightning": note("This belongs to Lightning, and is not on Bitcoin's chain."),
    "silent-payment": note(
        "This is a silent payment address. Nobody but its owner can tell which outputs are paid to it."
    ),
    "too-short": note("It has %(length)s characters, too few for an address of this kind."),
    "address-length": note("It has %(length)s characters and stands for %(bytes)s bytes. Expected are %(expected)s."),
    "checksum": note("The checksum does not match: a character is wrong, missing or too many."),
    "checksum-at": note("The checksum does not match: character %(place)s seems to be wrong."),
    "checksum-several": note("The checksum does not match: characters %(places)s seem to be wrong."),
    "swapped": note("The checksum does not match: characters %(place)s and %(other)s seem to be swapped."),
    "encoding": note(
        "An address of version %(version)s has a checksum of %(expected)s, and this one has one of %(encoding)s."
    ),
    "witness-version": note("The witness version is %(version)s. Expected is 0 to 16."),
    "witness-length": note("The program of version %(version)s has %(length)s bytes. Expected is %(expected)s."),
    "padding": note("The last bits before the checksum are not zero."),
    "public-key": note(
        "A public key has 66 hexadecimal digits after 02 or 03, or 130 after 04. This one has %(length)s."
    ),
    "script": note("A script is an even number of hexadecimal digits, %(most)s at most."),
    # of extended keys and descriptors
    "extended-key": note("This is an extended key, and no address."),
    "extended-key-checksum": note("The checksum of the extended key does not match: something in it is wrong."),
    "extended-key-length": note("The extended key has %(length)s characters. Expected are 111."),
    "extended-key-character": note("Character %(place)s cannot be part of an extended key."),
    "extended-key-path": note("What stands around the extended key is no origin and no path."),
    "descriptor": note("The descriptor does not end where its brackets close."),
    "descriptor-character": note("Character %(place)s cannot be part of a descriptor."),
    "descriptor-checksum": note("The checksum of the descriptor does not match: something in it is wrong."),
    # of heights, hashes and outpoints
    "negative": note("A height is not below 0."),
    "fraction": note("A height is a whole number."),
    "leading-zero": note("A height has no leading zero. Was %(height)s meant?"),
    "height-too-large": note("No block can have a height above %(most)s."),
    "hash-length": note("It has %(length)s hexadecimal digits. A transaction or a block has 64."),
    "hash-character": note("Character %(place)s is %(character)s, and no hexadecimal digit."),
    "output-number": note("The number of an output is 0 to 4294967295, without leading zeros."),
    "link": note("This link leads to no transaction, block or address."),
    "payment-link": note("This payment link names no address."),
}
"""By reason. `character` is the character itself with its name; the other fields are those of the reason."""

SECRET: Final = frozenset(("private-key", "seed-words"))
"""What nobody should have entered."""

KEYS: Final = frozenset(reason for reason in SENTENCES if reason.startswith(("extended-key", "descriptor")))
"""What belongs to the page of wallets."""

LONGEST: Final = 200
"""Characters that are shown again at most."""

_KEY: Final = re.compile(r"[xyztuv]p(?:ub|rv)[0-9a-z]{8}", re.IGNORECASE)
_FUNCTION: Final = re.compile(r"(?:pk|pkh|wpkh|sh|wsh|tr|rawtr|combo|multi|sortedmulti)\(", re.IGNORECASE)
_RUN: Final = re.compile(r"[0-9A-Za-z]{40,}")
_HARMLESS: Final = re.compile(r"(?:bc|tb|bcrt)1[0-9a-z]+|[0-9a-f]+", re.IGNORECASE)
_WORDS: Final = re.compile(r"(?<![^\s,])[^\W\d_]{3,}(?![^\s,])")
_MOST_WORDS: Final = 9


def sentence(error: Unreadable) -> Sentence:
    """What is wrong, in the language of the reader."""
    reason, places = error.reason, [str(place + 1) for place in sorted(error.places)]
    if reason == "checksum" and places:
        reason = "checksum-at" if len(places) == 1 else "checksum-several"
    numbers = {**dict(zip(("place", "other"), places, strict=False)), "places": ", ".join(places)}
    fields = {name: shown(_told, value) for name, value in error.fields.items() if name != "looks_like"}
    told = say(SENTENCES[reason], **{**fields, **numbers, "character": _character(error.fields)})
    looks = error.fields.get("looks_like")
    return joined(told, say("Perhaps %(signs)s was meant.", signs=shown(_told, looks))) if looks else told


def parts(text: str, places: Iterable[int]) -> Iterator[tuple[str, bool]]:
    """What was entered in pieces, and whether each is what is wrong. What cannot be seen goes by its code."""
    wrong, start = sorted({place for place in places if 0 <= place < len(text)}), 0
    for place in wrong:
        if place > start:
            yield visible(text[start:place]), False
        yield visible(text[place]) or f"U+{ord(text[place]):04X}", True
        start = place + 1
    if start < len(text):
        yield visible(text[start:]), False


def visible(text: str) -> str:
    """Without what has no shape or turns the direction of writing, which would make another text of a page."""
    return "".join(sign for sign in text if sign.isprintable() and sign not in INVISIBLE)


def may_be_shown(text: str, reason: str = "") -> bool:
    """Whether a page may repeat what was entered: nothing that could be a key, a descriptor, or words of a seed.

    Rather too careful: a private key with a slip of the pen is one, too.
    """
    if len(text) > LONGEST or reason in SECRET or reason in KEYS:
        return False
    plain = unicodedata.normalize("NFKC", "".join(sign for sign in text if sign not in INVISIBLE))
    compact = "".join(plain.split())
    if _KEY.search(compact) or _FUNCTION.search(compact) or len(_WORDS.findall(plain)) > _MOST_WORDS:
        return False
    return all(_HARMLESS.fullmatch(run) or _nearly_hash(run) for run in _RUN.findall(compact))


def _nearly_hash(run: str) -> bool:
    return len(run) >= 60 and sum(sign not in "0123456789abcdefABCDEF" for sign in run) <= 8


def _character(fields: Mapping[str, Field]) -> Sentence:
    sign, codepoint, name = (str(fields.get(part, "")) for part in ("sign", "codepoint", "name"))
    about = f"{codepoint} {name}".strip()
    if not sign:
        return say("%(about)s", about=about)
    if sign.isascii():
        return say("“%(sign)s”", sign=sign)
    return say("“%(sign)s” (%(about)s)", sign=sign, about=about)


def _told(value: Field) -> str:
    if isinstance(value, tuple):
        told = [_network(one) for one in value]
        return told[0] if len(told) == 1 else gettext("%(ones)s or %(other)s") % {
            "ones": ", ".join(told[:-1]), "other": told[-1],
        }  # fmt: skip
    return _network(value)


def _network(value: int | str) -> str:
    """The name of a network as people say it; anything else as it is."""
    return f"{value}net" if value in ("main", "test") and value in NETWORKS else str(value)
