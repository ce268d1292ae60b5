"""What stands before every handler: whose names are ours, what pages elsewhere may not send, and what goes wrong.

A middleware would do the same and cost more for each request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog
from aiohttp import hdrs, web

from web.http.answers import JSON, Answer, error
from web.http.hosts import Hosts
from web.http.posting import POSTS, Unreadable
from web.http.readers import reader_of
from web.pages.page import Handler
from web.pages.rendering import Pages
from web.words.reader import reading
from web.words.sentence import say


class Gate:
    """Lets requests through to their handlers, and answers those that have none."""

    def __init__(self, hosts: Hosts, pages: Pages, log: structlog.stdlib.BoundLogger) -> None:
        self._hosts = hosts
        self._pages = pages
        self._log = log

    def guarded(self, handle: Handler) -> Handler:
        """Refuse names that are not ours; turn what goes wrong into an answer."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if not self._hosts.admits(request):
                return self._hosts.refusal(request)
            try:
                return await handle(request)
            except web.HTTPNotFound:
                return self._missing(request)
            except (ConnectionError, asyncio.CancelledError):
                raise
            except Exception:
                self._log.exception("request_failed", route=_route(request), client=self._hosts.client(request))
                return self._broken(request)

        return guarded

    def posted(self, path: str, handle: Handler) -> Handler:
        """Refuse what pages of other origins send, and count what became of each request."""

        async def posted(request: web.Request) -> web.StreamResponse:
            response = await self._taken(request, handle)
            POSTS.labels(path, str(response.status)).inc()
            return response

        return posted

    async def _taken(self, request: web.Request, handle: Handler) -> web.StreamResponse:
        if self._hosts.from_elsewhere(request):
            text = say("This was sent by a page of another website, so it is not taken.")
            return self._refusal(request, 403, "other_origin", say("Not from there"), text).response(request)
        try:
            return await handle(request)
        except Unreadable as error:
            return self._refusal(request, error.status, error.code, say("Not like that"), str(error)).response(request)

    def elsewhere(self, read: Collection[str], below: tuple[str, ...], taken: Collection[str]) -> Handler:
        """Answers what is none of ours: `read` and what begins with one of `below` answers GET, `taken` POST."""

        async def answered(request: web.Request) -> web.StreamResponse:
            known = request.path in read or request.path.startswith(below)
            return self._otherwise(request, ["GET", "HEAD"] * known + ["POST"] * (request.path in taken))

        return answered

    def _otherwise(self, request: web.Request, allowed: list[str]) -> web.StreamResponse:
        if allowed and request.method not in allowed:
            methods = ", ".join(one for one in allowed if one != "HEAD")
            text = say("This address only answers %(methods)s.", methods=methods)
            answer = self._refusal(request, 405, "method_not_allowed", say("Not that way"), text)
            response = answer.response(request)
            response.headers[hdrs.ALLOW] = ", ".join(allowed)
            return response
        return self._missing(request)

    def _missing(self, request: web.Request) -> web.StreamResponse:
        text = say("There is nothing at %(path)s.", path=request.path[:120])
        return self._refusal(request, 404, "not_found", say("Not found"), text).response(request)

    def _broken(self, request: web.Request) -> web.StreamResponse:
        text = say("This is a fault of ours, and it is in the log. The other pages may still work.")
        return self._refusal(request, 500, "internal_error", say("Something went wrong"), text).response(request)

    def _refusal(self, request: web.Request, status: int, code: str, title: str, text: str) -> Answer:
        if request.path.startswith("/api/") or JSON in request.headers.get("Accept", ""):
            return error(status, code, text)
        try:
            with reading(reader_of(request)):
                return self._pages.error(status, title, text)
        except Exception:  # the error page itself is broken: words will do
            self._log.exception("error_page_failed", status=status)
            return Answer(f"{title}. {text}\n".encode(), "text/plain; charset=utf-8", status)


def _route(request: web.Request) -> str:
    """Which of our addresses was asked for, without what a visitor put into it: that is in no log."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""


async def without_software(request: web.Request, response: web.StreamResponse) -> None:
    """Which versions of what we run on is nobody's business."""
    del request
    response.headers.pop(hdrs.SERVER, None)


def answered_by(build: Callable[[], Answer]) -> Handler:
    """A handler that answers with what this makes."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return build().response(request)

    return handle
