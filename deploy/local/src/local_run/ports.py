"""Loopback TCP ports for the servers that we start."""

from __future__ import annotations

import asyncio
import random
import socket
from errno import EADDRINUSE, EINVAL

# Below the range that Linux gives to outgoing connections (32768 and up): a client that keeps trying a
# port in that range while its server is down can connect to itself, and then the server cannot bind.
_FIRST, _LAST = 20000, 32767


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """True when a server could listen on this port now. Raises OSError when it never could: no such host here."""
    if port > 65_535:
        raise OSError(EINVAL, "there is no such port")
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do no harm
        try:
            probe.bind(address)
            probe.listen()
        except OSError as error:
            if error.errno == EADDRINUSE:
                return False
            raise
    return True


def pick(count: int = 1) -> list[int]:
    """Free loopback ports, all different. Another process may take one before you do: be ready to retry."""
    chosen: list[int] = []
    for port in random.sample(range(_FIRST, _LAST + 1), k=2000):
        if is_free(port):
            chosen.append(port)
            if len(chosen) == count:
                return chosen
    raise OSError(f"no {count} free loopback ports between {_FIRST} and {_LAST}")


async def wait_until_free(port: int, limit: float) -> bool:
    """Wait up to `limit` seconds, as for a predecessor that is still stopping; True once the port is free."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit
    while not is_free(port):
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(0.05)
    return True
