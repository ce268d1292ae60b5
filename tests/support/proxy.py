"""A TCP proxy that loses replies or rewrites them. To lose one, it hands the request on and cuts the connection.

To be used against Redis, whose clients here send one request at a time on a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self


class LossyProxy:
    """Stands before one port of loopback. `loses(request)` is asked before each answer whether it is lost."""

    def __init__(self, port: int, loses: Callable[[bytes], bool] = lambda request: False) -> None:
        self.loses = loses
        self.rewrites: Callable[[bytes], bytes] = lambda answer: answer
        self.lost = 0
        self._upstream = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """What REDIS_URL takes."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Cut every connection."""
        for writer in self._writers:
            writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ends = {writer}
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
            ends.add(up_writer)
            self._writers |= ends
            request = bytearray()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._requests(reader, up_writer, ends, request))
                group.create_task(self._answers(up_reader, writer, ends, request))
        except OSError:
            pass
        finally:
            self._writers -= ends
            for end in ends:
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _requests(
        self,
        source: asyncio.StreamReader,
        to: asyncio.StreamWriter,
        ends: set[asyncio.StreamWriter],
        request: bytearray,
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(1 << 16):
                request += piece
                to.write(piece)
                await to.drain()
        for end in ends:
            end.close()

    async def _answers(
        self,
        source: asyncio.StreamReader,
        to: asyncio.StreamWriter,
        ends: set[asyncio.StreamWriter],
        request: bytearray,
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(1 << 16):
                if self.loses(bytes(request)):
                    self.lost += 1
                    break
                request.clear()
                to.write(self.rewrites(piece))
                await to.drain()
        for end in ends:
            end.close()
