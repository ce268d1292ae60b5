"""A transport for aiorpcx over aiohttp's WebSocket, whose own would need one more library."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

import aiohttp
from aiorpcx import SessionKind  # type: ignore[import-untyped]  # it has no types

from explorer.electrum.session import Session
from shared.errors import ElectrumMalformed

CLOSE_SECONDS: Final = 1.0


class _Closed(Exception):
    """Nothing more comes."""


class WebTransport:
    """What a session writes to; `run` hands it what comes."""

    kind = SessionKind.CLIENT

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, longest: int) -> None:
        self._session: Session | None = None
        self._socket = socket
        self._longest = longest

    async def run(self, session: Session) -> None:
        """Until either side closes."""
        self._session = session
        try:
            await session.process_messages(partial(self._message, session))
        except _Closed:
            pass
        finally:
            await session.connection_lost()

    async def _message(self, session: Session) -> bytes:
        try:
            message = await self._socket.receive()
        except (aiohttp.ClientError, OSError):
            raise _Closed from None
        if message.type is aiohttp.WSMsgType.TEXT:
            raw = message.data.encode()
        elif message.type is aiohttp.WSMsgType.BINARY:
            raw = message.data
        else:
            if isinstance(message.data, aiohttp.WebSocketError):
                long = message.data.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
                said = f"a message of more than {self._longest >> 20} MB" if long else str(message.data)
                session.end(ElectrumMalformed(said))
            raise _Closed
        session.heard = session.loop.time()
        return bytes(raw)

    # --- what a session calls ------------------------------------------------------------------------

    async def write(self, message: bytes) -> None:
        """Send it, unless there is nobody any more: the session then ends."""
        try:
            await self._socket.send_str(message.decode())
        except (aiohttp.ClientError, OSError, RuntimeError):  # aiohttp raises RuntimeError while it closes
            if self._session is not None:
                await self._session.connection_lost()

    async def close(self, _force_after: float = 0) -> None:
        """Close, politely at first."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close()
        except (TimeoutError, aiohttp.ClientError, OSError):
            return

    async def abort(self) -> None:
        """There is no ruder way."""
        await self.close()

    def is_closing(self) -> bool:
        """As the base says."""
        return self._socket.closed

    def proxy(self) -> Any:
        """There is none."""
        return None

    def remote_address(self) -> Any:
        """Nobody asks."""
        return None
