"""Work that takes long, beside the event loop: of one thread, so that one is done after the other.

A thread that computes gives way as soon as the loop has waited for WAIT_SECONDS, but not within one call into C: what
sorts, decodes or joins 100,000 entries at once holds everybody up as if it ran in the loop. So such work is made of
parts.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, Final, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

PART: Final = 1_000
"""Entries that one call into C takes: a millisecond or two."""

LONG: Final = 500
"""Entries from which on work is done aside; with fewer it is done before a thread would have begun."""

WAIT_SECONDS: Final = 0.0005
"""How long the loop waits for the thread each time that something happens, which is some 40 times in a look-up: with
Python's own five milliseconds each look-up would take 200 ms longer.
"""

_ONE: Final = ThreadPoolExecutor(1, "aside")


def give_way() -> None:
    """To be called once in a process, before any work is done aside."""
    sys.setswitchinterval(WAIT_SECONDS)


async def aside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the work brings; it must touch nothing that anybody else changes meanwhile."""
    return await asyncio.get_running_loop().run_in_executor(_ONE, partial(work, *args, **kwargs))


async def quickly(entries: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same, beside the loop only where so many entries make it long."""
    return work(*args, **kwargs) if entries < LONG else await aside(work, *args, **kwargs)


def parts(entries: Sequence[T]) -> Iterator[Sequence[T]]:
    """Slices of PART entries."""
    return (entries[start : start + PART] for start in range(0, len(entries), PART))


def in_order(entries: Sequence[T], key: Callable[[T], Any], wanted: slice) -> list[T]:
    """The entries that would stand in this part, had they all been sorted."""
    runs: Iterable[list[T]] = [sorted(part, key=key) for part in parts(entries)]
    return list(islice(heapq.merge(*runs, key=key), wanted.start, wanted.stop))
