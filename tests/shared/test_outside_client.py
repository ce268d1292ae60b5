"""Requests and conversations with a source that does everything wrong: each ends in time, in words, and counted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.errors import (
    OutsideError,
    OutsideMalformed,
    OutsideNotNow,
    OutsideOff,
    OutsideRefused,
    OutsideUnreachable,
)
from shared.outside import client as outside_client
from shared.outside.allowance import Record
from shared.outside.client import Conversation, Outside
from shared.outside.provider import Gateway, Limit, Provider
from support.ledger import service
from support.stack import until

THERE = Provider("there", "There", "there.example", "https://there.example", (Limit(1_000, 1),))
TALK = Conversation("talk.example", "/ws", ("hello",), silence=0.3)

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Source:
    """One server; `answer` is what it does now."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.headers: list[Any] = []
        self.answer: Answer = plain

    async def __aenter__(self) -> Source:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *about: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        self.headers.append(request.headers)
        return await self.answer(request)


async def plain(request: web.Request) -> web.StreamResponse:
    return web.Response(text="[1]")


def sends(*parts: bytes, then: float = 0.0, headers: dict[str, str] | None = None) -> Answer:
    """A body in parts, and a pause before its end."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        await asyncio.sleep(then)
        return response

    return answer


def raises(error: Exception) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        raise error

    return answer


async def hangs(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


@contextlib.asynccontextmanager
async def outside(valkey: EmbeddedValkey, **env: str) -> AsyncIterator[Outside]:
    it = service(valkey.url, "asker", **env)
    try:
        async with Outside(it) as made:
            yield made
    finally:
        await it.close()


async def record(it: Outside) -> Record:
    [found] = await it.allowance.records([THERE])
    return found


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside_client, "ANSWER_SECONDS", 0.4)
    monkeypatch.setattr(outside_client, "CONNECT_SECONDS", 0.2)


async def test_an_answer_is_taken_apart_and_counted(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url + "/") as it:
        assert await it.get(THERE, "/a?b=c", json.loads) == [1]
        assert await it.get(THERE, "/x", json.loads, host="other.example") == [1]
        assert source.asked == ["/there.example/a?b=c", "/other.example/x"]
        assert source.headers[0]["User-Agent"].startswith("bitcoin-dashboard/")
        assert "Cookie" not in source.headers[1]
        found = await record(it)
        assert (found.asked, found.answered, found.failed, found.error) == (2, 2, 0, "")


WRONG: dict[str, tuple[Answer, type[OutsideError], str]] = {
    "404": (raises(web.HTTPNotFound()), OutsideRefused, "status 404"),
    "500": (raises(web.HTTPInternalServerError()), OutsideRefused, "status 500"),
    "204": (raises(web.HTTPNoContent()), OutsideRefused, "status 204"),
    "redirect": (raises(web.HTTPFound("http://127.0.0.1:9/elsewhere")), OutsideRefused, "sends us on to"),
    "redirect for ever": (raises(web.HTTPMovedPermanently("/there.example/x")), OutsideRefused, "sends us on to"),
    "too long": (sends(b"x" * 600, b"x" * 600), OutsideMalformed, "more than 1,000 bytes"),
    "hangs": (hangs, OutsideUnreachable, "no answer in time"),
    "stalls": (sends(b"[", then=5), OutsideUnreachable, "no answer in time"),
    "cut off": (sends(b"[1", headers={"Content-Length": "50"}), OutsideUnreachable, "There: "),
    "not packed": (sends(b"no gzip", headers={"Content-Encoding": "gzip"}), OutsideUnreachable, "There: "),
    "no JSON": (sends(b"<html>"), OutsideMalformed, "There: JSONDecodeError"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_whatever_is_wrong_with_an_answer_counts_against_the_source(
    valkey: EmbeddedValkey, client: redis.Client, what: str
) -> None:
    answer, kind, words = WRONG[what]
    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url) as it:
        source.answer = answer
        began = time.monotonic()
        with pytest.raises(kind) as error:
            await it.get(THERE, "/x", json.loads, most=1_000)
        assert time.monotonic() - began < 2
        assert type(error.value) is kind
        assert words in str(error.value)
        assert len(source.asked) == 1  # nobody was followed
        found = await record(it)
        assert (found.asked, found.answered, found.failed, found.failures) == (1, 0, 1, 1)
        assert words in found.error
        with pytest.raises(OutsideNotNow):
            await it.get(THERE, "/x", json.loads)
        assert len(source.asked) == 1


ODD = (
    *(kind("odd") for kind in (ValueError, KeyError, IndexError, TypeError, ZeroDivisionError, zlib.error)),
    *(kind("odd") for kind in (RecursionError, AttributeError, StopIteration)),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
)


@pytest.mark.parametrize("odd", ODD, ids=repr)
async def test_whatever_taking_an_answer_apart_raises_is_the_answers_fault(
    valkey: EmbeddedValkey, client: redis.Client, odd: Exception
) -> None:
    def decode(body: bytes) -> None:
        raise odd

    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url) as it:
        with pytest.raises(OutsideMalformed, match=type(odd).__name__):
            await it.get(THERE, "/x", decode)
        assert (await record(it)).failed == 1


async def test_nobody_there(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with outside(valkey, OUTSIDE_URL="http://127.0.0.1:9") as it:
        with pytest.raises(OutsideUnreachable):
            await it.get(THERE, "/x", json.loads)
        await it.allowance.answered(THERE)
        with pytest.raises(OutsideUnreachable):
            await it.converse(THERE, TALK, bool)
        assert (await record(it)).failed == 2


@pytest.mark.parametrize("how", ["get", "converse"])
async def test_a_wish_to_be_left_alone_is_passed_on(valkey: EmbeddedValkey, client: redis.Client, how: str) -> None:
    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url) as it:
        source.answer = raises(web.HTTPTooManyRequests(headers={"Retry-After": "77"}))
        with pytest.raises(OutsideRefused, match="429") as error:
            await (it.get(THERE, "/x", json.loads) if how == "get" else it.converse(THERE, TALK, bool))
        assert error.value.retry_after == 77
        with pytest.raises(OutsideNotNow) as later:
            await it.get(THERE, "/x", json.loads)
        assert 70 < later.value.wait <= 77


async def test_off_touches_nothing(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url, OUTSIDE="off") as it:
        for asking in (it.get(THERE, "/x", json.loads), it.converse(THERE, TALK, bool)):
            with pytest.raises(OutsideOff):
                await asking
        assert source.asked == []
        assert await record(it) == Record()


def test_addresses() -> None:
    assert Gateway().http("a.example", "/x?y") == "https://a.example/x?y"
    assert Gateway().socket("a.example", "/x?y") == "wss://a.example/x?y"
    for base in ("http://proxy:8080/p", "http://proxy:8080/p/"):
        assert Gateway(base).http("a.example", "/x") == "http://proxy:8080/p/a.example/x"
        assert Gateway(base).socket("http.example", "/x") == "ws://proxy:8080/p/http.example/x"
    assert Gateway("https://proxy").socket("a.example", "/x") == "wss://proxy/a.example/x"


# --- conversations ---------------------------------------------------------------------------------------


def talks(*messages: str, every: float = 0.0, then: float = 60.0) -> Answer:
    """Hears the opening, says these, and then nothing."""

    async def answer(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_str()
        for message in messages:
            await socket.send_str(message)
            await asyncio.sleep(every)
        with contextlib.suppress(TimeoutError):
            await socket.receive(timeout=then)
        await socket.close(code=1012)
        return socket

    return answer


async def converse(it: Outside, heard: list[str], good: Callable[[str], bool]) -> OutsideError:
    def message(raw: str | bytes) -> bool:
        assert isinstance(raw, str)
        heard.append(raw)
        return good(raw)

    with pytest.raises(OutsideError) as error:
        await asyncio.wait_for(it.converse(THERE, TALK, message), 5)
    return error.value


async def test_silence_ends_a_conversation(valkey: EmbeddedValkey, client: redis.Client) -> None:
    heard: list[str] = []
    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url) as it:
        source.answer = talks("a", "b", "c", "d", every=0.2)
        began = time.monotonic()
        error = await converse(it, heard, bool)
        assert isinstance(error, OutsideUnreachable)
        assert "no answer in time" in str(error)
        assert 0.8 < time.monotonic() - began < 3  # each good message gives it more time
        assert heard == ["a", "b", "c", "d"]
        assert source.asked == ["/talk.example/ws"]
        found = await record(it)
        assert (found.asked, found.answered, found.failed) == (1, 1, 1)


async def test_messages_of_nonsense_only_are_silence(valkey: EmbeddedValkey, client: redis.Client) -> None:
    heard: list[str] = []
    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url) as it:
        source.answer = talks(*["nonsense"] * 1_000, every=0.01)
        began = time.monotonic()
        assert isinstance(await converse(it, heard, lambda raw: False), OutsideUnreachable)
        assert time.monotonic() - began < 3
        assert len(heard) > 5
        found = await record(it)
        assert (found.answered, found.failed) == (0, 1)


async def test_the_first_good_message_counts_as_an_answer_while_it_goes_on(
    valkey: EmbeddedValkey, client: redis.Client
) -> None:
    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url) as it:
        source.answer = talks("hi", *["good"] * 100, every=0.05)
        talking = asyncio.ensure_future(converse(it, [], lambda raw: raw == "good"))

        async def counted() -> bool:
            return (await record(it)).answered == 1

        await until(counted, 3, "it counts")
        assert not talking.done()
        await asyncio.sleep(0.2)
        assert (await record(it)).answered == 1
        talking.cancel()
        await asyncio.wait({talking})


async def test_a_source_that_closes_is_told_as_it_is(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url) as it:
        source.answer = talks("a", then=0.01)
        error = await converse(it, [], bool)
        assert "ended the conversation (code 1012)" in str(error)
        found = await record(it)
        assert (found.answered, found.failed, found.failures) == (1, 1, 1)


@pytest.mark.parametrize("odd", [*ODD, OutsideMalformed("odd"), OutsideRefused("odd", 5)], ids=repr)
async def test_what_taking_a_message_apart_raises_ends_the_conversation_alone(
    valkey: EmbeddedValkey, client: redis.Client, odd: Exception
) -> None:
    def good(raw: str) -> bool:
        raise odd

    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url) as it:
        source.answer = talks("a")
        error = await converse(it, [], good)
        assert isinstance(error, OutsideMalformed | OutsideRefused)
        assert (await record(it)).failed == 1


async def test_a_message_that_is_too_long(
    valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside_client, "MOST_MESSAGE", 1_000)
    heard: list[str] = []
    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url) as it:
        source.answer = talks("x" * 1_001)
        assert isinstance(await converse(it, heard, bool), OutsideUnreachable)
        assert heard == []


@pytest.mark.parametrize(
    "answer",
    [raises(web.HTTPFound("http://127.0.0.1:9/elsewhere")), raises(web.HTTPForbidden()), plain, hangs],
    ids=["redirect", "403", "no WebSocket", "hangs"],
)
async def test_a_conversation_that_does_not_begin(valkey: EmbeddedValkey, client: redis.Client, answer: Answer) -> None:
    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url) as it:
        source.answer = answer
        error = await converse(it, [], bool)
        assert isinstance(error, OutsideRefused | OutsideUnreachable)
        assert len(source.asked) == 1
        assert (await record(it)).failed == 1


async def test_a_cancelled_request_ends(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url) as it:
        source.answer = hangs
        asking = asyncio.ensure_future(it.get(THERE, "/x", json.loads))

        async def asked() -> bool:
            return bool(source.asked)

        await until(asked, 2, "it is asked")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await record(it)).failed == 0


async def test_without_redis_nobody_is_asked(valkey: EmbeddedValkey) -> None:
    """A request that cannot be counted is not made; one that cannot be told of is none the worse."""
    async with Source() as source, outside(valkey, OUTSIDE_URL=source.url) as it:
        away = service("redis://127.0.0.1:9", "asker", OUTSIDE_URL=source.url)
        try:
            async with Outside(away) as alone:
                with pytest.raises(redis.TROUBLE):
                    await alone.get(THERE, "/x", json.loads)
                assert source.asked == []
                it.allowance.answered = alone.allowance.answered  # type: ignore[method-assign]  # lost in between
                assert await it.get(THERE, "/x", json.loads) == [1]
        finally:
            await away.close()
