"""Who answers what: each kind of question, to whoever can answer it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from explorer.core import transactions
from explorer.core.blocks import Blocks
from explorer.core.node import Nodes
from shared.errors import BadEntry, RpcError
from shared.events.base import Event
from shared.events.lookups import BlockWanted, LookupDone, TxWanted
from shared.lookups import transaction
from shared.lookups.parts import Away, Missing
from shared.networks import Network
from shared.work import Alive

AWAY_MS: Final = 2_000
WAITING_MS: Final = 5_000
SETTLED_MS: Final = 120_000
"""How long answers are kept: that nobody answers; about what may change with the mempool at any moment; about the chain
up to a block, since after the next one the question is another.
"""


class Desk:
    """Answers the look-ups of one replica."""

    def __init__(self, nodes: Nodes, network: Network, now_ms: Callable[[], int]) -> None:
        self._nodes = nodes
        self._now_ms = now_ms
        self._blocks = Blocks(network, now_ms)

    async def answer(self, job: Event, alive: Alive) -> Any:
        """The answer to one job (shared.lookups); raises what stands in its way, and is then asked again."""
        del alive
        try:
            match job:
                case TxWanted():
                    return await self._nodes.ask(lambda node: transactions.look_up(node, job, self._now_ms))
                case BlockWanted():
                    return await self._nodes.ask(lambda node: self._blocks.look_up(node, job))
        except RpcError as error:
            return Away(who="node", why=str(error))
        raise BadEntry(f"{type(job).TYPE} is not answered here")


def keep_ms(answer: Any) -> int:
    """How long an answer is kept in Redis, in milliseconds."""
    if isinstance(answer, Away):
        return AWAY_MS
    waits = isinstance(answer, transaction.Found) and answer.place is None
    return WAITING_MS if waits or isinstance(answer, Missing | transaction.Gone) else SETTLED_MS


def told(what: str, status: str) -> LookupDone:
    """The notification that a look-up ended."""
    return LookupDone(key=what, status="done" if status == "done" else "failed")
