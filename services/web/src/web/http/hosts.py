"""Whom a request asks for and whom it comes from, also behind proxies; other names than ours are refused."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from shared.logging import Trouble
from shared.names import Names, bare, refusal
from shared.variables import IpNetwork
from web.http.answers import TEXT


class Hosts:
    """The names that are ours, and the proxies whose word is believed."""

    def __init__(self, allowed: Sequence[str], proxies: Sequence[IpNetwork], log: structlog.stdlib.BoundLogger) -> None:
        self._names = Names(allowed)
        self._proxies = tuple(proxies)
        self._trouble = Trouble(log, "host")

    def admits(self, request: web.Request) -> bool:
        """Whether every name that the request gives is ours. Without a name it comes from no browser."""
        return self._stranger(request) is None

    def refusal(self, request: web.Request) -> web.Response:
        """What to answer otherwise; no website can read it."""
        name = bare(self._stranger(request) or "")
        self._trouble.failed(
            "a request asked for a name that is not ours", name=name[:120], client=self.client(request)
        )
        headers = {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        return web.Response(status=421, text=refusal(name), headers=headers)

    def from_elsewhere(self, request: web.Request) -> bool:
        """Whether a page of another origin sent this, or may have, as the browser says. No browser says nothing."""
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None:  # a browser says so to addresses that it trusts
            return site not in ("same-origin", "none")
        origin = request.headers.get("Origin")
        if origin is None:
            return False
        try:
            return urlsplit(origin).netloc not in set(self._asked(request))
        except ValueError:
            return True

    def client(self, request: web.Request) -> str:
        """Who asks: the peer or, behind proxies that we trust, whoever the last of them names."""
        client = request.remote or ""
        for named in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
            if not (self._trusts(client) and named.strip()):
                break
            client = named.strip()
        return client

    def _stranger(self, request: web.Request) -> str | None:
        """The first name of the request that is not ours."""
        return next((name for name in self._asked(request) if name not in self._names), None)

    def _asked(self, request: web.Request) -> Iterator[str]:
        """`Host`, which no website can write, and what a trusted proxy says was asked of it.

        Never the second in place of the first: a page may write every other header, and on the proxy's own machine the
        browser is as trusted as the proxy.
        """
        host = request.headers.get("Host")
        if host is not None:
            yield host
        if self._proxies and self._trusts(request.remote or ""):
            forwarded = request.headers.get("X-Forwarded-Host", "").rpartition(",")[2].strip()
            if forwarded:
                yield forwarded
            yield from [part["host"] for part in reversed(request.forwarded) if "host" in part][:1]

    def _trusts(self, peer: str) -> bool:
        if not self._proxies:
            return False
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)  # how a socket of both families names an IPv4 peer
        return any((mapped or address) in network for network in self._proxies)


HOSTS: Final = web.AppKey("hosts", Hosts)
"""In the application: they tell handlers who asks."""
