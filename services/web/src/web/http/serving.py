"""aiohttp's server, with our words for requests that it cannot read: its own repeat what was sent."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

LONGEST: Final = 1 << 16
"""Bytes of an address that still comes to a handler of ours, which says what is wrong with it."""

UNREAD: Final = "This request cannot be read: it is not HTTP as it should be.\n"
TOO_LONG: Final = "This request cannot be read: its address or one of its headers is too long.\n"


HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "Bitcoin Dashboard"}
"""No handler made the answer, so nothing else takes the software and its versions out of it."""


class Runner(web.AppRunner):
    """Of one application, as web runs each."""

    def __init__(self, application: web.Application, shutdown_timeout: float) -> None:
        super().__init__(
            application,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=shutdown_timeout,
            max_line_size=LONGEST,
        )

    async def _make_server(self) -> web.Server:
        """As the base says; with connections of ours."""
        made: web.Server = await super()._make_server()
        return _Listening(
            made.request_handler,
            request_factory=made.request_factory,
            loop=asyncio.get_running_loop(),
            **self._kwargs,
        )


class _Listening(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """As the base says. Of what is no request nobody knows whether a page or JSON was wanted."""
        if not isinstance(exc, HttpProcessingError) or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        structlog.get_logger().debug("request_unreadable", kind=type(exc).__name__)
        text = TOO_LONG if isinstance(exc, LineTooLong) else UNREAD
        response = web.Response(status=400, text=text, headers=HEADERS)
        response.force_close()
        return response
