"""Everything about one transaction: the node's answer, what happened to it, and what is to be expected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec
import structlog
from msgspec.structs import replace as _with

from explorer.core import transactions
from explorer.core.node import Node
from explorer.electrum.client import Electrum
from explorer.timeline.odds import odds
from explorer.timeline.odds import waited as waited_at
from explorer.timeline.reading import replacements, timeline
from explorer.transaction.blocks import block_of, in_block
from explorer.transaction.queue import queue
from explorer.transaction.recorded import mined_again, with_block
from explorer.transaction.spenders import with_spenders
from shared import redis
from shared.errors import RpcRefused
from shared.events.lookups import TxWanted
from shared.keys import Keys
from shared.lookups.parts import Missing
from shared.lookups.transaction import Answer, Found, Gone, Replacements, Step
from shared.tasks import together

T = TypeVar("T")

ELECTRUM_SECONDS: Final = 2.5
"""How long Electrum servers are given to tell what the node does not: the page waits for it."""

_log: Any = structlog.get_logger()


class Transactions:
    """Answers questions of transactions."""

    def __init__(self, client: redis.Client, keys: Keys, electrum: Electrum, now_ms: Callable[[], int]) -> None:
        self._redis = client
        self._keys = keys
        self._electrum = electrum
        self._now_ms = now_ms

    async def look_up(self, node: Node, wanted: TxWanted) -> Answer:
        """Raises RpcError where the node does not answer, one of redis.TROUBLE where Redis does not."""
        steps = await timeline(self._redis, self._keys, wanted.txid)
        recorded = in_block(steps)

        async def from_records(_: str) -> str | None:
            return recorded

        async def from_electrum(txid: str) -> str | None:
            return await self._limited(block_of(self._electrum, node, txid), None)

        again = await mined_again(self._redis, self._keys, steps)
        hints = [from_records, *again, *([from_electrum] if self._electrum.configured else [])]
        answer = await transactions.look_up(node, wanted, self._now_ms, hints)
        if isinstance(answer, Found):
            return await self._complete(node, answer, steps)
        if isinstance(answer, Missing):
            return await self._gone(node, wanted.txid, answer, steps, recorded)
        return answer

    async def _complete(self, node: Node, found: Found, steps: list[Step]) -> Found:
        ahead = chance = waited = None
        tree = await self._replacements(found.txid, steps)
        steps = await with_block(self._redis, self._keys, steps, found)
        if found.waiting is not None and found.waiting.rate is not None:
            rate, vsize = found.waiting.rate, found.vsize
            ahead, chance, waited = await together(
                queue(self._redis, self._keys, rate, vsize),
                self._read(odds(self._redis, self._keys, rate, vsize)),
                self._read(waited_at(self._redis, self._keys, rate)),
            )
        if self._electrum.configured and found.place is not None and found.place.best:
            found = await self._limited(with_spenders(self._electrum, node, found), found)
        sources = {**found.sources, **({"timeline": "records"} if steps else {})}
        found = _with(found, ahead=ahead, chance=chance, waited=waited)
        return _with(found, timeline=steps, replacements=tree, sources=sources)

    async def _gone(self, node: Node, txid: str, missing: Missing, steps: list[Step], recorded: str | None) -> Answer:
        """What was recorded of a transaction that nobody has any more; `recorded` is the block that it went into."""
        if recorded is not None:
            return _with(missing, why="pruned", hint=recorded) if await _stands(node, recorded) else missing
        steps = await timeline(self._redis, self._keys, txid)  # it may have left after they were read
        if not steps or missing.tip is None:
            return missing
        tree = await self._replacements(txid, steps)
        return Gone(
            txid=txid,
            timeline=steps,
            replacements=tree,
            certain=missing.why != "no-index",
            tip=missing.tip,
            as_of_ms=self._now_ms(),
        )

    async def _replacements(self, txid: str, steps: Sequence[Step]) -> Replacements | None:
        if not any(step.by or step.replaces for step in steps):
            return None
        return await replacements(self._redis, self._keys, txid)

    @staticmethod
    async def _read(asked: Awaitable[T | None]) -> T | None:
        """What views say of the future; None where they are of another version, for a moment."""
        try:
            return await asked
        except (msgspec.MsgspecError, ValueError) as error:
            _log.warning("views_unreadable", error=repr(error)[:200])
            return None

    @staticmethod
    async def _limited(asked: Awaitable[T], instead: T) -> T:
        """What comes of it in time, else `instead`: a page does not wait for what it can do without."""
        try:
            async with asyncio.timeout(ELECTRUM_SECONDS):
                return await asked
        except TimeoutError:
            return instead


async def _stands(node: Node, block: str) -> bool:
    """Whether the node has this block in its best chain."""
    try:
        return (await node.header(block)).confirmations > 0
    except RpcRefused:
        return False
