"""Why what a person entered cannot be read: a reason, and the fields that its sentence needs.

The sentences here are English, for APIs and tests; pages have their own for each reason. Places are counted from 0 in
`Unreadable.places`, from 1 in sentences.
"""

from __future__ import annotations

from typing import Final

from shared.errors import Unreadable
from shared.scripts.signs import Field, told

_SENTENCES: Final = {
    # of anything
    "empty": "nothing was entered",
    "too-long": "it has %(length)s characters; expected %(most)s at most",
    "control": "character %(place)s is %(codepoint)s %(name)s, which no text for a search has",
    "foreign-digit": "character %(place)s is %(codepoint)s %(name)s; expected the digit %(digit)s",
    "several": "these are several words or values; expected one",
    "unknown": "this is no height, hash, address, key or pool that is known here",
    "private-key": "this is, or looks like, a private key: do not enter it anywhere; who saw it can take the coins",
    "seed-words": "these look like the words of a seed: do not enter them anywhere; who saw them can take the coins",
    # of addresses
    "character": "character %(place)s is %(codepoint)s %(name)s, which no such address has",
    "mixed-case": "capital and small letters are mixed, such as at character %(place)s; expected one case",
    "lost-case": "every letter is of one case: in such an address capital and small letters differ",
    "separator": "there is no 1 between the prefix and the rest",
    "prefix": "the prefix is %(prefix)s; expected %(expected)s",
    "first-byte": "the first byte is %(byte)s, which no address of Bitcoin has",
    "network": "this is of another network: %(networks)s; expected %(expected)s",
    "other-coin": "this is of %(coin)s, and not on the Bitcoin chain",
    "lightning": "this is of Lightning, and not on the Bitcoin chain",
    "silent-payment": "this is a silent payment address: nobody else can tell which outputs are paid to it",
    "too-short": "it has %(length)s characters, too few for an address of this kind",
    "address-length": "it has %(length)s characters, and decodes to %(bytes)s bytes; expected %(expected)s",
    "checksum": "the checksum does not match: something in it is wrong",
    "swapped": "the checksum does not match: characters %(place)s and %(other)s seem to be the wrong way round",
    "encoding": "version %(version)s takes a checksum of %(expected)s, and this one is of %(encoding)s",
    "witness-version": "the version is %(version)s; expected 0 to 16",
    "witness-length": "the program of version %(version)s has %(length)s bytes; expected %(expected)s",
    "padding": "the last bits before the checksum are not zero",
    "public-key": "a public key has 66 hex digits after 02 or 03, or 130 after 04; this has %(length)s",
    "script": "a script is an even number of hex digits, at most %(most)s",
    # of extended keys and descriptors
    "extended-key": "this is an extended key, and no address",
    "extended-key-checksum": "the checksum of the extended key does not match: something in it is wrong",
    "extended-key-length": "the extended key has %(length)s characters; expected 111",
    "extended-key-character": "character %(place)s cannot be part of an extended key",
    "extended-key-path": "what stands after the extended key is no path",
    "descriptor": "the descriptor does not end where its brackets close",
    "descriptor-character": "character %(place)s cannot be part of a descriptor",
    "descriptor-checksum": "the checksum of the descriptor does not match: something in it is wrong",
    # of heights, hashes and outpoints
    "negative": "a height is not below 0",
    "fraction": "a height is a whole number",
    "leading-zero": "a height has no leading zero; %(height)s may be meant",
    "height-too-large": "no block has a height of more than %(most)s",
    "hash-length": "it has %(length)s hex digits; a transaction or block has 64",
    "hash-character": "character %(place)s is %(codepoint)s %(name)s, and no hex digit",
    "output-number": "the number of an output is 0 to 4294967295, without leading zeros",
    "link": "this link leads to no transaction, block or address",
    "payment-link": "this payment link names no address",
}

REASONS: Final = tuple(_SENTENCES)
"""Every reason. Fields are those in the sentence; `looks_like` (of characters) is told besides where it is known."""


def refuse(reason: str, *places: int, **fields: Field) -> Unreadable:
    """The error to raise; `fields` without the places, which sentences take from `places`."""
    numbers = {name: str(place + 1) for name, place in zip(("place", "other"), places, strict=False)}
    words = {name: " or ".join(value) if isinstance(value, tuple) else value for name, value in fields.items()}
    return Unreadable(_SENTENCES[reason] % {**numbers, **words}, reason, places, fields)


def wrong_sign(reason: str, text: str, place: int, looks: str = "", **fields: Field) -> Unreadable:
    """The error to raise for the character at this place; `looks` are those that it may have been taken for."""
    like = {"looks_like": tuple(looks)} if looks else {}
    return refuse(reason, place, **told(text[place]), **like, **fields)
