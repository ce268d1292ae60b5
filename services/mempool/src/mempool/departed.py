"""Transactions that left the mempool lately: one that returns, after a reorganisation say, is not taken for new.

The newest LEFT_KEEP are known, in Redis too. What returns later than that, or left while nobody looked, counts again.
"""

from __future__ import annotations

from collections import OrderedDict

from shared import redis
from shared.commit import Commands
from shared.keys import LEFT_KEEP, Keys


class Departed:
    """The newest txids (32 bytes) that left, for whatever reason."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.mempool_left
        self.txids: OrderedDict[bytes, None] = OrderedDict()
        self._new: list[bytes] = []  # since the last flush
        self._anew = False

    async def load(self, client: redis.Client) -> None:
        """Read what was committed last."""
        self.txids = OrderedDict.fromkeys(await client.lrange(self._key, 0, -1))
        self._new, self._anew = [], False

    def add(self, txid: bytes) -> None:
        """One that left just now."""
        self._new.append(txid)
        self.txids[txid] = None
        self.txids.move_to_end(txid)
        if len(self.txids) > LEFT_KEEP:
            self.txids.popitem(last=False)

    def rewrite(self) -> None:
        """What is stored is in doubt: the next flush writes all of it."""
        self._new, self._anew = list(self.txids), bool(self.txids)

    def flush(self, commands: Commands) -> None:
        """Commands for what left since the last call."""
        if self._anew:
            commands.add("DEL", self._key)
        if self._new:
            commands.spread("RPUSH", self._key, list(self._new))
            commands.add("LTRIM", self._key, -LEFT_KEEP, -1)
        self._new, self._anew = [], False
