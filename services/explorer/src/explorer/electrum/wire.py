"""JSON-RPC with an Electrum server, through aiorpcx and read strictly: what breaks the protocol ends the connection.

Every message has a number in the order in which messages came, since an answer reaches whoever waits for it a turn of
the event loop later than a notification that came behind it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

import msgspec
from aiorpcx import framing, jsonrpc, rawsocket  # type: ignore[import-untyped]  # it has no types
from msgspec import UNSET, Raw, UnsetType

from shared.errors import ElectrumError, ElectrumMalformed

_arrivals: Final = itertools.count(1)


class Answer(NamedTuple):
    """A result as it came."""

    arrival: int
    raw: Raw


class Notified(NamedTuple):
    """What the server told by itself."""

    method: str
    raw: Raw  # its parameters
    arrival: int


class _Error(msgspec.Struct):
    code: int
    message: str


class _Message(msgspec.Struct):
    jsonrpc: Literal["2.0"]
    id: int | str | None = None
    method: str | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: _Error | UnsetType | None = UNSET


_decode: Final = msgspec.json.Decoder(_Message).decode
_NOTHING: Final = Raw(b"[]")


class Strict(jsonrpc.JSONRPCv2):  # type: ignore[misc]  # it has no types
    """JSON-RPC 2.0 whose results stay bytes until whoever asked says what they are to be."""

    @classmethod
    def message_to_item(cls, message: bytes) -> tuple[Any, Any]:
        """As the base says; no requests and no batches come from a server."""
        try:
            it = _decode(message)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise jsonrpc.ProtocolError(cls.PARSE_ERROR, f"no message of JSON-RPC: {error}") from None
        if it.method is not UNSET:
            if it.id is not None:
                raise jsonrpc.ProtocolError(cls.INVALID_REQUEST, "a server that asks")
            params = it.params if it.params is not UNSET else _NOTHING
            return jsonrpc.Notification(it.method, [Notified(it.method, params, next(_arrivals))]), None
        refusal, result = None if it.error is UNSET else it.error, it.result
        if refusal is not None:
            if result is not UNSET and bytes(result) != b"null":
                raise jsonrpc.ProtocolError(cls.INVALID_REQUEST, "an answer with both a result and an error")
            return jsonrpc.Response(jsonrpc.RPCError(refusal.code, refusal.message)), it.id
        if result is UNSET:
            raise jsonrpc.ProtocolError(cls.INVALID_REQUEST, "an answer with neither a result nor an error")
        return jsonrpc.Response(Answer(next(_arrivals), result)), it.id


class Exchange(jsonrpc.JSONRPCConnection):  # type: ignore[misc]  # it has no types
    """What was asked on one connection and waits for its answer."""

    def __init__(
        self,
        notified: Callable[[Notified], None],
        answered: Callable[[], None],
        broken: Callable[[ElectrumError], None],
    ) -> None:
        super().__init__(Strict)
        self.over: ElectrumError | None = None  # why nothing is asked any more
        self.waiting: set[asyncio.Future[Answer]] = set()
        self._notified = notified
        self._answered = answered
        self._broken = broken

    def receive_message(self, message: bytes) -> list[Any]:
        """Hand on what came; the caller, aiorpcx, has nothing to answer."""
        if self.over is not None:
            return []
        try:
            news = super().receive_message(message)
            for item in news:
                self._notified(item.args[0])
            if not news:
                self._answered()
        except jsonrpc.ProtocolError as error:
            self._broken(ElectrumMalformed(f"{str(error.message)[:200]} ({_shown(message)})"))
        except ElectrumMalformed as error:
            self._broken(error)
        return []

    def ask(self, method: str, args: tuple[Any, ...]) -> tuple[bytes, asyncio.Future[Answer]]:
        """The message to send, and its answer to come. Raises what ended the connection."""
        if self.over is not None:
            raise self.over
        message, future = self.send_request(jsonrpc.Request(method, args))
        self.waiting.add(future)
        future.add_done_callback(self.waiting.discard)
        return message, future

    def end(self, error: ElectrumError) -> None:
        """Nothing will be answered any more, for this reason; the first one counts."""
        if self.over is None:
            self.over = error
        for future in list(self.waiting):
            if not future.done():
                future.set_exception(self.over)
                future.exception()  # whoever waited may be gone
        self.cancel_pending_requests()


class Lines(framing.NewlineFramer):  # type: ignore[misc]  # it has no types
    """Lines up to a length; a longer one ends the connection, where aiorpcx would drop it and wait for its answer."""

    def __init__(self, longest: int, broken: Callable[[ElectrumError], None]) -> None:
        super().__init__(longest)
        self._broken = broken

    async def receive_message(self) -> bytes:
        """As the base says."""
        try:
            line: bytes = await super().receive_message()
        except MemoryError:
            self._broken(ElectrumMalformed(f"a line of more than {self.max_size >> 20} MB"))
            raise rawsocket.ConnectionLostError from None
        return line


def _shown(message: bytes) -> str:
    """The beginning of what came, fit for a sentence."""
    text = message[:60].decode("ascii", errors="replace")
    return "".join(letter if letter.isprintable() else "." for letter in text) or "nothing at all"
