"""`GET /api/v1/events?streams=...`: the streams as Server-Sent Events, resumable without loss or repetition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from redis.exceptions import RedisError

from web.http import answers
from web.push.audience import Batch, Client
from web.push.cursor import BadCursor, EntryId, decode, encode
from web.push.hub import SLOW, Channel, Hub
from web.push.replay import Missed, Trimmed, missed
from web.push.sse import EventStream

OPEN_LIMIT: Final = 3.0
"""Seconds that a new client waits for Redis to say where the streams stand."""

REACH_LIMIT: Final = 1.0
"""Seconds that a client whose cursor is ahead of us waits for us to get there."""

RETRY_MS: Final = 1_000
"""What a browser is told to wait before it connects again."""


class Events:
    """The endpoint. `resets` counts how often a client was told to start over."""

    def __init__(
        self, hub: Hub, keys: Mapping[str, str], redis: Any, *, headers: Mapping[str, str] = answers.CORS
    ) -> None:
        self._hub = hub
        self._keys = keys
        self._redis = redis
        self._headers = dict(headers)
        self.resets = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one client for as long as it stays."""
        try:
            streams = self._streams(request)
            since = self._since(request, streams)
        except ValueError as error:
            code = "bad_cursor" if isinstance(error, BadCursor) else "unknown_stream"
            return answers.error(400, code, str(error)).response(request)
        if request.method == "HEAD":
            return web.Response(headers={"Content-Type": "text/event-stream; charset=utf-8", **self._headers})
        channel = self._hub.channel(streams)
        if self._hub.closed or not await channel.opened(OPEN_LIMIT):
            unavailable = answers.error(503, "unavailable", "Redis does not answer; try again", retry_after=2)
            return unavailable.response(request)
        await channel.reached(since, REACH_LIMIT)
        return await self._serve(request, channel, since)

    async def _serve(self, request: web.Request, channel: Channel, since: dict[str, EntryId]) -> web.StreamResponse:
        stream = EventStream(request)
        client = Client(stream)
        until, sequences = channel.positions, channel.sequences
        channel.join(client)
        try:
            await stream.open(self._headers)
            cursor = encode(channel.streams, {**until, **since})
            await client.send(Batch(f"retry: {RETRY_MS}\nid: {cursor}\n\n".encode()))
            if since:
                await self._catch_up(client, channel, since, until, sequences)
            await client.run(lambda: self._farewell(channel))
        except (ConnectionError, TimeoutError):
            pass  # the client went, or stopped reading
        finally:
            channel.part(client)
        return stream.response

    async def _catch_up(
        self,
        client: Client,
        channel: Channel,
        since: dict[str, EntryId],
        until: dict[str, EntryId],
        sequences: dict[str, int | None],
    ) -> None:
        try:
            async for batch in missed(self._redis, self._keys, channel.streams, Missed(since, until, sequences)):
                await client.send(batch)
        except Trimmed as error:
            self.resets += 1
            await client.send(channel.reset(str(error), encode(channel.streams, until)))
        except (RedisError, OSError) as error:
            # Without the missed entries the live ones would leave a hole: end it here; the client resumes.
            raise ConnectionResetError("Redis went away during a replay") from error

    def _farewell(self, channel: Channel) -> Batch:
        self.resets += 1
        return channel.reset(SLOW)

    def _streams(self, request: web.Request) -> tuple[str, ...]:
        known = tuple(self._keys)
        asked = [name.strip() for name in request.query.get("streams", "").split(",") if name.strip()]
        if not asked:
            raise ValueError(f"streams is not set: expected one or more of {', '.join(known)}, separated by commas")
        for name in asked:
            if name not in known:
                raise ValueError(f"stream {name[:40]!r} is not known: expected {', '.join(known)}")
        return tuple(name for name in known if name in asked)

    def _since(self, request: web.Request, streams: tuple[str, ...]) -> dict[str, EntryId]:
        text = request.headers.get("Last-Event-ID") or request.query.get("since") or ""
        return decode(text.strip()[:1000], streams, tuple(self._keys)) if text.strip() else {}
