"""What Redis lost: looked for between two commits, made again, told once, and whatever Redis answers ends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from redis.exceptions import ResponseError

from local_run.valkey import EmbeddedValkey
from shared import domains, redis, watch
from shared.consumer import Consumer
from shared.keys import Keys
from shared.lease import Lease
from shared.service import Service
from shared.watch import Losses, Segment
from support.ledger import KEYS, POISON, WIRING, Begun, Ledger, counted, folded, producer, running
from support.stack import until


class Hash(watch.Stored):
    """One key, which is set again when it is lost."""

    key = KEYS.state(domains.HISTORY)

    def __init__(self, client: redis.Client) -> None:
        super().__init__("the ledger", {})
        self._client = client
        self.looks = 0
        self.mended: list[Losses] = []
        self.answers: list[Losses | Exception] = []  # instead of what is so

    async def lost(self, segments: Sequence[Segment]) -> Losses:
        self.looks += 1
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return Losses() if await self._client.exists(self.key) else Losses({"state"})

    def mend(self, losses: Losses) -> None:
        self.mended.append(losses)

    async def looked(self, times: int = 4) -> None:
        wanted = self.looks + times

        async def so() -> bool:
            return self.looks >= wanted

        await until(so, 5, "it looks")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY_SECONDS", 0.02)
    monkeypatch.setattr(redis, "BLOCK_MS", 20)


@pytest.fixture
async def stored(client: redis.Client) -> Hash:
    hash_ = Hash(client)
    await client.set(Hash.key, "x")
    return hash_


@pytest.fixture
async def it(valkey: EmbeddedValkey, stored: Hash) -> AsyncIterator[Service]:
    """A service that folds, and looks at the hash meanwhile."""

    async def run(service: Service) -> None:
        await Consumer(service, WIRING, Ledger(), stored).run()

    async with running(valkey.url, run) as service:
        yield service


async def told(client: redis.Client, keys: Keys = KEYS) -> list[bytes]:
    return [fields[b"type"] for _, fields in await client.xrange(keys.stream(domains.OPS))]


async def test_what_is_lost_is_mended_and_told_once(stored: Hash, it: Service, client: redis.Client) -> None:
    await stored.looked()
    assert not stored.mended
    await client.delete(Hash.key)
    await stored.looked(12)
    assert len(stored.mended) > 2  # as often as it is seen
    assert it.health.details["lost"] == "Redis has lost state of the ledger"
    assert await told(client) == [b"gap.detected"]
    await client.set(Hash.key, "x")
    await stored.looked()
    assert it.health.details.get("lost") is None
    assert await told(client) == [b"gap.detected", b"gap.repaired"]


async def test_nobody_looks_while_another_replica_is_active(
    stored: Hash, client: redis.Client, valkey: EmbeddedValkey
) -> None:
    other = Lease(client, KEYS.lease("chain", "ledger"), KEYS.fence("chain", "ledger"))
    assert await other.try_acquire()
    await client.delete(Hash.key)

    async def run(service: Service) -> None:
        await Consumer(service, WIRING, Ledger(), stored).run()

    async with running(valkey.url, run) as service:

        async def waits() -> bool:
            return service.health.state == "standby"

        await until(waits, 5, "it stands by")
        assert not stored.looks
        await other.release()
        await stored.looked()
        assert stored.mended


class Slow(Ledger):
    """Takes its time to restore, and has forgotten everything meanwhile."""

    async def restore(self, client: redis.Client) -> None:
        self.reset()
        await asyncio.sleep(0.1)
        await super().restore(client)


class Compared(Hash):
    """Whether memory is what is committed, at each look."""

    def __init__(self, client: redis.Client, ledger: Ledger) -> None:
        super().__init__(client)
        self._ledger = ledger
        self.differed: list[tuple[list[int], list[int]]] = []

    async def lost(self, segments: Sequence[Segment]) -> Losses:
        await super().lost(segments)
        before, there, after = list(self._ledger.numbers), await folded(self._client), list(self._ledger.numbers)
        if not before == there == after:
            self.differed.append((before, after))
        return Losses()


async def test_a_look_falls_between_two_commits(client: redis.Client, valkey: EmbeddedValkey) -> None:
    """Whatever restores meanwhile: what is half read must not be taken for what was committed, nor written."""
    ledger = Slow()
    compared = Compared(client, ledger)

    async def run(service: Service) -> None:
        await Consumer(service, WIRING, ledger, compared).run()

    writer = await producer(client)
    async with running(valkey.url, run):
        await writer.publish([Begun(), *counted([1, 2, 3])])
        for number in range(10, 20):
            await writer.publish(counted([number, POISON] if number in {12, 16} else [number]))
            await compared.looked(2)

        async def all_there() -> bool:
            return await folded(client) == [1, 2, 3, *range(10, 20)]

        await until(all_there, 20, "all is folded")
        await compared.looked()
    assert ledger.restores > 2
    assert compared.differed == []


async def test_what_redis_refuses_ends_nothing(stored: Hash, it: Service, client: redis.Client) -> None:
    stored.answers = [ResponseError("LOADING"), ConnectionError(), TimeoutError()]
    await client.delete(Hash.key)
    await stored.looked(6)
    assert stored.mended
