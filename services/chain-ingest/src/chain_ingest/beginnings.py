"""New beginnings of the two streams: a fold asks for one, or what was published is not there any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from chain_ingest.chain import ChainFollower
from chain_ingest.healing import Healing
from chain_ingest.mempool import MempoolFollower
from chain_ingest.node import Node
from shared import domains
from shared.backoff import Backoff
from shared.events.ops import GapDetected
from shared.service import Service


class Beginnings:
    """Makes them, with patience where they are asked for again and again.

    A request is made by a fold that lost entries, or by the command that rebuilds everything. It stands until the
    commit that fulfils it: a failure on the way must not lose it. What was published must be where it was put: a key
    may be evicted, or deleted by a hand.
    """

    def __init__(
        self, service: Service, node: Node, chain: ChainFollower, mempool: MempoolFollower, healing: Healing
    ) -> None:
        self._service = service
        self._node = node
        self._chain = chain
        self._mempool = mempool
        self._patience = healing.requests

    async def of_chain(self) -> None:
        """Begin the chain's stream anew, where it is time to."""
        cause = await self._cause(self._service.keys.resync(domains.BLOCKS), self._chain.lost, self._patience["chain"])
        if cause:
            self._service.log.info("chain_begins_anew", cause=cause)
            await self._chain.begin_anew(self._node)

    async def of_mempool(self) -> bool:
        """Begin the mempool's stream anew, where it is time to; returns whether all of it is to be published."""
        lost = self._mempool.published.lost
        cause = await self._cause(self._service.keys.resync(domains.TXS), lost, self._patience["mempool"])
        if cause:
            self._service.log.info("mempool_begins_anew", cause=cause)
            await self._mempool.reset(self._node, cause)
        return bool(cause)

    async def _cause(self, key: str, lost: Callable[[], Awaitable[str]], patience: Backoff) -> str:
        """Why to begin anew now; empty where there is no reason, or not yet. Whoever asked has announced it."""
        if patience.wait:
            return ""
        request: bytes | None = await self._service.redis.get(key)
        gone = await lost()
        cause = gone if request is None else request.decode(errors="replace") or "no reason given"
        if cause and patience.tried() and gone:
            await self._service.say(GapDetected, gone)
        return cause
