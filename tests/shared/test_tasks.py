"""Work and what goes on beside it: when all of it ends, and with which error."""

from __future__ import annotations

import asyncio
import time

import pytest

from shared.errors import DashboardError
from shared.tasks import accompanied, pause, until_set


class Beside:
    """Goes on until it is ended."""

    ended = False

    async def run(self) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            self.ended = True


async def fails() -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError


async def ends() -> None:
    await asyncio.sleep(0)


async def test_the_work_ends_by_itself_and_only_then_what_goes_on_beside_it() -> None:
    beside, told = Beside(), asyncio.Event()

    async def work() -> None:
        await told.wait()
        await asyncio.sleep(0.05)  # what it is at
        assert not beside.ended

    going = asyncio.create_task(accompanied(work(), beside.run()))
    await asyncio.sleep(0.05)
    told.set()
    await going
    assert beside.ended
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("failing_first", [False, True])
async def test_one_that_fails_ends_all_with_its_error(failing_first: bool) -> None:
    beside = Beside()
    with pytest.raises(ZeroDivisionError):
        await (accompanied(fails(), beside.run()) if failing_first else accompanied(beside.run(), fails()))
    assert beside.ended
    assert len(asyncio.all_tasks()) == 1


async def test_the_cause_is_told_not_what_the_work_says_as_it_is_ended() -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise KeyError("in the middle of something") from None

    with pytest.raises(ZeroDivisionError):
        await accompanied(work(), fails())


async def test_none_beside_it_ends_silently() -> None:
    beside = Beside()
    with pytest.raises(DashboardError, match=r"^ends ended, and Beside\.run was to go on beside it$"):
        await accompanied(beside.run(), ends())
    assert beside.ended


async def test_cancelled_it_ends_all() -> None:
    work, beside = Beside(), Beside()
    going = asyncio.create_task(accompanied(work.run(), beside.run()))
    await asyncio.sleep(0.05)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert work.ended
    assert beside.ended


async def test_work_that_is_told_to_stop_may_end_by_itself_and_is_cut_off_where_it_does_not() -> None:
    stopping, beside = asyncio.Event(), Beside()
    done = False

    async def work() -> None:
        nonlocal done
        await stopping.wait()
        await asyncio.sleep(0.05)
        done = True

    asyncio.get_running_loop().call_later(0.05, stopping.set)
    await asyncio.wait_for(until_set(stopping, work(), 30), 5)
    assert done
    await asyncio.wait_for(until_set(stopping, beside.run(), 0.05), 5)
    assert beside.ended
    assert len(asyncio.all_tasks()) == 1


async def test_what_the_work_failed_with_is_raised_before_and_after() -> None:
    stopping = asyncio.Event()
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(until_set(stopping, fails()), 5)

    async def fails_at_the_end() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ZeroDivisionError

    asyncio.get_running_loop().call_later(0.05, stopping.set)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(until_set(stopping, fails_at_the_end()), 5)


async def test_a_pause_ends_with_the_event() -> None:
    event = asyncio.Event()
    began = time.monotonic()
    await pause(event, 0.1)
    assert time.monotonic() - began >= 0.09
    event.set()
    await asyncio.wait_for(pause(event, 60), 5)
