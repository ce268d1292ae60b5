"""Puts the parts together: every address and who answers it, and the tasks that keep the state current."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import structlog
from aiohttp import web

from shared import domains
from shared.domains import streams_of
from shared.keys import Keys
from shared.tasks import end
from shared.views import TipView
from web import api, compat
from web.api.charts import ChartApi
from web.api.largest import Largest
from web.api.miners import MinersApi
from web.api.ranks import RanksApi
from web.api.search import SearchApi
from web.api.status import readiness
from web.api.wallet import WalletApi
from web.charts.data.days import DayPrices
from web.charts.data.reading import SeriesReader
from web.charts.serving.store import Charts
from web.compat.esplora_lookups import EsploraApi
from web.compat.past import PastApi
from web.compat.prices import PastPrices
from web.endpoints import Endpoint, Endpoints
from web.finding import declared
from web.gate import Gate, answered_by, without_software
from web.http.answers import PRIVATE, Answer, document, private
from web.http.assets import Assets
from web.http.discretion import discreet
from web.http.document import MAX_AGE, Aging, Document
from web.http.hosts import HOSTS, Hosts
from web.http.reach import LOOPBACK, Reach
from web.http.readers import (
    CURRENCY,
    LANGUAGE,
    USUAL_CURRENCY,
    Spoken,
    choose_currency,
    choose_language,
)
from web.lookups.asking import Lookups
from web.lookups.wallets import Wallets
from web.lookups.watching import Watching
from web.miners.store import Miners
from web.operators import Desk
from web.pages.found import LIVE, LONG, PAGES
from web.pages.page import Handler, Means, Page
from web.pages.rendering import Pages
from web.push import audience
from web.push.audience import Audience
from web.push.events import Events
from web.push.hub import Hub
from web.push.live import Live
from web.ranks.store import Ranks
from web.state.disclosure import PublicState, masked
from web.state.reading import TELLING, State
from web.state.snapshot import Part, Snapshot
from web.telemetry import Telemetry
from web.words.currency import USUAL

HEARTBEAT: Final = 15.0
"""Seconds between two comments that keep an idle push connection open."""

_ALIVE: Final = document({"status": "alive"})


class Site:
    """The whole of web but for the listening socket."""

    def __init__(
        self,
        snapshot: Snapshot,
        keys: Keys,
        redis: Any,
        *,
        connect: Callable[[], Any],
        log: structlog.stdlib.BoundLogger,
        version: str,
        heartbeat: float = HEARTBEAT,
        reach: Reach = LOOPBACK,
        currency: str = USUAL,
        wallet_secret: str = "",
        wallet_example: Callable[[], str] = str,
    ) -> None:
        """`currency` is the one of readers who have not chosen; without a secret there are no wallets.

        `wallet_example` tells of a wallet that everybody may look at.
        """
        self._heartbeat = heartbeat
        self._currency = currency
        self._tasks: list[asyncio.Task[None]] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        streams = streams_of(keys)
        public = streams_of(keys, private=False)
        self.state = State(snapshot, keys, redis, log)
        self.visitor = PublicState(self.state)
        self.hub = Hub(streams, connect, log, self._fail)
        self._events = Events(self.hub, public, redis)
        self._assets = Assets(log)
        self._ranks = Ranks(self.visitor, redis, keys, log)
        self._pages = Pages(self.visitor, self._assets.urls, version, tuple(public), log, self._ranks.last)
        self._hosts = Hosts(reach.names, reach.trusted_proxies, log)
        self._gate = Gate(self._hosts, self._pages, log)
        self._reader = reader = SeriesReader(redis, keys, snapshot.network)
        self.charts = Charts(self.visitor, reader)
        self._miners = Miners(self.visitor, reader)
        self.lookups = Lookups(redis, keys, self._tip, log)
        self._wallets = Wallets(redis, keys, self.lookups, wallet_secret, lambda: self.state.now, wallet_example)
        self._wallet_api = WalletApi(self._wallets)
        self._days = DayPrices(reader, lambda: self.state.now)
        self._watching = Watching(redis, keys, self.lookups, lambda: self.state.now, log)
        self.state.subscribe((domains.CHAIN.name,), self._chain_changed)
        self._shown_tip = ""
        self._series = (
            ChartApi(self.visitor, self.charts), Largest(self.visitor), MinersApi(self.visitor, self._miners),
            RanksApi(self.visitor, self._ranks), PastApi(self.visitor, reader), PastPrices(self.visitor, reader),
            SearchApi(self.visitor, self._miners),
        )  # fmt: skip
        self._endpoints = endpoints()
        self.documents = self._documents()
        self._live = Live(self._pages, self.visitor, LIVE, LONG)
        self.routes = dict(self._routes())
        self.posts = dict(self._posts())
        self._below = tuple(path.partition("{")[0] for path in self.routes if "{" in path)
        self._telemetry = Telemetry(self.documents, self._series, self._audiences, self.state)
        self._lives = [self._live]

        def desk() -> Desk:
            full = Pages(self.state, self._assets.urls, version, tuple(streams), log, self._ranks.last)
            events = Events(self.hub, streams, redis, headers=PRIVATE)
            means = self._means(full)
            return Desk(self.state, means, self._endpoints, events, self._telemetry)

        self._desk = desk

    # --- addresses -----------------------------------------------------------------------------------

    def _documents(self) -> dict[str, Document | Spoken]:
        documents: dict[str, Document | Spoken] = {
            page.path: self._page(page) for page in PAGES.values() if page.routes is None
        }
        for endpoint in self._endpoints:
            build = partial(endpoint.build, self.visitor)
            documents[endpoint.path] = self._document(endpoint.parts, build, endpoint.domains, endpoint.max_age)
        return documents

    def _page(self, page: Page) -> Spoken:
        made = Spoken(lambda: self._pages.page(page), age=self._age(page.domains))
        self.state.subscribe(page.parts, made.invalidate)
        return made

    def _document(
        self,
        parts: tuple[Part, ...],
        build: Callable[[], Answer],
        domains: tuple[str, ...],
        max_age: float = MAX_AGE,
    ) -> Document:
        made = Document(build, max_age, age=self._age(domains))
        self.state.subscribe(parts, made.invalidate)
        return made

    def _age(self, domains: tuple[str, ...]) -> Aging | None:
        return (lambda: self.state.age(domains)) if domains else None

    def operators(self) -> web.Application:
        """The application of the operator's listener: the public addresses, and what only the operator is told.

        To be asked for once, before `start`.
        """
        desk = self._desk()
        self._lives.append(desk.live)
        return self.application(dict(desk.routes()))

    def application(self, instead: Mapping[str, Handler] | None = None) -> web.Application:
        """aiohttp's application with every route; those of `instead` go before the public ones."""
        discreet()
        app = web.Application()
        app[USUAL_CURRENCY] = self._currency
        app[HOSTS] = self._hosts
        app.on_response_prepare.append(without_software)
        for path, handle in (*(instead or {}).items(), *self.routes.items()):
            app.router.add_get(path, self._gate.guarded(handle), allow_head=not path.startswith("/live"))
        for path, handle in self.posts.items():
            app.router.add_post(path, self._gate.guarded(self._gate.posted(path, handle)))
        app.router.add_route(
            "*", "/{path:.*}", self._gate.guarded(self._gate.elsewhere(self.routes, self._below, self.posts))
        )
        return app

    def _routes(self) -> Iterator[tuple[str, Handler]]:
        """Every public address and who answers it."""
        for path, made in self.documents.items():
            yield path, made.handle
        for answering in self._series:
            yield from answering.routes()
        yield from self._wallet_api.routes()
        yield from EsploraApi(self.lookups, self.state.snapshot.network).routes()
        means = self._means(self._pages)
        for page in PAGES.values():
            yield from page.routes(means) if page.routes else ()
        yield LANGUAGE, choose_language
        yield CURRENCY, choose_currency
        yield "/live", self._live.handle
        yield "/live/lookup", self._watching.handle
        yield "/static/{name}", self._assets.handle
        yield "/api/v1/events", self._events.handle
        yield "/healthz", answered_by(lambda: _ALIVE)
        yield "/readyz", answered_by(self._readiness)

    def _posts(self) -> Iterator[tuple[str, Handler]]:
        """Every address that something is brought to."""
        yield from self._wallet_api.posts()
        means = self._means(self._pages)
        for page in PAGES.values():
            yield from page.posts(means) if page.posts else ()

    def _means(self, pages: Pages) -> Means:
        return Means(
            pages, self.charts, self._miners, self._ranks, self.lookups, self._wallets, self._reader, self._days
        )

    def _readiness(self) -> Answer:
        broken = [masked(words) for words in self._pages.broken()]
        return private(readiness(self.visitor.snapshot, self.visitor.now, broken))

    # --- life ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to follow the state."""
        for name in TELLING:
            self.hub.tails[name].add(self.state)
        self.hub.tails[domains.CHANGES.called].add(self.lookups)
        self._spawn(self.state.follow(), "state")
        self._spawn(audience.keep_alive(lambda: [a for _, a in self._audiences()], self._heartbeat), "keep-alive")
        for live in self._lives:
            self._spawn(live.beat(), "pulse")
        self._spawn(self._watching.renew(), "watching")

    def _tip(self) -> str:
        """Hash of the newest block that is shown; empty where none is known."""
        tip = self.state.snapshot[TipView]
        return tip.hash if tip is not None else ""

    def _chain_changed(self) -> None:
        if self._tip() != self._shown_tip:
            self._shown_tip = self._tip()
            self._watching.moved()

    def _spawn(self, work: Any, name: str) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(lambda done: self._fail(done.exception()) if not done.cancelled() else None)
        self._tasks.append(task)

    def _fail(self, failure: BaseException | None) -> None:
        if failure is not None and not self.failed.done():
            self.failed.set_exception(failure)

    def _audiences(self) -> Iterator[tuple[str, Audience]]:
        for channel in self.hub.channels():
            yield "events", channel
        for live in self._lives:
            yield from (("pages", pages) for pages in live.audiences())
        yield from (("lookups", looking) for looking in self._watching.audiences())

    def dismiss(self) -> None:
        """End every push connection and accept no more."""
        self.hub.dismiss()
        for live in self._lives:
            live.dismiss()
        self._watching.dismiss()

    @property
    def push_clients(self) -> int:
        """Push connections open now."""
        return sum(len(audience.clients) for _, audience in self._audiences())

    async def close(self) -> None:
        """End every task."""
        await end(*self._tasks)
        await self.charts.close()
        await self._miners.close()
        await self._ranks.close()
        await self._days.close()
        for answering in self._series:
            await answering.close()
        await self.hub.close()


def endpoints() -> list[Endpoint]:
    """Every document that a module of `api` or `compat` declares."""
    return [
        endpoint
        for room in (api, compat)
        for module in declared(room.__name__, room.__path__, "ENDPOINTS", Endpoints)
        for endpoint in module
    ]
