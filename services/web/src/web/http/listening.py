"""Sockets that listen at every address that a host stands for."""

from __future__ import annotations

import errno
import socket
from typing import Final

BACKLOG: Final = 1024

_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""What a name's address of a family that this machine has not got is answered with."""


def listen(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of the host, all on one port; `::` takes IPv4, too. Raises OSError if none can be."""
    found = dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))
    sockets: list[socket.socket] = []
    refused: OSError | None = None
    try:
        for family, kind, protocol, _, address in found:
            try:
                sockets.append(_one(family, kind, protocol, (address[0], port, *address[2:]), both=host == "::"))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                refused = error
            else:
                port = sockets[-1].getsockname()[1]
        if not sockets:
            raise refused or OSError(errno.EADDRNOTAVAIL, "no address")
    except OSError:
        for made in sockets:
            made.close()
        raise
    return sockets


def _one(family: int, kind: int, protocol: int, address: tuple[str | int, ...], *, both: bool) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made
