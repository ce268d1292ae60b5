"""Which names a server of ours answers to, so that no website can make its own name point here (DNS rebinding)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

_OURS: Final = (".localhost", ".local", ".home.arpa", ".internal", ".lan")
"""Domains in which no stranger can register a name."""

_REMEMBERED: Final = 256
"""Headers that were found good and are not looked at again."""


class Names:
    """Names that a stranger cannot have are ours without being named: those without a dot, and bare addresses.

    `allowed` are others: `name`, and `*.name` for all below it.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._names = {socket.gethostname().lower(), *(name for name in allowed if not name.startswith("*"))}
        self._below = (*_OURS, *(name[1:] for name in allowed if name.startswith("*")))
        self._good: set[str] = set()

    def __contains__(self, header: str) -> bool:
        """Whether a `Host` header asks for one of them."""
        if header in self._good:
            return True
        name = bare(header)
        if not (_unregistrable(name) or name in self._names or name.endswith(self._below)):
            return False
        if len(self._good) < _REMEMBERED:
            self._good.add(header)
        return True


def bare(header: str) -> str:
    """The name or address without port, brackets and the dot at the end, in small letters."""
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")


def refusal(name: str) -> str:
    """What to answer whoever asks for a name that is not ours."""
    name = name[:120]
    return f"This server does not answer to the name {name!r}. If it should, set ALLOWED_HOSTS={name} for it.\n"


def _unregistrable(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name
    return True
