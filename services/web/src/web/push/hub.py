"""Fans the streams out to the clients of `/api/v1/events`: one tail a stream, one channel a set of streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
import structlog

from web.push.audience import Audience, Batch, Client
from web.push.cursor import EntryId, encode
from web.push.sse import closing, message
from web.push.tail import Entry, Tail

SLOW: Final = "you did not take messages as fast as they came; read the state anew"


class Hub:
    """The tails of all public streams, and a channel for each set of streams that somebody asked for."""

    def __init__(
        self,
        keys: Mapping[str, str],
        connect: Callable[[], Any],
        log: structlog.stdlib.BoundLogger,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.tails = {name: Tail(name, key, connect, log, on_failure) for name, key in keys.items()}
        self._channels: dict[tuple[str, ...], Channel] = {}
        self._closed = False

    def channel(self, streams: Iterable[str]) -> Channel:
        """The channel of these streams, in the order in which the contract names them; made when first asked for."""
        wanted = set(streams)
        names = tuple(name for name in self.tails if name in wanted)
        channel = self._channels.get(names)
        if channel is None:
            channel = self._channels[names] = Channel([self.tails[name] for name in names])
        return channel

    def channels(self) -> Iterable[Channel]:
        """Every channel so far; there are at most 2^streams of them."""
        return self._channels.values()

    @property
    def closed(self) -> bool:
        """Whether no client may join any more."""
        return self._closed

    def dismiss(self) -> None:
        """End every client's connection and accept no more."""
        self._closed = True
        for channel in self._channels.values():
            channel.dismiss()

    async def close(self) -> None:
        """End the tails."""
        await asyncio.gather(*(tail.close() for tail in self.tails.values()))


class Channel(Audience):
    """Clients of one set of streams: they all stand at the same cursor, so each entry is encoded once for them."""

    def __init__(self, tails: Sequence[Tail]) -> None:
        super().__init__()
        self.streams = tuple(tail.name for tail in tails)
        self._tails = tails
        self._waiting = 0

    @property
    def positions(self) -> dict[str, EntryId]:
        """Where the clients stand. Only to be asked while the tails are located."""
        return {tail.name: tail.position for tail in self._tails if tail.position is not None}

    @property
    def sequences(self) -> dict[str, int | None]:
        """`seq` of the entries at `positions`."""
        return {tail.name: tail.seq for tail in self._tails}

    async def opened(self, limit: float) -> bool:
        """Have the tails running and located; False where Redis did not answer within `limit` seconds."""
        self._waiting += 1
        for tail in self._tails:
            tail.add(self)
        try:
            found = await asyncio.gather(*(tail.located(limit) for tail in self._tails))
        finally:
            self._waiting -= 1
            self._let_go()
        return all(found)

    async def reached(self, since: Mapping[str, EntryId], limit: float) -> None:
        """Wait until we are as far as the client, who may come from a replica that is a moment ahead."""
        deadline = asyncio.get_running_loop().time() + limit
        while any(since[name] > position for name, position in self.positions.items() if name in since):
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(0.005)

    def join(self, client: Client) -> None:
        """From now on, this client gets what comes. To be called soon after `opened`."""
        self.clients.add(client)
        for tail in self._tails:
            tail.add(self)

    def part(self, client: Client) -> None:
        """This client is gone."""
        super().part(client)
        self._let_go()

    def _let_go(self) -> None:
        if not self.clients and not self._waiting:
            for tail in self._tails:
                tail.remove(self)

    def entries(self, stream: str, batch: Sequence[Entry]) -> None:
        """Push the entries to all, each as it was encoded once for every channel, with this channel's cursor."""
        if not self.clients or not batch:
            return
        positions = self.positions
        pieces: list[bytes] = []
        for entry in batch:
            positions[stream] = entry.id
            pieces += (entry.content, closing(encode(self.streams, positions)))
        self.broadcast(Batch(*pieces, count=len(batch)))

    def interrupted(self, stream: str, reason: str, position: EntryId) -> None:
        """Tell everybody that entries are missing."""
        positions = self.positions | {stream: position}
        self.broadcast(self.reset(reason, encode(self.streams, positions)))

    def reset(self, reason: str, cursor: str = "") -> Batch:
        """The message that says: something is missing here, read the state anew and go on from `cursor`."""
        at = cursor or encode(self.streams, self.positions)
        return Batch(message("reset", orjson.dumps({"reason": reason}), at))
