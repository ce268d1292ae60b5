"""The one way to ask a source outside: a request or a conversation within its budget, its answer taken apart at once.

Errors follow shared.errors. Whatever is wrong with an answer counts against the source: a status other than 200, a
redirect (to whom, nobody here decided), an answer that is too long, too slow, or not what was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeVar

import aiohttp

from shared import redis
from shared.errors import OutsideError, OutsideMalformed, OutsideNotNow, OutsideOff, OutsideRefused, OutsideUnreachable
from shared.outside.allowance import Allowance
from shared.outside.provider import Gateway, Provider

if TYPE_CHECKING:
    from shared.service import Service

R = TypeVar("R")
T = TypeVar("T")

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 20.0
"""For an answer as a whole: none is longer than MOST_BYTES."""

MOST_BYTES: Final = 8_000_000
MOST_MESSAGE: Final = 1_000_000
"""Bytes of an answer, and of one message."""

LONG_BYTES: Final = 10_000
"""Of an answer: a longer one, which may be packed, could keep the event loop for more than some milliseconds."""

_LONGEST_WORDS: Final = 300

PING_SECONDS: Final = 20.0
"""Between two pings on a connection that stays open; the longest of ours wants one within that time."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A WebSocket: where, what is said at the beginning, and how long the other side may say nothing."""

    host: str
    path: str
    opening: tuple[str, ...] = ()
    silence: float = 30.0


class Outside:
    """Asks sources for one service."""

    def __init__(self, service: Service) -> None:
        settings = service.settings
        self.gateway = Gateway(settings.outside_url, off=not settings.outside)
        self.allowance = Allowance(service.redis, service.keys)
        self._log = service.log
        self.agent = f"bitcoin-dashboard/{service.version}"
        self._session: aiohttp.ClientSession | None = None
        self._thread = ThreadPoolExecutor(1, "outside")

    async def __aenter__(self) -> Self:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_redirect.append(_refuse_redirect)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=CONNECT_SECONDS),
            headers={"User-Agent": self.agent, "Accept-Encoding": "gzip, deflate"},
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[tracing],
        )
        return self

    async def apart(self, work: Callable[[], T]) -> T:
        """Do work that takes long in the one thread for it: several would each keep the memory of their largest."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self._opened.close()

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("ask sources within the context of Outside")
        return self._session

    async def get(
        self,
        provider: Provider,
        path: str,
        decode: Callable[[bytes], T],
        *,
        host: str = "",
        most: int = MOST_BYTES,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """What `decode` makes of the answer to one GET. Raises OutsideError, and what Redis fails with.

        `headers` are sent besides ours, or in their place; a key goes there, where no error and no log names it.

        What `decode` raises other than an OutsideError is an answer that is not what was asked for, too. A long answer
        is taken apart in a thread.
        """
        url = self.gateway.http(host or provider.host, path)
        await self.allowance.ask(provider)
        try:
            body = await self._body(provider, url, most, headers)
            if len(body) > LONG_BYTES:
                made = await self.apart(partial(understood, provider, decode, body))
            else:
                made = understood(provider, decode, body)
        except OutsideError as error:
            await self.count(provider, error)
            raise
        await self.count(provider, None)
        return made

    async def _body(self, provider: Provider, url: str, most: int, headers: Mapping[str, str] | None) -> bytes:
        try:
            async with self._opened.get(url, max_redirects=1, headers=headers) as response:
                if response.status != 200:
                    raise OutsideRefused(
                        f"{provider.title} answered with status {response.status}", _wish(response.headers)
                    )
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > most:
                        raise OutsideMalformed(f"{provider.title} answered with more than {most:,} bytes")
                return bytes(body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(provider, error) from error

    async def converse(self, provider: Provider, talk: Conversation, heard: Callable[[str | bytes], bool]) -> NoReturn:
        """Say the opening, and hand over each message until the conversation ends, which it always does by an error.

        `heard` says whether the message was a good one: the first that is counts as an answer, and a talk without any
        for the time of `silence` is given up. It is called once for each message; whatever it raises ends the talk.
        """
        url = self.gateway.socket(talk.host, talk.path)
        await self.allowance.ask(provider)
        try:
            await self._talk(provider, url, talk, heard)
        except OutsideError as error:
            await self.count(provider, error)
            raise
        except aiohttp.WSServerHandshakeError as error:
            refused = OutsideRefused(
                f"{provider.title} answered with status {error.status}", _wish(error.headers or {})
            )
            await self.count(provider, refused)
            raise refused from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            said = _unreachable(provider, error)
            await self.count(provider, said)
            raise said from error

    async def _talk(
        self, provider: Provider, url: str, talk: Conversation, heard: Callable[[str | bytes], bool]
    ) -> NoReturn:
        loop = asyncio.get_running_loop()
        well = False
        timeout = aiohttp.ClientWSTimeout(ws_close=1.0)
        async with (
            asyncio.timeout(CONNECT_SECONDS + talk.silence) as limit,
            self._opened.ws_connect(
                url, heartbeat=PING_SECONDS, max_msg_size=MOST_MESSAGE, timeout=timeout, compress=0
            ) as socket,
        ):
            for words in talk.opening:
                await socket.send_str(words)
            async for message in socket:
                if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    continue
                if understood(provider, heard, message.data):
                    limit.reschedule(loop.time() + talk.silence)
                    if not well:
                        well = True
                        await self.count(provider, None)
            raise OutsideUnreachable(f"{provider.title} ended the conversation (code {socket.close_code})")

    async def count(self, provider: Provider, error: OutsideError | None) -> None:
        """Tell how it went; what Redis fails with is no fault of the answer's, and the next request meets it too."""
        with contextlib.suppress(*redis.TROUBLE):
            if error is None:
                await self.allowance.answered(provider)
            elif not isinstance(error, OutsideNotNow | OutsideOff):
                wish = error.retry_after if isinstance(error, OutsideRefused) else None
                await self.allowance.failed(provider, str(error), wish)


def understood(provider: Provider, decode: Callable[[R], T], raw: R) -> T:
    """What `decode` makes of what the source said. Raises OutsideError: it does nothing else that could fail."""
    try:
        return decode(raw)
    except OutsideError:
        raise
    except Exception as error:
        raise OutsideMalformed(f"{provider.title}: {type(error).__name__}: {error}"[:_LONGEST_WORDS]) from error


def _unreachable(provider: Provider, error: BaseException) -> OutsideUnreachable:
    if isinstance(error, TimeoutError):
        said = "no answer in time"
    elif isinstance(error, aiohttp.ClientConnectorError):
        said = f"no connection ({error.strerror or error})"
    else:
        said = str(error) or type(error).__name__
    return OutsideUnreachable(f"{provider.title}: {said}")


async def _refuse_redirect(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestRedirectParams
) -> None:
    del session, context
    target = params.response.headers.get("Location", "")
    raise OutsideRefused(f"{params.url.host} sends us on to {target[:100]!r}: expected an answer")


def _wish(headers: Any) -> float | None:
    """Seconds that the source wants to be left alone: a number, or a moment by its own clock; None where it is silent.

    A wish that cannot be read is none.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value[:9])
    moments = [_moment(value), _moment(headers.get("Date", ""))]
    until, now = moments
    return max(0.0, until - now) if until is not None and now is not None else None


def _moment(value: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
