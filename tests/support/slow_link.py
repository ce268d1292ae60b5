"""A slow line before one port of loopback: all connections through it share so many bytes a second."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Final, Self

from shared.tasks import end

PIECE: Final = 2_000


class SlowLink:
    """Hands on everything, what comes back no faster than the rate. Connections take turns."""

    def __init__(self, port: int, bytes_per_second: float) -> None:
        self.rate = bytes_per_second
        self._upstream = port
        self._turn = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What NODE_RPC_URL takes."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await end(*self._tasks)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        there = asyncio.create_task(self._hand_on(reader, up_writer, slow=False))
        back = asyncio.create_task(self._hand_on(up_reader, writer, slow=True))
        try:
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # the end of the test; the server's own callback would print it
        finally:
            await end(there, back)
            for side in (writer, up_writer):
                side.close()

    async def _hand_on(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, *, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(PIECE):
                if slow:
                    async with self._turn:
                        await asyncio.sleep(len(piece) / self.rate)
                to.write(piece)
                await to.drain()
