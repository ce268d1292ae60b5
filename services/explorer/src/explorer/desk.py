"""Who answers what: each kind of question, to whoever can answer it."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from explorer.address.addresses import Addresses
from explorer.address.scan import Scans
from explorer.address.seen import Seen
from explorer.core.blocks import Blocks
from explorer.core.coins import UNSPENDABLE
from explorer.core.node import Node, Nodes
from explorer.electrum.client import Electrum
from explorer.electrum.refusals import plain
from explorer.transaction.lookup import Transactions
from explorer.wallet.answering import KEPT_MS as WALLET_MS
from explorer.wallet.answering import Wallets
from shared import expected
from shared.errors import BadEntry, ElectrumError, ElectrumRefused, RpcError, RpcRefused
from shared.events.base import Event
from shared.events.lookups import AddressWanted, BlockWanted, LookupDone, TxWanted, WalletWanted
from shared.lookups import address, block, transaction
from shared.lookups.parts import Away, Missing
from shared.networks import NETWORKS
from shared.pool_tags import Pools
from shared.service import Service
from shared.work import Alive

AWAY_MS: Final = 2_000
WAITING_MS: Final = 5_000
SETTLED_MS: Final = 120_000
"""How long answers are kept: that nobody answers; about what may change with the mempool at any moment; about the chain
up to a block, since after the next one the question is another.
"""


class Desk:
    """Answers the look-ups of one replica."""

    def __init__(self, service: Service, nodes: Nodes, electrum: Electrum, seen: Seen) -> None:
        network, now_ms = NETWORKS[service.settings.network], lambda: service.clock.now_ms
        self._nodes = nodes
        self._log = service.log
        self._electrum = electrum
        self._transactions = Transactions(service.redis, service.keys, electrum, now_ms)
        pools = Pools(service.settings.pools_file)
        self._blocks = Blocks(network, now_ms, pools, partial(expected.read, service.redis, service.keys))
        self._addresses = Addresses(electrum, network, now_ms, seen.note)
        self.scans = Scans(service.redis, service.keys, network, now_ms)
        self.wallets = Wallets(
            service.settings.wallet_secret,
            electrum,
            self.scans,
            service.redis,
            service.keys,
            service.settings.network,
            now_ms,
            service.log,
        )

    async def answer(self, job: Event, alive: Alive) -> Any:
        """The answer to one job (shared.lookups); raises what stands in its way, and is then asked again."""
        try:
            match job:
                case TxWanted():
                    return await self._nodes.ask(lambda node: self._transactions.look_up(node, job))
                case BlockWanted():
                    return await self._nodes.ask(lambda node: self._blocks.look_up(node, job))
                case AddressWanted():
                    return await self._nodes.ask(lambda node: self._address(node, job, alive))
                case WalletWanted():
                    return await self._nodes.ask(lambda node: self.wallets.look_up(node, job, alive))
        except ElectrumError as error:
            self._refused(error)
            return Away(who="electrum", why=plain(error))
        except RpcError as error:
            self._refused(error)
            return Away(who="node", why=plain(error))
        raise BadEntry(f"{type(job).TYPE} is not answered here")

    def _refused(self, error: Exception) -> None:
        """What was said besides may name what somebody looked up: it is in no log either."""
        if isinstance(error, ElectrumRefused | RpcRefused):
            self._log.warning("lookup_refused", method=error.method, code=error.code)

    async def _address(self, node: Node, job: AddressWanted, alive: Alive) -> Any:
        if self._electrum.configured:
            return await self._addresses.look_up(node, job, alive)
        return await self.scans.look_up(node, job, alive)


def keep_ms(answer: Any) -> int:
    """How long an answer is kept in Redis, in milliseconds."""
    if isinstance(answer, Away):
        return AWAY_MS
    if isinstance(answer, str):  # a sealed one
        return WALLET_MS
    waits = isinstance(answer, address.Found) or (
        isinstance(answer, transaction.Found | block.Found) and not _settled(answer)
    )
    return WAITING_MS if waits or isinstance(answer, Missing | transaction.Gone) else SETTLED_MS


def _settled(found: transaction.Found | block.Found) -> bool:
    """Whether nothing but a block can change it. Of a transaction: it is in a block, that was recorded if it was
    recorded at all, and what spent each of its outputs is in a block as well; timeline and Electrum server hear of a
    block after the node. Of the newest block: what was expected in it was recorded.
    """
    if isinstance(found, block.Found):
        return found.not_expected is None or found.not_expected.why != "nothing" or found.height != found.tip.height
    steps = found.timeline
    recorded = found.place is not None and (not steps or steps[-1].block == found.place.hash)
    return recorded and all(
        one.kind in UNSPENDABLE or (one.spender is not None and one.spender.height is not None) for one in found.outputs
    )


def told(what: str, status: str) -> LookupDone:
    """The notification that a look-up ended."""
    return LookupDone(key=what, status="done" if status == "done" else "failed")
