"""Tasks that belong together: each is owned, each is ended for certain, and no failure is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final

from shared.errors import DashboardError

_AGAIN_SECONDS: Final = 0.2


async def end(*tasks: asyncio.Future[Any]) -> list[Any]:
    """Cancel the tasks and wait until they have ended; returns results and exceptions as `gather` does.

    Once is not enough: up to Python 3.11 `asyncio.wait_for` drops a cancellation that comes just when what it waits
    for ends (python/cpython issue 86296), and redis-py sends every command through it. Each further attempt comes a
    turn of the event loop later, since a timer and a busy connection may keep step with each other.
    """
    cancelled = False  # we ourselves, meanwhile: that waits until nothing of ours goes on
    turns = 0
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=_AGAIN_SECONDS)
            turns += 1
            for _ in range(turns):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            cancelled = True
    results = [asyncio.CancelledError() if task.cancelled() else task.exception() or task.result() for task in tasks]
    if cancelled:
        raise asyncio.CancelledError
    return results


async def together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """The results of all, in order. The first that fails ends the others, and its error alone is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None  # one cause is enough: the others failed of the same
    return [task.result() for task in tasks]


async def accompanied(work: Coroutine[Any, Any, None], *others: Coroutine[Any, Any, None]) -> None:
    """Do the work, with others beside it that go on until it has ended: it alone ends by itself.

    The first that fails ends all, with its error. Another that ends without one has failed as well.
    """
    tasks = [asyncio.create_task(one, name=getattr(one, "__qualname__", None)) for one in (work, *others)]
    try:
        first, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*tasks)
    for task in sorted(tasks, key=lambda one: one not in first):  # the cause, before what others say as they are ended
        if not task.cancelled() and (error := task.exception()):
            raise error
    if tasks[0] not in first:
        raise DashboardError(f"{first.pop().get_name()} ended, and {tasks[0].get_name()} was to go on beside it")


def ending() -> bool:
    """Whether this task was told to end. Asked in every loop over Redis, because redis-py may drop the cancellation
    itself, and some tasks are ended where nobody can wait and cancel again.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def until_set(event: asyncio.Event, work: Coroutine[Any, Any, None], grace: float = 0.0) -> None:
    """Do the work until the event is set; then it has `grace` seconds to end by itself, and is cut off wherever it is.

    Raises what the work raised.
    """
    working = asyncio.create_task(work, name=getattr(work, "__qualname__", None))
    waiting = asyncio.create_task(event.wait(), name="until_set")
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({working}, timeout=grace)
    finally:
        [ended, _] = await end(working, waiting)
    if isinstance(ended, Exception):
        raise ended


async def pause(event: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until the event is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
