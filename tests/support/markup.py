"""Looks at pages as tests need them: whole, and as words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from html.parser import HTMLParser

import aiohttp

LOOKED_UP = ("/tx/", "/block/", "/address/")
"""What links of look-ups begin with: without an explorer they say after a while that they wait (202)."""


def followed(links: Iterable[str]) -> list[str]:
    """Every link of this site, but of those to look-ups one alone."""
    ours = sorted({link for link in links if link.startswith("/")})
    looked_up = [link for link in ours if link.startswith(LOOKED_UP)]
    return [link for link in ours if link not in looked_up[1:]]


class Balanced(HTMLParser):
    """Fails on an element that is not closed, and keeps what the tests look at."""

    VOID = frozenset({"meta", "link", "br", "rect", "path", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.inline: list[str] = []
        self.links: list[str] = []
        self.feed(html)
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name.startswith("on") or name == "style":
                self.inline.append(f"{tag} {name}")
            if name in ("href", "src"):
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def words(html: str) -> str:
    """The page's text without markup."""
    html = re.sub(r"<(script|style|title)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", html))).strip()


async def text(http: aiohttp.ClientSession, path: str, status: int = 200) -> str:
    async with http.get(path) as response:
        assert response.status == status
        assert response.content_type == "text/html"
        return await response.text()
