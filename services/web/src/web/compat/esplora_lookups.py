"""What Esplora has of transactions, addresses and blocks (Blockstream/esplora, `API.md`), from look-ups."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from aiohttp import web

from shared.errors import Unreadable
from shared.lookups import address
from shared.networks import Network
from shared.scripts.address import Address, read
from web.compat import esplora_shapes as shapes
from web.compat.answers import looking, plain, refusal
from web.compat.esplora_asking import CHAIN_PAGE, MEMPOOL_MOST, NO_TRANSACTION, SECONDS, Asking, Refused
from web.http.answers import RETRY_AFTER, Answer, document
from web.lookups.asking import Lookups

KEPT: Final = 256
"""Documents kept at most, of what was asked for lately."""

HIGHEST: Final = 499_999_999
"""No height is above: larger numbers are times where a transaction says from when on it may be mined."""

_HASH: Final = re.compile(r"[0-9a-fA-F]{64}")
_HEIGHT: Final = re.compile("0|[1-9][0-9]{0,8}")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Build = Callable[[Asking, web.Request], Awaitable[tuple[Any, Callable[[], Answer]]]]
"""Asks; returns what the answer is made of, and how it is made. May raise Refused, and the second one Unknown."""


class EsploraApi:
    """Answers them. A document is kept as bytes for as long as the look-ups are the same."""

    def __init__(self, lookups: Lookups, network: Network) -> None:
        self._lookups = lookups
        self._network = network
        self._kept: OrderedDict[str, tuple[Any, Answer]] = OrderedDict()

    def routes(self) -> Iterator[tuple[str, Handler]]:
        """Every address and who answers it."""
        yield "/api/tx/{txid}", self._answering(_transaction)
        yield "/api/tx/{txid}/status", self._answering(_status)
        yield "/api/address/{address}", self._answering(self._address)
        yield "/api/address/{address}/txs", self._answering(self._newest)
        yield "/api/address/{address}/txs/mempool", self._answering(self._waiting)
        yield "/api/address/{address}/txs/chain", self._answering(self._chain)
        yield "/api/address/{address}/txs/chain/{last}", self._answering(self._behind)
        yield "/api/address/{address}/utxo", self._answering(self._coins)
        yield "/api/block/{hash}", self._answering(_block)
        yield "/api/block-height/{height}", self._answering(_at_height)

    def _answering(self, build: Build) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                async with asyncio.timeout(SECONDS):
                    told, make = await build(Asking(self._lookups), request)
                return self._made(request.path, told, make).response(request)
            except Refused as error:
                if error.working is not None:
                    return looking(error.text, error.working, error.again).response(request)
                return refusal(error.status, error.text, retry_after=error.again).response(request)
            except shapes.Unknown as error:
                return refusal(503, str(error), retry_after=RETRY_AFTER).response(request)
            except TimeoutError:
                return refusal(503, "It is being looked up", retry_after=RETRY_AFTER).response(request)

        return handle

    def _made(self, path: str, told: Any, make: Callable[[], Answer]) -> Answer:
        kept = self._kept.get(path)
        if kept is None or not _same(kept[0], told):
            kept = self._kept[path] = told, make()
        self._kept.move_to_end(path)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return kept[1]

    # --- addresses -----------------------------------------------------------------------------------

    def _named(self, request: web.Request) -> Address:
        try:
            return read(request.match_info["address"], self._network)
        except Unreadable as error:
            known = error.reason == "network"
            raise Refused(400, "Address on invalid network" if known else "Invalid Bitcoin address") from None

    async def _address(self, asking: Asking, request: web.Request) -> tuple[Any, Callable[[], Answer]]:
        found = await asking.page_of(self._named(request))
        named = request.match_info["address"]
        return found, lambda: document({"address": named, **shapes.stats(found)})

    async def _newest(self, asking: Asking, request: web.Request) -> tuple[Any, Callable[[], Answer]]:
        return await self._history(asking, request, MEMPOOL_MOST, CHAIN_PAGE)

    async def _waiting(self, asking: Asking, request: web.Request) -> tuple[Any, Callable[[], Answer]]:
        return await self._history(asking, request, MEMPOOL_MOST, 0)

    async def _chain(self, asking: Asking, request: web.Request) -> tuple[Any, Callable[[], Answer]]:
        return await self._history(asking, request, 0, CHAIN_PAGE)

    async def _history(
        self, asking: Asking, request: web.Request, waiting: int, mined: int
    ) -> tuple[Any, Callable[[], Answer]]:
        one = self._named(request)
        first = _with_history(await asking.page_of(one), mempool=bool(waiting))
        return await _whole(asking, await asking.newest(one, first, waiting, mined))

    async def _behind(self, asking: Asking, request: web.Request) -> tuple[Any, Callable[[], Answer]]:
        found = _with_history(await asking.after(self._named(request), _hash(request, "last")), mempool=False)
        return await _whole(asking, [one.txid for one in found.history or () if one.height is not None])

    async def _coins(self, asking: Asking, request: web.Request) -> tuple[Any, Callable[[], Answer]]:
        pages = await asking.coins(self._named(request))
        return pages, lambda: document(shapes.coins(pages))


def _same(kept: Any, told: Any) -> bool:
    """Whether these are the same objects, one by one."""
    if isinstance(kept, list | tuple) and isinstance(told, list | tuple):
        return len(kept) == len(told) and all(_same(one, other) for one, other in zip(kept, told, strict=True))
    return kept is told


def _hash(request: web.Request, name: str) -> str:
    text = request.match_info[name]
    if not _HASH.fullmatch(text):
        raise Refused(400, "Invalid hex string")
    return text.lower()


def _with_history(found: address.Found, *, mempool: bool) -> address.Found:
    if found.history is None or (mempool and found.waiting_count is None):
        raise shapes.Unknown(shapes.reason(found))
    return found


async def _whole(asking: Asking, txids: list[str]) -> tuple[Any, Callable[[], Answer]]:
    found = await asking.txs(txids)
    return found, lambda: document([shapes.whole(pages) for pages in found])


async def _transaction(asking: Asking, request: web.Request) -> tuple[Any, Callable[[], Answer]]:
    pages = await asking.tx(_hash(request, "txid"))
    return pages, lambda: document(shapes.whole(pages))


async def _status(asking: Asking, request: web.Request) -> tuple[Any, Callable[[], Answer]]:
    """Of one that is nowhere it is said that it is in no block, as Esplora says."""
    try:
        found = await asking.page(_hash(request, "txid"))
    except Refused as error:
        if error.text != NO_TRANSACTION:  # it could not be told
            raise
        return None, lambda: document(shapes.status(None, None, None))
    return found, lambda: document(shapes.status_of(found))


async def _block(asking: Asking, request: web.Request) -> tuple[Any, Callable[[], Answer]]:
    found = await asking.block_of(_hash(request, "hash"))
    return found, lambda: document(shapes.of_block(found))


async def _at_height(asking: Asking, request: web.Request) -> tuple[Any, Callable[[], Answer]]:
    height = request.match_info["height"]
    if not _HEIGHT.fullmatch(height):
        raise Refused(400, "Invalid number")
    if int(height) > HIGHEST:
        raise Refused(404, "Block not found")
    found = await asking.block_of(int(height))
    return found, lambda: plain(found.hash)
