"""Clients of a push connection, and what they are sent: bytes made once, shared by all, never waited for.

A client whose socket takes no more gets a bounded queue; beyond its bound the client is told to start over and let go.
All queues together are bounded as well: beyond that, those that wait for most are let go. Nothing here holds up the
others: a push is a plain call that never waits. The form in which messages travel is the connection's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeAlias

QUEUE_BYTES: Final = 4 * 1024 * 1024
"""Bytes that wait for one client at most; one batch may go beyond it."""

TOTAL_BYTES: Final = 48 * 1024 * 1024
"""Bytes that wait for all clients together; what waits for several counts once."""

QUEUE_MESSAGES: Final = 10_000
"""Messages that wait for one client at most."""

SOCKET_BYTES: Final = 64 * 1024
"""Bytes that the transport may hold before the queue is used."""

STALLED: Final = 20.0
"""Seconds after which a client that takes nothing is cut off."""

FAREWELL: Final = 2.0
"""Seconds that a client that was too slow has for its last message."""

Frame: TypeAlias = Callable[[Sequence[bytes], int], bytes]
"""Puts pieces, of so many bytes together, into the form in which they travel."""


class Batch:
    """Messages, in pieces that other batches may share; put together only to be sent."""

    __slots__ = ("_kept", "_pieces", "count", "size", "waits")

    def __init__(self, *pieces: bytes, count: int = 1) -> None:
        self._pieces = pieces
        self._kept: dict[Frame, bytes] | None = None
        self.size = sum(map(len, pieces))
        self.count = count
        self.waits = 0  # for so many clients

    def keep(self) -> Batch:
        """Stay put together once that was needed: more clients are about to be sent this."""
        self._kept = {}
        return self

    def let_go(self) -> None:
        """Whoever is still sent this puts it together again."""
        self._kept = None

    def wire(self, frame: Frame) -> bytes:
        """What goes over the wire in this form."""
        if self._kept is None:
            return frame(self._pieces, self.size)
        made = self._kept.get(frame)
        if made is None:
            made = self._kept[frame] = frame(self._pieces, self.size)
        return made


class Connection(Protocol):
    """What a client hangs on."""

    @property
    def heartbeat(self) -> Batch:
        """What keeps it open while there is nothing to say."""

    @property
    def buffered(self) -> int:
        """Bytes that were written and that the socket has not taken yet."""

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""

    def write(self, batch: Batch) -> None:
        """Hand messages to the socket; nothing where it is closed. Never waits."""

    async def drained(self) -> None:
        """Wait until the socket has taken enough."""

    async def finish(self) -> None:
        """End it after what was written."""

    def abort(self) -> None:
        """Cut it off."""


class Backlog:
    """What waits for all clients of this process together."""

    def __init__(self) -> None:
        self.bytes = 0
        self._behind: set[Client] = set()

    def added(self, client: Client, batch: Batch) -> None:
        """A batch waits for a client. Lets go of those that wait for most while it is too much."""
        if batch.waits == 0:
            self.bytes += batch.size
        batch.waits += 1
        self._behind.add(client)
        while self.bytes > TOTAL_BYTES and self._behind:
            max(self._behind, key=lambda one: one.waiting).give_up()

    def removed(self, client: Client, batch: Batch) -> None:
        """It does not wait for that client any more."""
        batch.waits -= 1
        if batch.waits == 0:
            self.bytes -= batch.size
        if not client.waiting:
            self._behind.discard(client)


BACKLOG: Final = Backlog()
"""Of this process: memory is one, however many audiences there are."""


class Client:
    """One connection. Until `run`, what is pushed waits in the queue, so that older messages can go first."""

    __slots__ = ("_connection", "_live", "_messages", "_queue", "_wake", "slow", "waiting")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._queue: deque[Batch] = deque()
        self.waiting = 0  # bytes
        self._messages = 0
        self._live = False
        self._wake: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.slow = False

    def push(self, batch: Batch) -> None:
        """Send now if the socket takes it, else queue it. Never waits."""
        if self.slow:
            return
        if self._live and not self._queue and self._connection.buffered < SOCKET_BYTES:
            self._connection.write(batch)
            return
        if self.waiting > QUEUE_BYTES or self._messages > QUEUE_MESSAGES:
            self.give_up()
            return
        self._queue.append(batch)
        self.waiting += batch.size
        self._messages += batch.count
        self._awake(True)
        BACKLOG.added(self, batch)

    def beat(self) -> None:
        """Keep the connection open."""
        self.push(self._connection.heartbeat)

    def give_up(self) -> None:
        """Too slow: let go of what waits; the client is told, and let go itself."""
        self.slow = True
        self.release()
        self._awake(True)

    def release(self) -> None:
        """Let go of what waits."""
        while self._queue:
            self._take()

    def _take(self) -> Batch:
        batch = self._queue.popleft()
        self.waiting -= batch.size
        self._messages -= batch.count
        BACKLOG.removed(self, batch)
        return batch

    async def send(self, batch: Batch) -> None:
        """Send before anything that waits in the queue, as fast as the client takes it."""
        if self._connection.closed:
            raise ConnectionResetError("the client has gone")
        self._connection.write(batch)
        del batch  # a client that reads slowly must hold nothing but what its socket does
        async with asyncio.timeout(STALLED):
            await self._connection.drained()

    async def run(self, farewell: Callable[[], Batch]) -> None:
        """Go live and stay until the client goes, is too slow, or `leave` is called."""
        self._live = True
        try:
            while not self.slow:
                while self._queue:
                    await self.send(self._take())
                if not await self._woken():
                    break
            if self.slow:
                self._part(farewell())
        except TimeoutError:
            self._connection.abort()
            return
        await self._finish()

    def leave(self) -> None:
        """End the connection after what was written."""
        self._awake(False)

    async def _woken(self) -> bool:
        if not self._wake.done():
            await self._wake
        stay = self._wake.result()
        if stay:
            self._wake = asyncio.get_running_loop().create_future()
        return stay

    def _awake(self, stay: bool) -> None:
        if not self._wake.done():
            self._wake.set_result(stay)
        elif not stay:
            self._wake = asyncio.get_running_loop().create_future()
            self._wake.set_result(False)

    def _part(self, last: Batch) -> None:
        """Leave a last message to a client that does not keep up, and cut it off should it not even take that."""
        if not self._connection.closed:
            self._connection.write(last)
            asyncio.get_running_loop().call_later(FAREWELL, self._connection.abort)

    async def _finish(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._connection.finish()


class Audience:
    """Clients that are all sent the same."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()

    def broadcast(self, batch: Batch) -> None:
        """Push to every client."""
        batch.keep()
        for client in self.clients:
            client.push(batch)
        batch.let_go()

    def part(self, client: Client) -> None:
        """This client is gone."""
        self.clients.discard(client)
        client.release()

    def dismiss(self) -> None:
        """End every connection."""
        for client in self.clients:
            client.leave()


async def keep_alive(audiences: Callable[[], Iterable[Audience]], interval: float) -> None:
    """Have a sign of life sent to everybody every `interval` seconds, a few hundred at a time, for ever."""
    while True:
        await asyncio.sleep(interval)
        for audience in list(audiences()):
            for index, client in enumerate(list(audience.clients)):
                client.beat()
                if index % 200 == 199:
                    await asyncio.sleep(0)
