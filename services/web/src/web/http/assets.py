"""Static files: read once at the start, served under an address that holds their hash, and so cached for ever.

Beside our own they are uPlot's, which draws the charts: taken from the installed package that ships them, and only
if they are the very bytes of uPlot's release.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from web.http.answers import Answer
from web.http.document import Document

_FOLDER: Final = Path(__file__).parent.parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}

VENDOR: Final = "youplot"
"""The package that ships uPlot 1.6.31. None of its own code is ever imported."""

VENDORED: Final = {
    "uplot.iife.min.js": "2d27e8ad3d228164525ce213f9dc716f39b4e3aee0cc773fb3491c96cf4921a2",
    "uplot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
"""Files of it, with their SHA-256."""


class Assets:
    """Every static file. `urls` gives the address of each by its plain name."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self.urls: dict[str, str] = {}
        self._documents: dict[str, Document] = {}
        for name, body in (*_own(), *_vendored(log)):
            self._add(Path(name), body)

    def _add(self, path: Path, body: bytes) -> None:
        if path.suffix == ".js":  # our modules import each other by their plain names
            for name, url in self.urls.items():
                body = body.replace(f'from "./{name}"'.encode(), f'from "{url}"'.encode())
        name = f"{path.stem}.{hashlib.blake2b(body, digest_size=6).hexdigest()}{path.suffix}"
        self.urls[path.name] = f"/static/{name}"
        self._documents[name] = _document(Answer(body, _TYPES[path.suffix], headers=_FOREVER))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`/static/{name}`: only the present version of a file; raises 404 for any other."""
        document = self._documents.get(request.match_info["name"])
        if document is None:
            raise web.HTTPNotFound
        return await document.handle(request)


def _own() -> list[tuple[str, bytes]]:
    """Our own files; a module comes after those that it imports."""
    waiting = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
    ready: list[tuple[str, bytes]] = []
    while waiting:
        free = [name for name, body in waiting.items() if not any(_imports(body, other) for other in waiting)]
        ready += [(name, waiting.pop(name)) for name in free]
        if not free:
            raise ImportError(f"these modules import each other: {', '.join(waiting)}")
    return ready


def _imports(body: bytes, name: str) -> bool:
    return f'from "./{name}"'.encode() in body


def _vendored(log: structlog.stdlib.BoundLogger) -> Iterator[tuple[str, bytes]]:
    """uPlot's files; none where one is missing or differs: the charts then stay the pictures that the server draws."""
    spec = importlib.util.find_spec(VENDOR)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    folder = Path(folders[0], "vendor") if folders else Path(VENDOR)
    found = {}
    for name, expected in VENDORED.items():
        try:
            found[name] = (folder / name).read_bytes()
        except OSError:
            log.exception("vendored_file_missing", file=name, package=VENDOR)
            return
        digest = hashlib.sha256(found[name]).hexdigest()
        if digest != expected:
            log.error("vendored_file_differs", file=name, package=VENDOR, sha256=digest, expected=expected)
            return
    yield from found.items()


def _document(answer: Answer) -> Document:
    return Document(lambda: answer, max_age=float("inf"))
