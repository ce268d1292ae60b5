"""What the explorer asks Electrum servers, whichever of them is well: balances, histories, proofs, subscriptions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

import structlog

from explorer.electrum import health, transactions
from explorer.electrum.answers import (
    Balance,
    Coins,
    Hex,
    Histories,
    Merkle,
    Status,
    Tip,
    Unspent,
    Used,
    checked_header,
)
from explorer.electrum.book import Book, Entry, OnChange
from explorer.electrum.dialect import UNKNOWN_METHOD, What
from explorer.electrum.endpoint import Endpoint
from explorer.electrum.following import Following
from explorer.electrum.limits import Limits
from explorer.electrum.refusals import GET
from explorer.electrum.script import Wanted, as_script
from explorer.electrum.server import Check, Server
from explorer.electrum.servers import NONE_CONFIGURED, Servers
from shared.errors import ElectrumMalformed, ElectrumRefused, ElectrumTooLong, ElectrumUnreachable
from shared.networks import NETWORKS, Network
from shared.service import Service
from shared.settings import NodeSettings
from shared.tasks import together, until_set

_MERKLE: Final = "blockchain.transaction.get_merkle"
_HEADER: Final = "blockchain.block.header"

_SILENT: Final = "Fulcrum"
"""Whose history is empty, and no error, where it is longer than `max_history` (cculianu/Fulcrum issue 319)."""

_NOTHING: Final = Balance(0, 0)


class Electrum:
    """The Electrum servers of all nodes as one. `run` keeps them connected; every method needs it to be running.

    Every method raises ElectrumError where nobody answers, or nobody answers well.
    """

    def __init__(
        self,
        nodes: Sequence[NodeSettings],
        network: Network,
        *,
        known_height: Callable[[], int | None] = lambda: None,
        limits: Limits | None = None,
        log: Any = None,
    ) -> None:
        """`known_height` is that of the newest block that this dashboard knows, None while it knows none."""
        self._limits = limits or Limits()
        self._book = Book()
        self._following = Following(self._book, self._limits)
        self.servers = Servers(
            [Endpoint.of(node) for node in nodes],
            network,
            self._limits,
            log or structlog.get_logger(),
            known_height,
            self._following.heard,
        )

    @classmethod
    def of(cls, service: Service, known_height: Callable[[], int | None] = lambda: None) -> Self:
        """Those that a service's settings name."""
        settings = service.settings
        network = NETWORKS[settings.network]
        return cls(settings.electrum_nodes, network, known_height=known_height, log=service.log)

    @property
    def configured(self) -> bool:
        """Whether there is any server to ask; without one every method raises at once."""
        return bool(self.servers.all)

    async def run(self, stopping: asyncio.Event) -> None:
        """Keep every server connected, and subscriptions with the active one, until the service stops."""
        if self.configured:
            await until_set(stopping, self._work(stopping))
        else:
            await stopping.wait()

    async def _work(self, stopping: asyncio.Event) -> None:
        keeping = [server.keep(stopping) for server in self.servers.all]
        await together(*keeping, self._following.follow(self.servers), self._following.tell())

    def standing(self, now_ms: int) -> list[health.Standing]:
        """How each server stands, preferred one first; `now_ms` by the clock that its times are to have."""
        return health.standing(self.servers, now_ms)

    def details(self, now_ms: int) -> dict[str, str | None]:
        """The same in words, for a heartbeat's details."""
        return health.details(self.standing(now_ms))

    # --- questions -----------------------------------------------------------------------------------

    async def request(self, method: str, *args: Any, kind: Any = Any, check: Check | None = None) -> Any:
        """Any request of the protocol. The result is decoded as `kind`, and is what `check` makes of it."""

        async def call(server: Server) -> Any:
            _, result = await server.ask(method, *args, kind=kind, check=check)
            return result

        return await self.servers.asked(call)

    async def balance(self, script: Wanted) -> Balance:
        """What the script holds in blocks, and what the mempool adds to that."""
        balance: Balance = await self._of_script("get_balance", script, Balance, Balance)
        return balance

    async def history(self, script: Wanted) -> list[Used]:
        """Its transactions, oldest first, those of the mempool last. A busy script has 100,000 of them.

        Raises ElectrumTooLong where every server says that it does not tell so many.
        """
        found = await self._of_script("get_history", script, list[Used], Histories)
        return found.history if isinstance(found, Histories) else list(found)

    async def mempool(self, script: Wanted) -> list[Used]:
        """Those of its transactions that wait in the mempool."""
        try:
            found = await self._of_script("get_mempool", script, list[Used], Histories, _all_wait)
        except ElectrumRefused as error:
            if error.code != UNKNOWN_METHOD:
                raise
            return [one for one in await self.history(script) if one.waits]  # electrs tells it there alone
        return found.history if isinstance(found, Histories) else list(found)

    async def unspent(self, script: Wanted) -> list[Unspent]:
        """Its coins, those of the mempool included."""
        found = await self._of_script("listunspent", script, list[Unspent], Coins)
        return found.utxos if isinstance(found, Coins) else list(found)

    async def transaction(self, txid: str) -> bytes:
        """The raw transaction. Raises ElectrumGone where the server's node does not know it (any more)."""

        def check(text: str) -> bytes:
            raw = bytes.fromhex(text)
            try:
                found = transactions.txid(raw)
            except ValueError as error:
                raise ElectrumMalformed(f"the answer to {GET}: {error}") from None
            if found != txid:
                raise ElectrumMalformed(f"the answer to {GET}: transaction {found}; asked for {txid}")
            return raw

        raw: bytes = await self.request(GET, txid, kind=Hex, check=check)
        return raw

    async def merkle(self, txid: str, height: int) -> Merkle:
        """The proof that the block at this height has the transaction: hold its root against the header's."""

        def check(found: Merkle) -> Merkle:
            if found.block_height != height:
                raise ElectrumMalformed(f"the answer to {_MERKLE}: block {found.block_height}; asked for {height}")
            return found

        proof: Merkle = await self.request(_MERKLE, txid, height, kind=Merkle, check=check)
        return proof

    async def header(self, height: int) -> bytes:
        """The 80 bytes of a block's header."""
        header: bytes = await self.request(_HEADER, height, kind=Hex, check=lambda text: checked_header(_HEADER, text))
        return header

    async def tip(self) -> Tip:
        """The newest block of the active server, as it told it by itself."""

        async def call(server: Server) -> Tip:
            if server.tip is None:
                raise ElectrumUnreachable("it has not told its newest block")
            return server.tip

        return await self.servers.asked(call)

    async def _of_script(self, what: What, wanted: Wanted, listed: Any, named: Any, check: Check | None = None) -> Any:
        """`listed` is the type of the answer up to protocol 1.6, `named` from 1.7 on."""
        script = as_script(wanted)

        async def call(server: Server) -> Any:
            dialect = server.dialect
            if dialect is None:
                raise ElectrumUnreachable("it is not connected")
            method, name = dialect.call(what, script)
            _, result = await server.ask(method, name, kind=named if dialect.by_script else listed, check=check)
            if what == "get_history" and not result and server.software.startswith(_SILENT):
                method, name = dialect.call("get_balance", script)
                _, balance = await server.ask(method, name, kind=Balance)
                if balance != _NOTHING:
                    raise ElectrumTooLong("the script has more transactions than the server tells of (it told none)")
            return result

        return await self.servers.asked(call)

    # --- subscriptions -------------------------------------------------------------------------------

    async def subscribe(self, script: Wanted, on_change: OnChange) -> Status:
        """Be told of each change of the script's history; returns its status now.

        It holds across connections and servers, until `unsubscribe`: where the status after a gap is another than the
        one before, that is told, once. Raises ElectrumError where it cannot be made now; then nothing is subscribed.
        """
        if not self.configured:
            raise ElectrumUnreachable(NONE_CONFIGURED)
        wanted = as_script(script)
        entry = self._book.add(wanted, on_change)
        if entry.known:
            return entry.status
        try:
            return await self._subscribe(entry)
        except BaseException:
            self._book.drop(wanted, on_change)
            raise

    async def unsubscribe(self, script: Wanted, on_change: OnChange | None = None) -> None:
        """Nobody is told any more, or `on_change` is not. The server is told as well, if it can be."""
        wanted = as_script(script)
        entry = self._book.entries.get(wanted.hash)
        if entry is not None and self._book.drop(wanted, on_change):
            await self._following.leave(self.servers, entry.script)
            again = self._book.entries.get(wanted.hash)
            if again is not None:  # somebody came meanwhile, whose subscription may have ended with that
                await self._subscribe(again)

    async def _subscribe(self, entry: Entry) -> Status:
        async def call(server: Server) -> Status:
            return await self._following.subscribe(server, entry)

        return await self.servers.asked(call)


def _all_wait(found: Any) -> Any:
    entries: list[Used] = found.history if isinstance(found, Histories) else found
    for entry in entries:
        if not entry.waits:
            raise ElectrumMalformed(f"a mempool with {entry.txid}, which is in block {entry.height}")
    return found
