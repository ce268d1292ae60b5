"""market: asks exchanges what a bitcoin costs, publishes the median, and keeps what it has cost."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, Final

import msgspec

from market import fx, sample
from market.aggregates import AGGREGATES
from market.exchange import Exchange
from market.exchanges import EXCHANGES
from market.history import History
from market.sample import Sample
from market.state import AGAIN_MS, Market
from market.telling import Listener
from market.watch import Kept
from shared import anew, redis, series
from shared.domains import MARKET
from shared.errors import OutsideError, OutsideMalformed, OutsideNotNow, OutsideOff
from shared.fold import Changes
from shared.keys import Keys
from shared.leased import Leased
from shared.logging import Trouble
from shared.newest import Newest
from shared.outlet import Outlet
from shared.outside import ecb
from shared.outside.client import Outside
from shared.outside.tally import Tally, standings
from shared.price_views import MarketSourcesView, PricesView
from shared.series import DAY
from shared.service import Service
from shared.tasks import accompanied, end, pause
from shared.watch import Watch

PROVIDERS: Final = (
    *(exchange.provider for exchange in EXCHANGES),
    ecb.PROVIDER,
    *(aggregate.provider for aggregate in AGGREGATES),
)
"""Everybody who is asked."""

RATES_SECONDS: Final = 3 * 3_600.0
RATES_AGAIN_SECONDS: Final = 60.0
"""Between two times that the ECB is asked, and after one that failed."""

SOURCES_MS: Final = 2_000
"""Between two times that it is written down who is asked, and what each said."""

CONFIRM_MS: Final = 2_000
"""Between two confirmations that prices are those of now."""

SILENT_MS: Final = 30_000
"""Without a quote for so long the service is degraded."""

SILENT: Final = "no exchange has said for half a minute or more what a bitcoin costs"
NOTHING_YET: Final = "no exchange has said yet what a bitcoin costs"
OFF: Final = "OUTSIDE is off: no exchange is asked what a bitcoin costs"


class Desk:
    """The active replica: what is heard, published and kept."""

    def __init__(self, service: Service, outside: Outside) -> None:
        self._service = service
        self._outside = outside
        stream, keys = MARKET.announces, service.keys
        self._outlet = Outlet(service, MARKET.slot, keys.stream(stream), keys.producer(stream), keep=stream.keep)
        self._market = Market(keys)
        self._tallies = {provider.name: Tally() for provider in PROVIDERS}
        self._history = History(service, outside, EXCHANGES, self._market.past, self._tallies)
        self._watch = Watch(service, Kept(service.redis, keys, self._market, self._history))
        self._wake = asyncio.Event()
        self._leased = Leased(service, self._outlet.lease, name="producer")
        self._sources_ms = self._confirmed_ms = 0
        self._newest = Newest(self._leased)
        self._off = not service.settings.outside
        self._demonstration = sample.possible(service, os.environ.get("DASHBOARD_DEMO") == "1")

    async def run(self) -> None:
        """Work while this replica is the active one, until the service is told to stop."""
        await self._leased.run(self._work)

    async def _work(self) -> None:
        if not await self._restore():
            await self._outlet.give_way()
            return
        work = [self._rates()]
        if not self._off:
            work.append(self._history.run())
            work += [part for exchange in EXCHANGES for part in self._listener(exchange).work()]
        if self._demonstration:
            work.append(Sample(self._service, self._market, self._wake.set).run())
        await accompanied(self._publish(), *map(_beside, work))

    def _listener(self, exchange: Exchange) -> Listener:
        tally = self._tallies[exchange.provider.name]
        return Listener(self._service, self._outside, exchange, self._market, tally, self._wake.set)

    async def _restore(self) -> bool:
        """Go on from what Redis has; False where it has nothing, and another replica may know more."""
        client, keys = self._service.redis, self._service.keys
        await self._outlet.producer.load()
        whose = self._newest.whose(empty=not await series.segments_of(client, keys, MARKET.slot))
        if whose == "theirs":
            return False
        if whose == "ours":
            self._service.log.warning("history_from_memory", why="Redis has lost all of it")
            self._market.past.rewrite()
            self._market.show_again()
            self._history.changed = True
            return True
        self._market.reset()
        await self._market.past.load(client, keys)
        await self._market.log.load(client, keys)
        kept = await client.hget(keys.state(MARKET), "asked")
        self._history.restored(kept)
        now_ms = self._service.clock.now_ms
        self._market.past.resumed(now_ms // 1000)
        self._market.restored(await _view(client, keys), now_ms)
        if not self._demonstration:  # what one left is no price
            await sample.forget(self._market)
        return True

    # --- publishing ----------------------------------------------------------------------------------

    async def _publish(self) -> None:
        service, market = self._service, self._market
        while not service.stopping.is_set():
            self._wake.clear()
            now_ms = service.clock.now_ms
            changes = market.flush(now_ms)
            self._history.reopen()
            if self._history.changed:
                self._history.changed = False
                changes.commands.add("HSET", service.keys.state(MARKET), "asked", self._history.kept())
            await self._outlet.publish(changes)  # a price waits for nothing else
            self._newest.committed()
            market.written(service.clock.now_ms)
            if await self._tell_sources(now_ms) and await self._begun_anew():
                return  # and the work begins again
            await self._outlet.trim()
            await self._confirm(now_ms)
            await self._watch.look()
            self._leased.well()
            wait = max(market.due_ms(now_ms) - service.clock.now_ms, 0) / 1000
            if wait:
                await self._rest(wait)

    async def _rest(self, seconds: float) -> None:
        """Until it is time again, or something is heard, or the service is to stop."""
        stopping = asyncio.ensure_future(self._service.stopping.wait())
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            limit = min(seconds, AGAIN_MS / 1000, SOURCES_MS / 1000)
            await asyncio.wait({stopping, woken}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(stopping, woken)

    async def _tell_sources(self, now_ms: int) -> bool:
        """Write down who is asked and what each said, where it is time to; returns whether it was."""
        if 0 <= now_ms - self._sources_ms < SOURCES_MS:
            return False
        self._sources_ms = now_ms
        sources = await standings(self._outside.allowance, PROVIDERS, self._tallies, now_ms, off=self._off)
        view = MarketSourcesView(sources=sources, quotes=self._market.quotes_now)
        changes = Changes(views=self._service.keys.views(MARKET))
        changes.commands.add("HSET", changes.views, "market_sources", msgspec.json.encode(view))
        await self._outlet.publish(changes)
        return True

    async def _begun_anew(self) -> bool:
        """Drop what can be told again where somebody asked for that; returns whether it was dropped."""
        service, market = self._service, self._market
        key = service.keys.resync(MARKET.announces)
        cause = await anew.wish(service, key)
        if not cause:
            return False
        service.log.info("begun_anew", cause=cause)
        if cause == anew.FORGET:
            market.past.reset()
            market.log.writer.reset()
        now_ms = service.clock.now_ms
        self._history.forget(now_ms // 1000)
        changes = market.flush(now_ms)
        changes.commands.add("HSET", service.keys.state(MARKET), "asked", self._history.kept())
        changes.commands.add("DEL", key)
        await self._outlet.publish(changes)
        return True

    async def _confirm(self, now_ms: int) -> None:
        """Prices are those of the moment at which the newest quote was heard."""
        health, producer, fresh_ms = self._service.health, self._outlet.producer, self._market.fresh_ms
        if self._off and not self._market.sample:
            if now_ms - self._confirmed_ms >= CONFIRM_MS or now_ms < self._confirmed_ms:
                self._confirmed_ms = now_ms
                await producer.confirm("", OFF, ago_ms=0)
            health.ok(seq=producer.seq, outside="off")
            return
        age_ms = max(now_ms - fresh_ms, 0)
        if age_ms <= SILENT_MS:
            health.ok(seq=producer.seq)
            if now_ms - self._confirmed_ms >= CONFIRM_MS or now_ms < self._confirmed_ms:
                self._confirmed_ms = now_ms
                await producer.confirm("sample" if self._market.sample else "exchanges", ago_ms=age_ms)
        else:
            health.degraded(SILENT if fresh_ms else NOTHING_YET, seq=producer.seq)

    # --- the ECB -------------------------------------------------------------------------------------

    async def _rates(self) -> None:
        """What the package ships, until the ECB answers."""
        market, service = self._market, self._service
        trouble = Trouble(service.log, "rates")
        market.rated(await self._outside.apart(fx.shipped))
        self._history.cross_due = True
        while not service.stopping.is_set():
            wait = RATES_SECONDS
            try:
                market.rated(await self._outside.get(ecb.PROVIDER, ecb.PATH, self._of_now))
                trouble.ended()
                self._history.cross_due = True
            except OutsideNotNow as error:
                wait = error.wait
            except OutsideOff:
                pass
            except OutsideError as error:
                trouble.failed(error)
                wait = RATES_AGAIN_SECONDS
            await pause(service.stopping, wait)

    def _of_now(self, body: bytes) -> ecb.Rates:
        """The ECB's rates, of today at the latest: none that are newer would replace those of a future day."""
        rates = ecb.decode(body)
        if rates.day > self._service.clock.now_ms // 1000 // DAY + 1:
            raise OutsideMalformed(f"ECB: its newest rates are of {rates.iso_day}, which is not yet")
        return rates


async def _view(client: redis.Client, keys: Keys) -> PricesView | None:
    raw = await client.hget(keys.views(MARKET), "prices")
    try:
        return None if raw is None else msgspec.json.decode(raw, type=PricesView)
    except ValueError:  # of another version, or nonsense: it is told anew
        return None


async def _beside(work: Coroutine[Any, Any, None]) -> None:
    """The work, and then nothing until whom it accompanies has ended: some of it has an end of its own."""
    await work
    await asyncio.get_running_loop().create_future()


async def run(service: Service) -> None:
    """Ask and publish until the service is told to stop."""
    async with Outside(service) as outside:
        await Desk(service, outside).run()
