"""The one client of Bitcoin Core's JSON-RPC: single calls and batches, typed answers, exact amounts.

Errors follow shared.errors. At most CONCURRENCY requests are on their way, since the node's work queue is short
(16 by default) and answers 503 beyond it. The cookie file is read again when the node refuses it.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import aiohttp
import msgspec

from shared.errors import RpcError, RpcOverloaded, RpcRefused, RpcUnauthorized, RpcUnreachable, RpcWarmingUp
from shared.networks import COIN
from shared.settings import NodeSettings

T = TypeVar("T")

CONCURRENCY: Final = 8
BATCH: Final = 200
"""Calls in one request."""

TIMEOUT: Final = 30.0
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
        self._session: aiohttp.ClientSession | None = None
        self._authorization = ""
        self._limit = asyncio.Semaphore(CONCURRENCY)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT, sock_connect=5),
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
        return _result(method, self._decode(one, await self._post(body)))

    async def rest(self, path: str) -> bytes | None:
        """What the node's REST interface answers to GET `/rest/PATH`; None where it gives no such answer.

        It is off by default (`bitcoind -rest`), so whoever asks has an RPC call to ask instead, which says what is
        wrong. It needs no credentials.
        """
        if self._session is None:
            raise RuntimeError("RpcClient is used outside of its context")
        try:
            async with self._limit, self._session.get(f"{self.node.rpc_url.rstrip('/')}/rest/{path}") as response:
                return await response.read() if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]], kind: Any = Any) -> list[Any]:
        """Many calls of one result type, in order; a call that the node refused stands there as RpcRefused.

        Any other failure is raised. Requests of BATCH calls go out side by side.
        """
        parts = [calls[start : start + BATCH] for start in range(0, len(calls), BATCH)]
        if len(parts) == 1:
            return await self._batch(parts[0], kind)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._batch(part, kind)) for part in parts]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None  # one cause is enough: the others failed of the same
        return [result for task in tasks for result in task.result()]

    async def _batch(self, calls: Sequence[tuple[str, Sequence[Any]]], kind: Any) -> list[Any]:
        body = msgspec.json.encode(
            [
                {"jsonrpc": "1.0", "id": at, "method": method, "params": params}
                for at, (method, params) in enumerate(calls)
            ]
        )
        _, many = _decoder(kind)
        responses = self._decode(many, await self._post(body))
        results: list[Any] = [None] * len(calls)
        for response in responses:
            method = calls[response.id][0]
            try:
                results[response.id] = _result(method, response)
            except RpcRefused as error:
                results[response.id] = error
        return results

    @staticmethod
    def _decode(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
        try:
            return decoder.decode(raw)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise RpcError(f"the node's answer is not what was asked for: {error}; it begins {raw[:120]!r}") from error

    async def _post(self, body: bytes) -> bytes:
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
                raise RpcUnauthorized(
                    f"{self.node.rpc_url} forbids calls from here (403): see rpcallowip, rpcwhitelist"
                )
            if status != 503:
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
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RpcUnreachable(f"no answer from the node at {self.node.rpc_url}: {_cause(error)}") from None

    def _credentials(self) -> str:
        if self.node.rpc_cookie_file is None:
            login = f"{self.node.rpc_user}:{self.node.rpc_password}"
        else:
            try:
                login = self.node.rpc_cookie_file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise RpcUnreachable(
                    f"{self.node.prefix}_RPC_COOKIE_FILE={str(self.node.rpc_cookie_file)!r} cannot be read "
                    f"({error.strerror}): expected the running node's cookie"
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


def _cause(error: Exception) -> str:
    """What a person needs of a failed exchange: aiohttp's own words repeat the address three times."""
    if isinstance(error, TimeoutError):
        return f"timeout after {TIMEOUT:g} s"
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def _result(method: str, response: _Response[Any]) -> Any:
    error = response.error
    if error is None:
        return response.result
    if error.code == WARMING_UP:
        raise RpcWarmingUp(f"the node is starting: {error.message}")
    raise RpcRefused(method, error.code, error.message)
