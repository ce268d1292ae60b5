"""Static files: read once at the start, served under an address that holds their hash, and so cached for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from aiohttp import web

from web.answers import Answer
from web.document import Document

_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


class Assets:
    """Every static file. `urls` gives the address of each by its plain name."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}
        self._documents: dict[str, Document] = {}
        for path in sorted(_FOLDER.iterdir()):
            kind = _TYPES.get(path.suffix)
            if kind is None:
                continue
            body = path.read_bytes()
            name = f"{path.stem}.{hashlib.blake2b(body, digest_size=6).hexdigest()}{path.suffix}"
            self.urls[path.name] = f"/static/{name}"
            self._documents[name] = _document(Answer(body, kind, headers=_FOREVER))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`/static/{name}`: only the present version of a file; raises 404 for any other."""
        document = self._documents.get(request.match_info["name"])
        if document is None:
            raise web.HTTPNotFound
        return await document.handle(request)


def _document(answer: Answer) -> Document:
    return Document(lambda: answer, max_age=float("inf"))
