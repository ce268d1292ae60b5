"""One active replica a fold: a lease with a fencing token.

The holder renews every third of LEASE_MS. A holder that died is replaced when the lease runs out, at once where the
newcomer can see that the process is gone (same boot of the same host, same PID namespace).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from shared.errors import Fenced
from shared.keys import LEASE_MS
from shared.redis import TROUBLE, Client
from shared.tasks import accompanied

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
    """Where a process id means something: this boot of this host, and the namespace of process ids.

    A host name alone does not do: two hosts may share it, and every host's first namespace has the same number.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux, or hidden: then only the lease's end tells that a holder is gone
        boot, namespace = secrets.token_hex(8), "-"
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _started(pid: int) -> str:
    """When the process started, in ticks since the boot; `ended` where it only waits to be collected; empty: unknown.

    With it, a process that came later and was given the same id is told from the one before.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *rest = stat.rpartition(")")[2].split()
    return "ended" if state in "ZX" else rest[18]


class Lease:
    """The right to be the active replica. `token` is what commits show: `PLACE PID START NONCE FENCE`."""

    def __init__(self, client: Client, key: str, fence_key: str) -> None:
        self.key = key
        self.token = ""
        self._client = client
        self._fence_key = fence_key
        self._place = _here()
        self._nonce = secrets.token_hex(8)  # ours alone, also among the leases of one process
        self._take = client.register_script(_TAKE)
        self._renew = client.register_script(_RENEW)
        self._release = client.register_script(_RELEASE)

    async def try_acquire(self) -> bool:
        """Take the lease where it is free, our own of before, or held by a process of this host that is gone.

        Our own gets a new token too: what we sent before we lost Redis, and may still arrive, is refused then.
        """
        held: bytes | None = await self._client.get(self.key)
        seen = held.decode(errors="replace") if held else ""
        if seen and not self._may_replace(seen):
            return False
        pid = os.getpid()
        ours = f"{self._place} {pid} {_started(pid) or '-'} {self._nonce}"
        token: bytes | None = await self._take(keys=[self.key, self._fence_key], args=[seen, ours, LEASE_MS])
        if token is None:
            return False
        self.token = token.decode()
        return True

    def _may_replace(self, held: str) -> bool:
        place, pid, start, nonce, _ = [*held.split(" "), *[""] * 5][:5]
        if nonce == self._nonce:
            return True
        if place != self._place or not pid.isdecimal() or not start.isdecimal():
            return False
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except (PermissionError, OverflowError):  # another user's, or nonsense
            return False
        now = _started(int(pid))
        return bool(now) and now != start

    async def keep(self) -> None:
        """Renew until cancelled; raises Fenced when the lease is somebody else's."""
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            try:
                renewed = await self._renew(keys=[self.key], args=[self.token, LEASE_MS])
            except TROUBLE:
                continue  # commits tell whether the lease outlived it
            if not renewed:
                raise Fenced(f"{self.key}: the lease ran out or was taken over")

    async def release(self) -> None:
        """Give the lease back, so that a standby takes over at once; raises one of TROUBLE where that fails."""
        if self.token:
            token, self.token = self.token, ""
            async with asyncio.timeout(_RELEASE_SECONDS):  # we are stopping, and the lease ends by itself as well
                await self._release(keys=[self.key], args=[token])

    async def hold(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work while the lease is renewed; whichever of the two ends first ends both."""
        await accompanied(work, self.keep())
