"""Which names this server answers to, so that no website can make its own name point here (DNS rebinding)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

import structlog
from aiohttp import web

from shared.logging import Trouble
from shared.settings import IpNetwork
from web.answers import TEXT

_OURS: Final = (".localhost", ".local", ".home.arpa", ".internal", ".lan")
"""Domains in which no stranger can register a name."""

_REMEMBERED: Final = 256
"""Headers that were found good and are not looked at again."""


class Hosts:
    """Names that a stranger cannot have are ours without being named: those without a dot, and bare addresses."""

    def __init__(self, allowed: Sequence[str], proxies: Sequence[IpNetwork], log: structlog.stdlib.BoundLogger) -> None:
        self._names = {socket.gethostname().lower(), *(name for name in allowed if not name.startswith("*"))}
        self._below = (*_OURS, *(name[1:] for name in allowed if name.startswith("*")))
        self._proxies = tuple(proxies)
        self._good: set[str] = set()
        self._trouble = Trouble(log, "host")

    def admits(self, request: web.Request) -> bool:
        """Whether the request asks for a name of ours. Without a name it comes from no browser."""
        header = self._asked(request)
        if header is None or header in self._good:
            return True
        name = _bare(header)
        if not (_unregistrable(name) or name in self._names or name.endswith(self._below)):
            return False
        if len(self._good) < _REMEMBERED:
            self._good.add(header)
        return True

    def refusal(self, request: web.Request) -> web.Response:
        """What to answer otherwise; no website can read it."""
        name = _bare(self._asked(request) or "")[:120]
        self._trouble.failed("a request asked for a name that is not ours", name=name, client=self.client(request))
        text = f"This dashboard does not answer to the name {name!r}. If it should, set ALLOWED_HOSTS={name} for web.\n"
        headers = {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        return web.Response(status=421, text=text, headers=headers)

    def client(self, request: web.Request) -> str:
        """Who asks: the peer or, behind proxies that we trust, whoever the last of them names."""
        client = request.remote or ""
        for named in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
            if not (self._trusts(client) and named.strip()):
                break
            client = named.strip()
        return client

    def _asked(self, request: web.Request) -> str | None:
        if self._proxies and self._trusts(request.remote or ""):
            forwarded = request.headers.get("X-Forwarded-Host", "").rpartition(",")[2].strip()
            forwarded = forwarded or next((part["host"] for part in reversed(request.forwarded) if "host" in part), "")
            if forwarded:
                return forwarded
        return request.headers.get("Host")

    def _trusts(self, peer: str) -> bool:
        if not self._proxies:
            return False
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)  # how a socket of both families names an IPv4 peer
        return any((mapped or address) in network for network in self._proxies)


def _bare(header: str) -> str:
    """The name or address without port, brackets and the dot at the end, in small letters."""
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def _unregistrable(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name
    return True
