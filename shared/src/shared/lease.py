"""One active replica a fold: a lease with a fencing token.

The holder renews every third of LEASE_MS. A holder that died is replaced when the lease runs out, at once where the
newcomer can see that the process is gone (same host, same PID namespace).
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Coroutine
from typing import Any, Final

from shared.errors import Fenced
from shared.keys import LEASE_MS
from shared.redis import LOST, Client
from shared.tasks import end

_TAKE: Final = """
local held = redis.call('GET', KEYS[1]) or ''
if held ~= ARGV[1] then return false end
local token = ARGV[2] .. ' ' .. redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], token, 'PX', ARGV[3])
return token
"""

_RENEW: Final = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"

_RELEASE: Final = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"

_RELEASE_SECONDS: Final = 1.0


def _here() -> str:
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux: then only the lease's end tells that a holder is gone
        namespace = str(time.time_ns())
    return f"{socket.gethostname()}/{namespace}"


class Lease:
    """The right to be the active replica. `token` is what commits show."""

    def __init__(self, client: Client, key: str, fence_key: str) -> None:
        self.key = key
        self.token = ""
        self._client = client
        self._fence_key = fence_key
        self._place = _here()
        self._take = client.register_script(_TAKE)
        self._renew = client.register_script(_RENEW)
        self._release = client.register_script(_RELEASE)

    async def try_acquire(self) -> bool:
        """Take the lease where it is free, or held by a process of this host that is gone."""
        held: bytes | None = await self._client.get(self.key)
        seen = held.decode() if held else ""
        if seen and not self._holder_is_gone(seen):
            return False
        token: bytes | None = await self._take(
            keys=[self.key, self._fence_key], args=[seen, f"{self._place} {os.getpid()}", LEASE_MS]
        )
        if token is None:
            return False
        self.token = token.decode()
        return True

    def _holder_is_gone(self, held: str) -> bool:
        place, _, rest = held.partition(" ")
        pid = rest.partition(" ")[0]
        if place != self._place or not pid.isdecimal():
            return False
        if int(pid) == os.getpid():
            return True  # we held it ourselves before we lost Redis
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    async def keep(self) -> None:
        """Renew until cancelled; raises Fenced when the lease is somebody else's."""
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            try:
                renewed = await self._renew(keys=[self.key], args=[self.token, LEASE_MS])
            except LOST:
                continue  # commits tell whether the lease outlived the loss
            if not renewed:
                raise Fenced(f"{self.key}: the lease ran out or was taken over")

    async def release(self) -> None:
        """Give the lease back, so that a standby takes over at once; raises one of LOST where that takes too long."""
        if self.token:
            token, self.token = self.token, ""
            async with asyncio.timeout(_RELEASE_SECONDS):  # we are stopping, and the lease ends by itself as well
                await self._release(keys=[self.key], args=[token])

    async def hold(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work while the lease is renewed; whichever of the two ends first ends both."""
        tasks = (asyncio.create_task(work, name="leased"), asyncio.create_task(self.keep(), name="lease"))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            results = await end(*tasks)
        for result in results:
            if isinstance(result, Exception):
                raise result
