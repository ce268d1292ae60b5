"""Carries a walk out: asks whoever knows of scripts, without ever holding up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from explorer.wallet.chains import Told, Walk


class Source(Protocol):
    """Who knows of scripts: an Electrum server, or a scan of the node's coins."""

    async def look(self, scripts: Sequence[bytes]) -> Sequence[Told]:
        """One answer a script, in their order. Raises what its connection raises; nothing is told then."""
        ...


async def nothing() -> None:
    """Of those who want to be told nothing."""


async def look(
    walk: Walk, source: Source, *, at_once: int = 100, told: Callable[[], Awaitable[None]] = nothing
) -> None:
    """Ask until the walk is complete; `told` is awaited after each batch, when there is more to show.

    Whatever the source raises goes through; called again, it goes on where it was.
    """
    walk.again()
    while not walk.complete:
        scripts = await batch(walk, at_once)
        if scripts:
            for script, answer in zip(scripts, await source.look(scripts), strict=True):
                walk.tell(script, answer)
            await told()


async def again(walk: Walk, source: Source, *, at_once: int = 100) -> None:
    """Ask anew for all that was told: of a source that knows what changed that costs little."""
    scripts = list(walk.answers)
    for start in range(0, len(scripts), at_once):
        part = scripts[start : start + at_once]
        for script, answer in zip(part, await source.look(part), strict=True):
            walk.tell(script, answer)


async def batch(walk: Walk, most: int) -> list[bytes]:
    """As many scripts to ask for as there are, derived in slices between which the loop goes on."""
    scripts: list[bytes] = []
    while len(scripts) < most and walk.more:
        scripts += walk.batch(most - len(scripts))
        await asyncio.sleep(0)
    return scripts
