"""A thousand used addresses cost little, and the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence

import pytest

from explorer.wallet import looking
from explorer.wallet.chains import UNUSED, Told, Walk
from explorer.wallet.read import read
from support.wallet_samples import BIP_84, A, B, C, D, E

LONGEST_STALL = 0.01
MULTISIG = f"wsh(sortedmulti(3,{','.join(f'{key}/<0;1>/*' for key in (A, B, C, D, E))}))"


class Server:
    """Says that the first so many are used."""

    def __init__(self, used: int) -> None:
        self.left = used
        self.asked = 0
        self.fails_at = 0

    async def look(self, scripts: Sequence[bytes]) -> Sequence[Told]:
        self.asked += len(scripts)
        if 0 < self.fails_at <= self.asked:
            self.fails_at = 0
            raise ConnectionResetError
        await asyncio.sleep(0)
        answers = [Told(used=True, confirmed=1) if at < self.left else UNUSED for at in range(len(scripts))]
        self.left = max(0, self.left - len(scripts))
        return answers


def test_a_thousand_addresses_are_derived_in_well_under_a_second() -> None:
    branch = read(BIP_84, "main").branches[0]
    began = time.process_time()
    assert len({branch.script(index) for index in range(1_000)}) == 1_000
    assert time.process_time() - began < 0.7  # 0.1 s where nobody else works


@pytest.mark.parametrize("text", [BIP_84, MULTISIG])
async def test_the_loop_goes_on(text: str) -> None:
    """Measured in time of the processor, so that others on this machine do not count."""
    walk, stalls = Walk(read(text, "main")), [0.0]

    async def tick() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            stalls.append(now - last)
            last = now

    gc.collect()
    gc.freeze()  # what all these tests have loaded: a service has no such thing to look through
    try:
        ticking = asyncio.create_task(tick())
        await looking.look(walk, Server(1_000))
        ticking.cancel()
    finally:
        gc.unfreeze()
    assert walk.complete
    assert len(walk.answers) >= 1_000
    assert len(stalls) > 30
    assert max(stalls) < LONGEST_STALL


async def test_a_connection_that_was_cut_is_gone_on_with() -> None:
    walk, server = Walk(read(BIP_84, "main")), Server(0)
    server.fails_at = 30
    with pytest.raises(ConnectionResetError):
        await looking.look(walk, server, at_once=10)
    assert (len(walk.answers), walk.complete) == (20, False)
    told = list[int]()

    async def note() -> None:
        told.append(len(walk.answers))

    await looking.look(walk, server, at_once=10, told=note)
    assert (walk.complete, told, server.asked) == (True, [30, 40], 50)
