"""Work and what goes on beside it: when all of it ends, and with which error."""

from __future__ import annotations

import asyncio

import pytest

from shared.errors import DashboardError
from shared.tasks import accompanied


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
