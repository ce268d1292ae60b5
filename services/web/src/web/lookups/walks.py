"""How much one client may ask of wallets, and all together: how many it enters, and how many are walked at once.

Walking a wallet costs the explorer and its Electrum server thousands of questions, and entering one is cheap. What is
taken stands in Redis, so that it holds for all replicas of web; who took it stands there as a keyed hash.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
from typing import Any, Final, NamedTuple

from shared import redis
from shared.keys import Keys
from shared.sealed import Seal


class Limit(NamedTuple):
    """Places of one kind."""

    each: int  # of one client
    together: int
    life_ms: int  # after which a place is free again, whatever became of it


ENTERED: Final = Limit(each=60, together=1_000, life_ms=3_600_000)
"""Wallets that are kept: as long as what was entered lives, and 30 MB of Redis at most."""

WALKED: Final = Limit(each=3, together=8, life_ms=600_000)
"""Wallets that are walked at once: half of what one explorer does at once, so that other look-ups go on."""

_TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local member, who = ARGV[1] .. ':' .. ARGV[2], ARGV[1] .. ':'
if not redis.call('ZSCORE', KEYS[1], member) then
  local held, theirs, first = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'), 0, nil
  for at = 1, #held, 2 do
    if held[at]:sub(1, #who) == who then
      theirs, first = theirs + 1, first or held[at + 1]
    end
  end
  if theirs >= tonumber(ARGV[4]) then return {'each', first - now} end
  if #held / 2 >= tonumber(ARGV[5]) then return {'together', held[2] - now} end
end
redis.call('ZADD', KEYS[1], now + ARGV[3], member)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'', 0}
"""
"""A place that is held already is held for longer."""


class Busy(Exception):
    """There is no place: `own` where this client has as many as it may, else others have them all."""

    def __init__(self, limit: Limit, seconds: int, *, own: bool) -> None:
        super().__init__("no place")
        self.limit = limit
        self.seconds = seconds
        """After which the first is free again at the latest."""
        self.own = own


class Walks:
    """Gives places to clients, and takes them back."""

    def __init__(self, client: Any, keys: Keys, seal: Seal) -> None:
        self._redis = client
        self._keys = keys
        self._seal = seal
        self._take = client.register_script(_TAKE)
        self._held: dict[str, str] = {}  # wallet -> who walks it, of this replica
        self._ending: set[asyncio.Task[None]] = set()

    async def enter(self, client: str, name: str) -> None:
        """Before a wallet is kept. Raises Busy, TROUBLE."""
        await self._place(self._keys.wallets_entered, ENTERED, self._who(client), name)

    async def begin(self, client: str, name: str) -> None:
        """Before a wallet is asked for; again for as long as it is walked. Raises Busy, TROUBLE."""
        who = self._held.get(name) or self._who(client)  # whoever looks at it: it is walked once
        await self._place(self._keys.wallets_walked, WALKED, who, name)
        self._held[name] = who

    async def end(self, name: str) -> None:
        """The wallet is not walked any more. Raises TROUBLE."""
        who = self._held.pop(name, None)
        if who is not None:
            await self._redis.zrem(self._keys.wallets_walked, f"{who}:{name}")

    def done(self, question: str) -> None:
        """A look-up is done, also where nobody waits for it any longer."""
        kind, _, rest = question.partition(":")
        name = rest.partition(":")[0]
        if kind == "wallet" and name in self._held:
            task = asyncio.get_running_loop().create_task(self._ended(name))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _ended(self, name: str) -> None:
        with contextlib.suppress(*redis.TROUBLE):  # else its life ends it
            await self.end(name)

    async def _place(self, key: str, limit: Limit, who: str, name: str) -> None:
        said, left_ms = await self._take(keys=[key], args=[who, name, limit.life_ms, limit.each, limit.together])
        if said:
            raise Busy(limit, max(1, math.ceil(left_ms / 1000)), own=said == b"each")

    def _who(self, client: str) -> str:
        return self._seal.name(f"client {neighbourhood(client)}")


def neighbourhood(client: str) -> str:
    """Whom addresses are given to: of IPv6 a whole /64, of IPv4 one address."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, 64), strict=False))
        return str(address.ipv4_mapped)
    return str(address)


AGAIN_SECONDS: Final = 5
"""After which a place may be free where one is held for as long as a look-up takes."""


def again_after(busy: Busy) -> int:
    """Seconds after which it makes sense to ask again."""
    return busy.seconds if busy.limit is ENTERED else min(busy.seconds, AGAIN_SECONDS)
