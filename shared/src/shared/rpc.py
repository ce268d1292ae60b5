"""The one client of Bitcoin Core's JSON-RPC: single calls and batches, typed answers, exact amounts.

Errors follow shared.errors. At most CONCURRENCY requests are on their way, since the node's work queue is short
(16 by default) and answers 503 beyond it. The cookie file is read again when the node refuses it. Deadlines are for
silence, not for the whole: over a slow link an answer may take as long as its bytes need.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import time
from collections.abc import Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar, get_args

import aiohttp
import msgspec

from shared import clock
from shared.errors import (
    RpcForbidden,
    RpcMalformed,
    RpcOverloaded,
    RpcRefused,
    RpcUnauthorized,
    RpcUnreachable,
    RpcWarmingUp,
)
from shared.networks import COIN
from shared.settings import NodeSettings
from shared.tasks import together

T = TypeVar("T")

CONCURRENCY: Final = 8
BATCH: Final = 200
"""Calls in one request."""

SILENCE_SECONDS: Final = 30.0
"""How long a node may send nothing: until an answer begins, and within it."""

LEAST_BYTES_PER_SECOND: Final = 1_000
"""An answer that comes in slower than this, measured after SILENCE_SECONDS, is given up."""

CONNECT_SECONDS: Final = 5.0
WARMING_UP: Final = -28
NOT_FOUND: Final = -5
"""RPC_INVALID_ADDRESS_OR_KEY: what a transaction or block that the node does not know is answered with."""

_OVERLOAD_RETRIES: Final = 6


class _Error(msgspec.Struct):
    code: int
    message: str


class _Response(msgspec.Struct, Generic[T]):
    id: int
    result: T | None = None
    error: _Error | None = None


_decoders: dict[Any, tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]]] = {}


def _decoder(kind: Any) -> tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]]:
    found = _decoders.get(kind)
    if found is None:
        response = _Response[kind]
        found = _decoders[kind] = (msgspec.json.Decoder(response), msgspec.json.Decoder(list[response]))
    return found


def satoshi(amount: Decimal) -> int:
    """Bitcoin as the node writes it, in satoshi. Exact: no float on the way."""
    return int(amount * COIN)


class RpcClient:
    """Calls to one node. Use as an asynchronous context manager."""

    def __init__(self, node: NodeSettings) -> None:
        self.node = node
        self.date = ""  # the node's own clock as its HTTP server told it last, to the second
        self.heard_ms = clock.now().steady_ms  # when it last sent anything, by our steady clock; at first: the start
        self._session: aiohttp.ClientSession | None = None
        self._authorization = ""
        self._answered = False  # any call, ever: so calls from here are allowed
        self._limit = asyncio.Semaphore(CONCURRENCY)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS),
            connector=aiohttp.TCPConnector(limit=CONCURRENCY, keepalive_timeout=20),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, method: str, *params: Any, kind: Any = Any) -> Any:
        """One call; `kind` is the type that its result is decoded as."""
        body = msgspec.json.encode({"jsonrpc": "1.0", "id": 0, "method": method, "params": params})
        one, _ = _decoder(kind)
        return _result(method, kind, _decode(one, await self._post(body, [method])))

    async def rest(self, path: str) -> bytes | None:
        """What the node's REST interface answers to GET `/rest/PATH`; None where it gives no such answer.

        It is off by default (`bitcoind -rest`), so whoever asks has an RPC call to ask instead, which says what is
        wrong. It needs no credentials.
        """
        if self._session is None:
            raise RuntimeError("RpcClient is used outside of its context")
        try:
            async with self._limit, self._session.get(f"{self.node.rpc_url.rstrip('/')}/rest/{path}") as response:
                return await self._read(response) if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]], kind: Any = Any) -> list[Any]:
        """Many calls of one result type, in order; a call that the node refused stands there as RpcRefused.

        Any other failure is raised. Requests of BATCH calls go out side by side.
        """
        parts = [calls[start : start + BATCH] for start in range(0, len(calls), BATCH)]
        if len(parts) == 1:
            return await self._batch(parts[0], kind)
        answers = await together(*(self._batch(part, kind) for part in parts))
        return [result for answer in answers for result in answer]

    async def _batch(self, calls: Sequence[tuple[str, Sequence[Any]]], kind: Any) -> list[Any]:
        body = msgspec.json.encode(
            [
                {"jsonrpc": "1.0", "id": at, "method": method, "params": params}
                for at, (method, params) in enumerate(calls)
            ]
        )
        _, many = _decoder(kind)
        responses = _decode(many, await self._post(body, [method for method, _ in calls]))
        if sorted(response.id for response in responses) != list(range(len(calls))):
            raise RpcMalformed(f"the node answered {len(responses)} calls of {len(calls)}, or others than were asked")
        results: list[Any] = [None] * len(calls)
        for response in responses:
            method = calls[response.id][0]
            try:
                results[response.id] = _result(method, kind, response)
            except RpcRefused as error:
                results[response.id] = error
        return results

    async def _post(self, body: bytes, methods: Sequence[str]) -> bytes:
        delay = 0.05
        for attempt in range(_OVERLOAD_RETRIES):
            async with self._limit:
                status, raw = await self._exchange(body)
                if status == 401:  # the cookie changes with each start of the node
                    self._authorization = ""
                    status, raw = await self._exchange(body)
            if status == 401:
                raise RpcUnauthorized(self._refused())
            if status == 403:
                raise RpcForbidden(self._forbidden(methods))
            if status != 503:
                self._answered = True
                return raw
            if attempt + 1 < _OVERLOAD_RETRIES:
                await asyncio.sleep(delay)
                delay *= 2
        raise RpcOverloaded(f"{self.node.rpc_url}: {raw.decode(errors='replace').strip() or 'work queue full'} (503)")

    async def _exchange(self, body: bytes) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("RpcClient is used outside of its context")
        if not self._authorization:
            self._authorization = self._credentials()
        headers = {"Authorization": self._authorization, "Content-Type": "application/json"}
        try:
            async with self._session.post(self.node.rpc_url, data=body, headers=headers) as response:
                self.date = response.headers.get("Date", "")
                return response.status, await self._read(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RpcUnreachable(self._unreachable(error)) from None

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The whole body; raises TimeoutError where it comes in more slowly than is sane."""
        began = time.monotonic()
        body = bytearray()
        self.heard_ms = clock.now().steady_ms
        async for piece in response.content.iter_any():
            body += piece
            self.heard_ms = clock.now().steady_ms
            if time.monotonic() - began > SILENCE_SECONDS + len(body) / LEAST_BYTES_PER_SECOND:
                raise TimeoutError(f"only {len(body):,} bytes came in {time.monotonic() - began:.0f} s")
        return bytes(body)

    def _credentials(self) -> str:
        if self.node.rpc_cookie_file is None:
            login = f"{self.node.rpc_user}:{self.node.rpc_password}"
        else:
            try:
                login = self.node.rpc_cookie_file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise RpcUnreachable(
                    f"{self.node.prefix}_RPC_COOKIE_FILE={str(self.node.rpc_cookie_file)!r} cannot be read "
                    f"({error.strerror}): expected the running node's cookie, which it writes as it starts"
                ) from error
        return "Basic " + base64.b64encode(login.encode()).decode()

    def _refused(self) -> str:
        prefix = self.node.prefix
        what = (
            f"the cookie in {prefix}_RPC_COOKIE_FILE"
            if self.node.rpc_cookie_file is not None
            else f"{prefix}_RPC_USER and {prefix}_RPC_PASSWORD"
        )
        return f"the node at {self.node.rpc_url} refuses {what} (401)"

    def _unreachable(self, error: Exception) -> str:
        """What a person needs of a failed exchange: aiohttp's own words repeat the address three times."""
        url = self.node.rpc_url
        if isinstance(error, aiohttp.ClientConnectorError):
            error = error.os_error
        if isinstance(error, OSError) and error.errno == errno.ECONNREFUSED:
            return f"nothing listens at {url}: the node is not running, or is still starting"
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            why = f"no connection within {CONNECT_SECONDS:g} s"
        elif isinstance(error, aiohttp.ServerTimeoutError):
            why = f"nothing came for {SILENCE_SECONDS:g} s"
        elif isinstance(error, OSError) and error.errno is not None:
            why = os.strerror(error.errno)
        else:
            why = str(error) or type(error).__name__
        return f"no answer from the node at {url}: {why}"

    def _forbidden(self, methods: Sequence[str]) -> str:
        names = ", ".join(f"`{method}`" for method in dict.fromkeys(methods))
        user = base64.b64decode(self._authorization.removeprefix("Basic ")).decode().partition(":")[0]
        text = f"the node at {self.node.rpc_url} forbids {names} (403): add it to rpcwhitelist of user {user}"
        return text if self._answered else f"{text}, and this machine to rpcallowip"


def _decode(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise RpcMalformed(f"the node's answer is not what was asked for: {error}; it begins {raw[:120]!r}") from error


def _result(method: str, kind: Any, response: _Response[Any]) -> Any:
    error = response.error
    if error is None:
        if response.result is None and kind is not Any and type(None) not in get_args(kind):
            raise RpcMalformed(f"the node answered `{method}` with null")
        return response.result
    if error.code == WARMING_UP:
        raise RpcWarmingUp(f"the node is starting: {error.message}")
    raise RpcRefused(method, error.code, error.message)
