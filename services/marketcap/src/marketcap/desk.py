"""The active replica of those that ask: what sources say, kept and told on the stream `assets`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, Final

import msgspec

from marketcap import sample
from marketcap.board import Board
from marketcap.questions import ASKED, Question, Questions
from shared import anew
from shared.asset_views import AssetSourcesView
from shared.domains import ASSETS, MARKETCAP
from shared.errors import OutsideError, OutsideNotNow
from shared.events.rankings import HistoryForgotten
from shared.leased import Leased
from shared.logging import Trouble
from shared.newest import Newest
from shared.outlet import Outlet
from shared.outside.client import Outside
from shared.outside.tally import standings
from shared.service import Service
from shared.tasks import accompanied, pause

PACE_SECONDS: Final = 1.0
"""Between two times that what was heard is written down and told."""

SOURCES_MS: Final = 5_000
"""Between two times that it is written down who is asked, and how each answered."""

CONFIRM_MS: Final = 2_000
"""Between two confirmations that what is told is what sources said last."""

PATIENCE_MS: Final = 120_000
"""How long after its start the service is well though nobody has answered yet."""

LONGEST_SECONDS: Final = 60.0
"""Longest pause before a question that waits is looked at again."""

NOTHING_YET: Final = "no source has said yet what an asset is worth"
OFF: Final = "OUTSIDE=off: no source is asked what an asset is worth"


class Desk:
    """Asks, keeps and tells under a lease of its own: the fold beside it may be another replica's."""

    def __init__(self, service: Service, outside: Outside) -> None:
        self._service = service
        self._outside = outside
        keys = service.keys
        self._outlet = Outlet(
            service, ASSETS.slot, keys.stream(ASSETS), keys.producer(ASSETS), keep=ASSETS.keep,
            holder=f"{service.name}-sources",
        )  # fmt: skip
        self._board = Board(keys)
        self._questions = Questions(service, outside, self._board)
        self._leased = Leased(service, self._outlet.lease, name="producer")
        self._sources_ms = self._confirmed_ms = self._began_ms = 0
        self._newest = Newest(self._leased)
        self._off = not service.settings.outside
        self._demonstration = sample.possible(service, os.environ.get("DASHBOARD_DEMO") == "1")

    async def run(self) -> None:
        """Work while this replica is the active one, until the service is told to stop."""
        await self._leased.run(self._work)

    async def _work(self) -> None:
        await self._outlet.producer.load()
        stored = await self._service.redis.hgetall(self._service.keys.asset_answers)
        whose = self._newest.whose(empty=not stored)
        if whose == "theirs":
            await self._outlet.give_way()
            return
        if whose == "ours":
            self._service.log.warning("answers_from_memory", why="Redis has lost all of them")
            self._board.write_all()
        else:
            for why in self._board.restored(stored):
                self._service.log.warning("answers_unreadable", part=why)
        self._began_ms = self._service.clock.now_ms
        work = [] if self._off else [self._ask(question) for question in self._questions.every]
        if self._demonstration:
            work.append(sample.run(self._service, self._board))
        await accompanied(self._publish(), *map(_beside, work))

    # --- questions -----------------------------------------------------------------------------------

    async def _ask(self, question: Question) -> None:
        """One question over and over. It fails alone: what it asked for keeps its last value."""
        service, board = self._service, self._board
        trouble = Trouble(service.log.bind(question=question.name), "question")
        wait = 0.0
        lasting = question.every >= LONGEST_SECONDS  # so that a restart need not ask again
        while not service.stopping.is_set():
            if lasting:
                wait = max(wait, board.parts.asked.get(question.name, 0) + question.every - service.clock.now_ms / 1000)
            if wait > 0:
                await pause(service.stopping, min(wait, LONGEST_SECONDS))
                wait -= LONGEST_SECONDS
                if wait > 0:
                    continue
            if service.stopping.is_set():
                return
            try:
                await question.ask()
                trouble.ended()
                wait = question.every
                if lasting:
                    board.answered(question.name, service.clock.now_ms // 1000)
            except OutsideNotNow as error:
                wait = max(error.wait, PACE_SECONDS)
            except OutsideError as error:
                trouble.failed(error)
                wait = question.again

    # --- publishing ----------------------------------------------------------------------------------

    async def _publish(self) -> None:
        service = self._service
        while not service.stopping.is_set():
            now_ms = service.clock.now_ms
            changes = self._board.flush(now_ms)
            if not 0 <= now_ms - self._sources_ms < SOURCES_MS:
                self._sources_ms = now_ms
                view = await self._sources(now_ms)
                views = service.keys.views(MARKETCAP)  # the fold's, whose count of what it has folded stays
                changes.commands.add("HSET", views, "asset_sources", msgspec.json.encode(view))
                if await self._begun_anew():
                    return  # and the work begins again
            await self._outlet.publish(changes)
            self._newest.committed()
            await self._outlet.trim()
            await self._confirm(now_ms)
            self._leased.well()
            await pause(service.stopping, PACE_SECONDS)

    async def _begun_anew(self) -> bool:
        """Have everybody asked again where somebody wants that; returns whether it was wanted.

        What they said stands until they answer.
        """
        service = self._service
        key = service.keys.resync(ASSETS)
        cause = await anew.wish(service, key)
        if not cause:
            return False
        service.log.info("begun_anew", cause=cause)
        self._board.ask_again(service.clock.now_ms // 1000)
        changes = self._board.flush(service.clock.now_ms)
        changes.commands.add("DEL", key)
        if cause == anew.FORGET:
            changes.events.append(HistoryForgotten(time_ms=service.clock.now_ms))
        await self._outlet.publish(changes)
        return True

    async def _sources(self, now_ms: int) -> AssetSourcesView:
        allowance, tallies = self._outside.allowance, self._questions.tallies
        return AssetSourcesView(
            sources=await standings(allowance, tuple(ASKED.values()), tallies, now_ms, off=self._off)
        )

    async def _confirm(self, now_ms: int) -> None:
        """What is told is what sources said last; how old each figure is, it says itself."""
        producer, health, board = self._outlet.producer, self._service.health, self._board
        made_up = board.sample is not None
        if self._off and not made_up:
            health.ok(assets_seq=producer.seq, outside="off")
        elif made_up or board.heard or 0 <= now_ms - self._began_ms < PATIENCE_MS:
            health.ok(assets_seq=producer.seq)
        else:
            health.degraded(NOTHING_YET, assets_seq=producer.seq)
        known = self._off or made_up or board.heard
        if known and not 0 <= now_ms - self._confirmed_ms < CONFIRM_MS:
            self._confirmed_ms = now_ms
            incomplete = OFF if self._off and not made_up else ""
            await producer.confirm("sample" if made_up else "sources", incomplete)


async def _beside(work: Coroutine[Any, Any, None]) -> None:
    """The work, and then nothing until whom it accompanies has ended: some of it has an end of its own."""
    await work
    await asyncio.get_running_loop().create_future()
