"""Documents that Redis must be asked for: made once for a change, kept as bytes, sent to everyone who asks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from aiohttp import web

from web.http.answers import Answer
from web.http.document import Aging, Document
from web.http.flights import SingleFlight

T = TypeVar("T")

KEPT: Final = 128
"""Documents kept at most; the one that was asked for longest ago goes first."""

EFFORT: Final = 1
"""gzip's level: these documents are long, and somebody waits for the first."""


class _Served(Generic[T]):
    def __init__(self, write: Callable[[T], Answer], age: Aging) -> None:
        self._write = write
        self._shown: T | None = None
        self.document = Document(self._answer, float("inf"), age=age, effort=EFFORT)

    def show(self, what: T) -> Document:
        """The document, made anew only if this is another object than before."""
        if what is not self._shown:
            self._shown = what
            self.document.invalidate()
        return self.document

    def _answer(self) -> Answer:
        assert self._shown is not None  # noqa: S101 - show comes first
        return self._write(self._shown)


class Documents(Generic[T]):
    """Documents by what they are about, each written from an object that is the same as long as nothing changed."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _Served[T]] = OrderedDict()
        self.requests = 0
        self.renders = 0

    async def answer(
        self, request: web.Request, key: Hashable, what: T, write: Callable[[T], Answer], age: Aging
    ) -> web.StreamResponse:
        """Answer a request with what `write` makes of this object; `age` is the same for one key."""
        served = self._kept.get(key)
        if served is None:
            served = self._kept[key] = _Served(write, age)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        document = served.show(what)
        before = document.renders
        response = await document.handle(request)
        self.requests += 1
        self.renders += document.renders - before
        return response


class Built(Generic[T]):
    """Things that are built by asking Redis, kept as long as their version is the same."""

    def __init__(self) -> None:
        self._flights: SingleFlight[T] = SingleFlight()
        self._kept: OrderedDict[Hashable, tuple[Hashable, T]] = OrderedDict()

    async def get(self, key: Hashable, version: Hashable, build: Callable[[], Awaitable[T]]) -> T:
        """What was kept for this version, or what `build` makes now. Raises as it does."""
        held = self._kept.get(key)
        if held is not None and held[0] == version:
            self._kept.move_to_end(key)
            return held[1]
        made = await self._flights.do((key, version), build)
        if self._kept.get(key) is held:  # else another version was filed meanwhile, which may be the newer one
            self._kept[key] = (version, made)
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made

    async def close(self) -> None:
        """End what is being built."""
        await self._flights.close()


class Answering:
    """What answers several addresses from what Redis holds, and counts for itself."""

    def __init__(self) -> None:
        self._answers: Documents[Answer] = Documents()
        self._built: Built[Answer] = Built()

    @property
    def counts(self) -> tuple[int, int]:
        """Requests answered, and documents made for them."""
        return self._answers.requests, self._answers.renders

    async def close(self) -> None:
        """End what is being built."""
        await self._built.close()
