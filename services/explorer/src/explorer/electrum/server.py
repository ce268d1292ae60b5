"""One Electrum server: kept connected, greeted, judged, and asked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

import prometheus_client
from aiorpcx import RPCError  # type: ignore[import-untyped]  # it has no types

from explorer.electrum import refusals
from explorer.electrum.answers import Features, Hex, Tip, checked_header, decoded, header_hash, read
from explorer.electrum.circuit import Circuit
from explorer.electrum.connecting import connected
from explorer.electrum.dialect import NEWEST, NEWS_OF_HEADERS, OLDEST, UNKNOWN_METHOD, Dialect
from explorer.electrum.endpoint import Endpoint
from explorer.electrum.limits import Limits
from explorer.electrum.session import Session
from explorer.electrum.wire import Notified
from shared.backoff import Backoff
from shared.errors import (
    ElectrumBusy,
    ElectrumError,
    ElectrumMalformed,
    ElectrumRefused,
    ElectrumUnreachable,
    ElectrumUntrusted,
    ElectrumWrongNetwork,
)
from shared.logging import Trouble
from shared.networks import Network
from shared.tasks import together

AGENT: Final = "bitcoin-dashboard"

_CONNECTED: Final = prometheus_client.Gauge(
    "dashboard_electrum_connected", "1 while the Electrum server of this node is connected", ["node"]
)
_ANSWERS: Final = prometheus_client.Counter(
    "dashboard_electrum_answers_total", "Answers of Electrum servers by what came of them", ["node", "outcome"]
)

Arrived = tuple[int, Any]
"""A result, and when it came among all messages."""

Check = Callable[[Any], Any]
"""What else must hold of a result: raises ElectrumMalformed."""


class Server:
    """A server and the one connection to it.

    `changed` is called when it became well, or no longer is, or has a block; `news` is given what else it tells, and
    says whether anybody asked for that.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        network: Network,
        limits: Limits,
        log: Any,
        changed: Callable[[], None],
        news: Callable[[Server, Notified], bool],
    ) -> None:
        self.endpoint = endpoint
        self.name = endpoint.node
        self.connection = 0  # how many there were: with the next one, subscriptions are made anew
        self.since: float | None = None  # when it became well, by the loop's clock; None: it is not
        self.dialect: Dialect | None = None
        self.software = ""
        self.tip: Tip | None = None
        self.error: ElectrumError | None = None  # the last one; it may be over
        self.error_at = 0.0
        self.circuit = Circuit(limits)
        self.again = Backoff(limits.again_first, limits.again_longest)
        self._network = network
        self._limits = limits
        self._changed = changed
        self._news = news
        self._session: Session | None = None
        self._unasked = 0  # news on this connection that nobody asked for
        self._trouble = Trouble(log.bind(node=self.name), "electrum")
        self._odd = Trouble(log.bind(node=self.name), "electrum_answer")

    @property
    def well(self) -> bool:
        """Whether it is connected, of our network, and may be asked now."""
        return self._session is not None and not self._session.ended.is_set() and not self.circuit.wait

    async def keep(self, stopping: asyncio.Event) -> None:
        """Stay connected until the service stops."""
        loop = asyncio.get_running_loop()
        while not stopping.is_set():
            try:
                await self._talk()
            except ElectrumError as error:
                self._failed(error)
                if self.since is not None and loop.time() - self.since >= self._limits.steady:
                    self.again.reset()
            finally:
                self._down()
            self.again.tried()
            spread = random.uniform(0.5, 1.0)  # noqa: S311 - so that replicas do not all come at once; no secret
            await _pause(stopping, max(self.again.pause * spread, self.circuit.wait))

    async def ask(self, method: str, *args: Any, kind: Any = Any, check: Check | None = None) -> Arrived:
        """One request; the result is decoded as `kind`, and is what `check` makes of it. Raises ElectrumError."""
        session = self._session
        if session is None or session.ended.is_set():
            raise ElectrumUnreachable("it is not connected")
        return await self._ask(session, method, *args, kind=kind, check=check)

    async def _ask(self, session: Session, method: str, *args: Any, kind: Any, check: Check | None = None) -> Arrived:
        try:
            answer = await session.ask(method, *args)
            result = await decoded(method, answer.raw, kind)
            if check is not None:
                result = check(result)
        except RPCError as error:
            said = refusals.understood(method, error.code, error.message)
            if isinstance(said, ElectrumBusy):
                self._leave_alone(said)
            _ANSWERS.labels(self.name, "refused").inc()
            raise said from None
        except ElectrumMalformed as error:
            if session.ended.is_set():
                raise  # what ended the connection is counted once, not for everybody who waited
            self.nonsense(error)
            raise
        _ANSWERS.labels(self.name, "read").inc()
        return answer.arrival, result

    def nonsense(self, error: ElectrumMalformed) -> None:
        """It answered what cannot be; after a few times nobody asks it for a while."""
        _ANSWERS.labels(self.name, "nonsense").inc()
        self._note(error)
        self._odd.failed(error)
        if self.circuit.refuse() and self._session is not None:
            self._session.end(error)
            self._changed()

    # --- a connection --------------------------------------------------------------------------------

    async def _talk(self) -> None:
        self._unasked = 0
        async with connected(self.endpoint, self._limits, self._notified) as session:
            await together(session.watch(), self._serve(session))
            raise session.error

    async def _serve(self, session: Session) -> None:
        try:
            async with asyncio.timeout(self._limits.connect):
                await self._greet(session)
        except TimeoutError:
            raise ElectrumUnreachable(f"no greeting within {self._limits.connect:g} s") from None
        self.connection += 1
        self._session, self.since = session, session.loop.time()
        _CONNECTED.labels(self.name).set(1)
        self._trouble.ended(software=self.software)
        self._changed()
        while not session.ended.is_set():
            quiet = session.loop.time() - session.heard
            if quiet >= self._limits.ping:
                await self._ask(session, "server.ping", kind=Any)
            await _pause(session.ended, max(0.05, self._limits.ping - quiet))
        raise session.error

    async def _greet(self, session: Session) -> None:
        software, version = await self._introduce(session)
        self.software, self.dialect = refusals.printable(software), Dialect.of(version)
        (_, genesis), (_, tip) = await together(self._genesis(session), self._ask(session, NEWS_OF_HEADERS, kind=Tip))
        if genesis != self._network.genesis_hash:
            self.circuit.open()
            raise ElectrumWrongNetwork(
                f"it serves another network: its first block is {genesis}; expected {self._network.genesis_hash}, "
                f"that of {self._network.name}"
            )
        self._take_tip(tip)

    async def _introduce(self, session: Session) -> tuple[str, str]:
        """Software and protocol version. electrs before 0.10 knows no range of versions, and refuses one."""
        method, answer = "server.version", tuple[str, str]
        try:
            _, said = await self._ask(session, method, AGENT, [OLDEST, NEWEST], kind=answer)
        except ElectrumRefused as refused:
            try:
                _, said = await self._ask(session, method, AGENT, OLDEST, kind=answer)
            except ElectrumError:
                raise refused from None
        software, version = said
        return software, version

    async def _genesis(self, session: Session) -> Arrived:
        try:
            arrival, features = await self._ask(session, "server.features", kind=Features)
        except ElectrumRefused as error:
            if error.code != UNKNOWN_METHOD:
                raise
            method = "blockchain.block.header"
            arrival, text = await self._ask(session, method, 0, kind=Hex)
            return arrival, header_hash(checked_header(method, text))
        return arrival, features.genesis_hash

    def _notified(self, news: Notified) -> None:
        """Raises ElectrumMalformed, which ends the connection."""
        if news.method == NEWS_OF_HEADERS:
            self._take_tip(read(news.method, news.raw, tuple[Tip])[0])
        elif not self._news(self, news):
            self._unasked += 1
            if self._unasked > self._limits.unasked:
                raise ElectrumMalformed(f"it told {self._unasked} times of what nobody asked for")

    def _take_tip(self, tip: Tip) -> None:
        checked_header(NEWS_OF_HEADERS, tip.hex)
        self.tip = tip
        if self._session is not None:
            self._changed()

    # --- what is wrong with it -----------------------------------------------------------------------

    def _failed(self, error: ElectrumError) -> None:
        if isinstance(error, ElectrumMalformed) and not self.circuit.wait:  # else it ended for what was counted
            _ANSWERS.labels(self.name, "nonsense").inc()
            self.circuit.refuse()
        elif isinstance(error, ElectrumUntrusted):
            self.circuit.open()
        self._note(error)
        self._trouble.failed(error)

    def _note(self, error: ElectrumError) -> None:
        self.error, self.error_at = error, asyncio.get_running_loop().time()

    def _leave_alone(self, error: ElectrumBusy) -> None:
        self._note(error)
        self.circuit.rest(self._limits.leave_alone)
        self._changed()

    def _down(self) -> None:
        was, self._session, self.since = self._session, None, None
        _CONNECTED.labels(self.name).set(0)
        if was is not None:
            self._changed()


async def _pause(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
