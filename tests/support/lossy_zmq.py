"""Stands between the node's publisher and the subscriber, and loses messages when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import zmq
import zmq.asyncio

Loses = Callable[[list[bytes]], bool]


class LossyZmq:
    """Forwards every message with its frame counter untouched, but for those that `loses` names."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._context = zmq.asyncio.Context()
        self._task: asyncio.Task[None] | None = None
        self.url = ""
        self.lost: list[list[bytes]] = []
        self.loses: Loses = lambda frames: False

    async def __aenter__(self) -> Self:
        source = self._context.socket(zmq.SUB)
        source.set(zmq.RCVHWM, 0)
        source.set(zmq.SUBSCRIBE, b"")
        source.connect(self._upstream)
        out = self._context.socket(zmq.PUB)
        out.set(zmq.SNDHWM, 0)
        port = out.bind_to_random_port("tcp://127.0.0.1")
        self.url = f"tcp://127.0.0.1:{port}"
        self._task = asyncio.create_task(self._forward(source, out))
        return self

    async def _forward(self, source: zmq.asyncio.Socket, out: zmq.asyncio.Socket) -> None:
        try:
            while True:
                frames = await source.recv_multipart()
                if self.loses(frames):
                    self.lost.append(frames)
                else:
                    await out.send_multipart(frames)
        finally:
            source.close(0)
            out.close(0)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._context.term()
