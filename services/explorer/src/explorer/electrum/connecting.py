"""Connections to an Electrum server: TCP and TLS by aiorpcx' own transport, WebSocket by aiohttp's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

import aiohttp
from aiorpcx import connect_rs  # type: ignore[import-untyped]  # it has no types

from explorer.electrum.endpoint import Endpoint, distrusted
from explorer.electrum.limits import Limits
from explorer.electrum.session import CUT, Session
from explorer.electrum.websocket import CLOSE_SECONDS, WebTransport
from explorer.electrum.wire import Notified
from shared.errors import ElectrumUnreachable, ElectrumUntrusted
from shared.tasks import end


@contextlib.asynccontextmanager
async def connected(endpoint: Endpoint, limits: Limits, notified: Callable[[Notified], None]) -> AsyncIterator[Session]:
    """A session that nothing was asked of yet; nothing of it is left afterwards.

    Raises ElectrumUnreachable and ElectrumUntrusted.
    """
    make = partial(Session, limits=limits, notified=notified)
    async with (_web if endpoint.web else _stream)(endpoint, limits, make) as session:
        try:
            yield session
        finally:
            session.end(ElectrumUnreachable("we closed the connection"))


@contextlib.asynccontextmanager
async def _stream(endpoint: Endpoint, limits: Limits, make: Callable[..., Session]) -> AsyncIterator[Session]:
    client = connect_rs(endpoint.host, endpoint.port, session_factory=make, ssl=endpoint.context())
    with _words(limits):
        async with asyncio.timeout(limits.connect):
            transport, protocol = await client.create_connection()
    session: Session = protocol.session
    try:
        shown = transport.get_extra_info("ssl_object")
        endpoint.check(shown.getpeercert(binary_form=True) if shown else None)
        yield session
    finally:
        transport.abort()
        await session.close(force_after=CLOSE_SECONDS)


@contextlib.asynccontextmanager
async def _web(endpoint: Endpoint, limits: Limits, make: Callable[..., Session]) -> AsyncIterator[Session]:
    async with aiohttp.ClientSession() as client:
        with _words(limits):
            async with asyncio.timeout(limits.connect):
                web = await client.ws_connect(
                    endpoint.url,
                    ssl=endpoint.context() or True,
                    max_msg_size=limits.line,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                )
        transport = WebTransport(web, limits.line)
        session = make(transport)
        running = asyncio.create_task(transport.run(session), name="electrum")
        try:
            shown = web.get_extra_info("ssl_object")
            endpoint.check(shown.getpeercert(binary_form=True) if shown else None)
            yield session
        finally:
            await end(running)
            await transport.close()


@contextlib.contextmanager
def _words(limits: Limits) -> Iterator[None]:
    """What can go wrong until a connection stands, as errors of ours."""
    try:
        yield
    except TimeoutError:
        raise ElectrumUnreachable(f"no connection within {limits.connect:g} s") from None
    except aiohttp.ClientConnectorCertificateError as error:  # which is an SSLCertVerificationError without its words
        cause = error.certificate_error
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise distrusted(cause) from None
        raise ElectrumUntrusted(f"its certificate is not trusted here: {cause}") from None
    except ssl.SSLCertVerificationError as error:
        raise distrusted(error) from None
    except ssl.SSLError as error:
        raise ElectrumUnreachable(f"it does not speak TLS there ({error.reason or error})") from None
    except aiohttp.ServerDisconnectedError:
        raise ElectrumUnreachable(CUT) from None
    except aiohttp.ClientResponseError as error:
        raise ElectrumUnreachable(f"it does not speak WebSocket there (HTTP status {error.status})") from None
    except aiohttp.ClientError as error:
        cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        raise ElectrumUnreachable(_reason(cause)) from None
    except OSError as error:
        raise ElectrumUnreachable(_reason(error)) from None


def _reason(error: BaseException) -> str:
    """Without the address, which may be told to anybody."""
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused: nothing listens there"
    if isinstance(error, ConnectionError):
        return CUT
    if isinstance(error, socket.gaierror):
        return "its host's name cannot be resolved here"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return type(error).__name__
