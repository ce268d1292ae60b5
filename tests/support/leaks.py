"""Whether any part of a secret is where it must not be: log files, everything in a Redis, addresses of pages.

A secret is an extended key, a descriptor, or any text. Its parts are every 12 characters of it that follow each other,
and of each key in it chain code and public key; all as they are, in hex (of either case, and bytes reversed) and in
base64 (of either alphabet, wherever it begins). Fewer characters would be found by chance.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote_to_bytes

from embit import base58  # type: ignore[import-untyped]  # embit has no types
from embit.base import EmbitError  # type: ignore[import-untyped]  # as above

from shared import redis

LENGTH = 12
"""Characters, or raw bytes, that are taken for a part."""

_KEY = re.compile(r"[1-9A-HJ-NP-Za-km-z]{80,}|(?<![0-9a-zA-Z])[0-9a-fA-F]{64,130}(?![0-9a-zA-Z])")


class Secret:
    """A text that must not be found anywhere, in whatever form."""

    def __init__(self, text: str) -> None:
        """Of a text with keys the keys are secret; of any other all of it, if it is long enough to be told apart."""
        keys: list[str] = _KEY.findall(text)
        self._parts: dict[bytes, str] = {}
        for word in keys or [text]:
            self._add_forms("as it was entered", word.encode(errors="surrogatepass"))
        for key in keys:
            for name, raw in _raw_parts(key):
                self._add_forms(name, raw)

    def _add_forms(self, name: str, raw: bytes) -> None:
        self._add(raw, name)
        for hexed in (raw.hex(), raw.hex().upper(), raw[::-1].hex(), raw[::-1].hex().upper()):
            self._add(hexed.encode(), f"{name}, in hex")
        for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
            for shift in range(3):
                # What begins or ends within a group of three bytes looks different there: those are left out.
                coded = alphabet(bytes(shift) + raw)
                self._add(coded[4 if shift else 0 : len(coded) - 4], f"{name}, in base64")

    def _add(self, whole: bytes, name: str) -> None:
        for at in range(len(whole) - LENGTH + 1):
            self._parts.setdefault(whole[at : at + LENGTH], name)

    def parts_in(self, content: bytes) -> set[str]:
        """In which forms a part of it is in there; empty: none is."""
        parts = self._parts
        if not parts:
            return set()
        found = set()
        for at in range(len(content) - LENGTH + 1):
            name = parts.get(content[at : at + LENGTH])
            if name is not None:
                found.add(name)
        return found


def _raw_parts(key: str) -> Iterable[tuple[str, bytes]]:
    if re.fullmatch("[0-9a-fA-F]+", key):
        yield "public key", bytes.fromhex(key[: len(key) // 2 * 2])
        return
    try:
        raw = base58.decode_check(key)
    except (EmbitError, ValueError):  # with a wrong checksum it is still secret as it was entered
        return
    yield "chain code", raw[13:45]
    yield "public key", raw[46:78]  # without the sign, as Taproot has it


def in_files(secret: Secret, paths: Iterable[Path]) -> dict[str, set[str]]:
    """Files (and those in folders, such as a Redis' own) -> in which forms a part is in them."""
    files = [
        file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*"))) if file.is_file()
    ]
    return _found(secret, {str(file): file.read_bytes() for file in files})


def in_urls(secret: Secret, urls: Iterable[str]) -> dict[str, set[str]]:
    """Addresses -> the same, as they stand and unquoted."""
    return {
        url: found
        for url in urls
        if (found := secret.parts_in(url.encode()) | secret.parts_in(unquote_to_bytes(url.replace("+", " "))))
    }


async def in_redis(secret: Secret, client: redis.Client) -> dict[str, set[str]]:
    """Keys -> the same, of the key itself and of all that it holds, whatever its type."""
    contents = {}
    async for key in client.scan_iter(count=1_000):
        contents[repr(key)] = b"\n".join([key, *await _content(client, key)])
    return _found(secret, contents)


async def _content(client: redis.Client, key: bytes) -> list[bytes]:
    kind = (await client.type(key)).decode()
    found: list[bytes] = []
    match kind:
        case "string":
            found = [await client.get(key) or b""]
        case "hash":
            found = [part for pair in (await client.hgetall(key)).items() for part in pair]
        case "list":
            found = list(await client.lrange(key, 0, -1))
        case "set":
            found = list(await client.smembers(key))
        case "zset":
            found = [member for member, _ in await client.zrange(key, 0, -1, withscores=True)]
        case "stream":
            found = [part for _, fields in await client.xrange(key) for pair in fields.items() for part in pair]
        case "none":  # it ended meanwhile
            pass
        case _:
            raise ValueError(f"{key!r} is of the type {kind}, which this does not look into")
    return found


def _found(secret: Secret, contents: Mapping[str, bytes]) -> dict[str, set[str]]:
    return {place: found for place, content in contents.items() if (found := secret.parts_in(content))}
