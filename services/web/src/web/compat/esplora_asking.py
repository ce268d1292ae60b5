"""Questions to the explorer as Esplora's interface needs them: whole transactions, whole lists, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from shared import redis
from shared.events.lookups import AddressWanted, Asked, BlockWanted, TxWanted
from shared.lookups import address, block, transaction
from shared.lookups.address import Working
from shared.lookups.parts import Away, Missing
from shared.scripts.address import Address
from shared.tasks import together
from web.lookups.asking import Failed, Full, Lookups, Pending
from web.state.disclosure import masked

T = TypeVar("T")

SECONDS: Final = 10.0
"""For everything that one request needs."""

AT_ONCE: Final = 8
"""Questions of one request side by side."""

PAGES_MOST: Final = 50
"""Pages of one transaction: 5,000 inputs or outputs."""

COINS_MOST: Final = 500
"""Unspent outputs of one address, as Esplora has it by default."""

MEMPOOL_MOST, CHAIN_PAGE = 50, 25
"""Transactions of one address that wait, and those in blocks on one page, as Esplora has them."""


LOOKING: Final = "It is being looked up"

NO_TRANSACTION: Final = "Transaction not found"


class Refused(Exception):
    """What is answered instead: a status, and words; `again`: seconds after which it may be another.

    `working` is how far the scan is that it waits for, where there is one.
    """

    def __init__(self, status: int, text: str, again: int | None = None, working: Working | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.again = again
        self.working = working


class Asking:
    """Asks for one request."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def tx(self, txid: str) -> tuple[transaction.Found, ...]:
        """All pages of a transaction. Raises Refused."""
        first = await self.page(txid, 0)
        pages = max(1, -(-max(first.input_count, first.output_count) // transaction.PAGE))
        if pages > PAGES_MOST:
            raise Refused(400, "Transaction has too many inputs or outputs")
        return first, *await together(*(self.page(txid, page) for page in range(1, pages)))

    async def page(self, txid: str, page: int = 0) -> transaction.Found:
        """One page of a transaction. Raises Refused."""
        wanted = TxWanted(txid=txid, page=page, whole=True)
        found = await self._ask(f"whole:{txid}:{page}", wanted, transaction.Answer, NO_TRANSACTION)
        if not isinstance(found, transaction.Found):  # it was here, and is gone
            raise Refused(404, NO_TRANSACTION)
        return found

    async def txs(self, txids: Sequence[str]) -> list[tuple[transaction.Found, ...]]:
        """Whole transactions, in this order. Raises Refused."""
        return await together(*map(self.tx, txids))

    async def block_of(self, named: str | int) -> block.Found:
        """By its hash, or by its height. Raises Refused."""
        by_hash = isinstance(named, str)
        wanted = BlockWanted(hash=named) if isinstance(named, str) else BlockWanted(height=named)
        found: block.Found = await self._ask(f"block:{named}:0:position", wanted, block.Answer, "Block not found")
        if not by_hash and not found.best:
            raise Refused(404, "Block not found")
        return found

    async def page_of(self, one: Address, page: int = 0, coins: int = 0) -> address.Found:
        """One page of an address. Raises Refused."""
        wanted = AddressWanted(script=one.script.hex(), page=page, coins=coins)
        question = f"address:{one.scripthash}:{page}:{coins}"
        found: address.Found = await self._ask(question, wanted, address.Answer, "Address not found")
        return found

    async def after(self, one: Address, txid: str) -> address.Found:
        """The page of an address's history behind this transaction. Raises Refused."""
        wanted = AddressWanted(script=one.script.hex(), after=txid)
        question = f"address:{one.scripthash}:after-{txid[:32]}:0"
        found: address.Found = await self._ask(question, wanted, address.Answer, "Address not found")
        return found

    async def coins(self, one: Address) -> tuple[address.Found, ...]:
        """All pages of an address's unspent outputs. Raises Refused."""
        first = await self.page_of(one)
        if first.coin_count > COINS_MOST:
            raise Refused(400, f"Too many unspent transaction outputs (>{COINS_MOST})")
        pages = max(1, -(-first.coin_count // address.PAGE))
        return first, *await together(*(self.page_of(one, coins=page) for page in range(1, pages)))

    async def newest(self, one: Address, first: address.Found, waiting: int, mined: int) -> list[str]:
        """The newest txids of its history: so many of those that wait, then so many of those in blocks."""
        there = first.waiting_count or 0
        end = there + min(mined, first.tx_count or 0)
        pages = {place // address.PAGE for place in (*range(min(waiting, there)), *range(there, end))}
        rest = sorted(pages - {0})
        found = dict(zip(rest, await together(*(self.page_of(one, page) for page in rest)), strict=True)) | {0: first}
        entries = [entry for page in sorted(found) for entry in found[page].history or ()]
        waits = [entry.txid for entry in entries if entry.height is None]
        return [*waits[:waiting], *[entry.txid for entry in entries if entry.height is not None][:mined]]

    async def _ask(self, question: str, wanted: Asked, kind: Any, missing: str) -> Any:
        """The answer, as a look-up found it. Raises Refused."""
        try:
            async with self._turn:
                answer = (await self._lookups.ask(question, wanted, kind)).answer
        except Pending as error:
            raise Refused(503, LOOKING, 2, error.working) from None
        except Full:
            raise Refused(503, "Too much is being looked up", 5) from None
        except Failed as error:
            raise Refused(503, masked(str(error)), 5) from None
        except redis.TROUBLE:
            raise Refused(503, "Redis does not answer", 5) from None
        if isinstance(answer, Working):
            raise Refused(503, LOOKING, 2, answer)
        if isinstance(answer, Away):
            raise Refused(503, masked(answer.why), 2)
        if isinstance(answer, Missing):
            hint = _HINTS.get(answer.why, "")
            raise Refused(404, f"{missing}: {hint}" if hint else missing)
        return answer


_HINTS: Final = {
    "no-index": "the node keeps no index of transactions (txindex=1)",
    "pruned": "the node has deleted it (prune)",
}
