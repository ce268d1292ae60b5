"""New beginnings of the two streams: a fold asks for one, or what was published is not there any more."""

from __future__ import annotations

from chain_ingest.chain import ChainFollower
from chain_ingest.mempool import MempoolFollower
from chain_ingest.node import Node
from chain_ingest.patience import Healing
from shared.events.ops import GapDetected
from shared.service import Service


class Beginnings:
    """Makes them, with patience where they are asked for again and again."""

    def __init__(
        self, service: Service, node: Node, chain: ChainFollower, mempool: MempoolFollower, healing: Healing
    ) -> None:
        self._service = service
        self._node = node
        self._chain = chain
        self._mempool = mempool
        self._patience = healing.requests

    async def requested(self) -> bool:
        """Serve folds that lost entries, and the command that rebuilds everything.

        A request stands until the commit that fulfils it: a failure on the way must not lose it. Returns whether the
        mempool has begun anew, so that its transactions are to be published.
        """
        keys, client = self._service.keys, self._service.redis
        chain, mempool = await client.get(keys.chain_resync), await client.get(keys.mempool_resync)
        return await self._make(_words(chain), _words(mempool))

    async def lost(self) -> bool:
        """What was published must be where it was put: a key may be evicted, or deleted by a hand. Returns the same."""
        chain, mempool = await self._chain.lost(), await self._mempool.published.lost()
        for cause in (chain, mempool):
            if cause:
                await self._service.say(GapDetected, cause)
        return await self._make(chain, mempool)

    async def _make(self, chain: str, mempool: str) -> bool:
        if chain and not self._patience["chain"].wait_ms:
            self._patience["chain"].tried()
            self._service.log.info("chain_begins_anew", cause=chain)
            await self._chain.begin_anew(self._node)
        if not mempool or self._patience["mempool"].wait_ms:
            return False
        self._patience["mempool"].tried()
        self._service.log.info("mempool_begins_anew", cause=mempool)
        await self._mempool.reset(self._node, mempool)
        return True


def _words(request: bytes | None) -> str:
    return request.decode(errors="replace") or "no reason given" if request is not None else ""
