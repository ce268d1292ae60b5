"""Claims: which worker fetches what, so that no two fetch the same.

A claim is no guarantee, only thrift: what is published twice is folded once. It is renewed while its holder works and
ends by itself when the holder is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from types import TracebackType
from typing import Any, Final, Self

from shared.keys import CLAIM_MS, Keys
from shared.redis import TROUBLE, Client
from shared.tasks import end

_RENEW: Final = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"

_RELEASE: Final = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Claims:
    """What this worker takes claims with. Its token is its own, whatever else runs on the same host."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._token = secrets.token_hex(12)
        self._renew = client.register_script(_RENEW)
        self._release = client.register_script(_RELEASE)

    async def take(self, what: str) -> Claim | None:
        """The claim to `what`; None where somebody holds it, be it we ourselves."""
        key = self._keys.claim(what)
        if not await self._client.set(key, self._token, nx=True, px=CLAIM_MS):
            return None
        return Claim(key, self._token, self._renew, self._release)


class Claim:
    """One claim, renewed inside its context. Given back at the end, unless it is to be left."""

    def __init__(self, key: str, token: str, renew: Any, release: Any) -> None:
        self.lost = False  # it ran out, or somebody else has it
        self._key = key
        self._token = token
        self._renew = renew
        self._release = release
        self._left = False
        self._keeping: asyncio.Task[None] | None = None

    def leave(self) -> None:
        """Let it end by itself, CLAIM_MS from the end of the context: by then what was published is folded."""
        self._left = True

    async def __aenter__(self) -> Self:
        self._keeping = asyncio.create_task(self._keep(), name="claim")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeping is not None:
            await end(self._keeping)
        with contextlib.suppress(*TROUBLE):  # then it ends by itself
            if self._left:
                await self._renew(keys=[self._key], args=[self._token, CLAIM_MS])
            else:
                await self._release(keys=[self._key], args=[self._token])

    async def _keep(self) -> None:
        while not self.lost:
            await asyncio.sleep(CLAIM_MS / 3000)
            with contextlib.suppress(*TROUBLE):
                self.lost = not await self._renew(keys=[self._key], args=[self._token, CLAIM_MS])
