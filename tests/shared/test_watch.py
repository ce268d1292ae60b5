"""What Redis lost: believed the second time, made again, told once, and whatever Redis answers ends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from redis.exceptions import ResponseError

from local_run.valkey import EmbeddedValkey
from shared import redis, watch
from shared.keys import Keys
from shared.service import Service
from shared.tasks import end
from shared.watch import Losses, Segment, Watch
from support.ledger import KEYS, service
from support.stack import until


class Hash(watch.Stored):
    """One key, which is set again when it is lost."""

    key = KEYS.chain_state

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


@pytest.fixture
async def it(valkey: EmbeddedValkey, client: redis.Client) -> AsyncIterator[Service]:
    made = service(valkey.url)
    made.health.ok()
    yield made
    await made.close()


@pytest.fixture
async def stored(it: Service, client: redis.Client, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hash]:
    monkeypatch.setattr(watch, "EVERY_SECONDS", 0.02)
    hash_ = Hash(client)
    await client.set(Hash.key, "x")
    task = asyncio.create_task(Watch(it, hash_).run())
    yield hash_
    [ended] = await end(task)
    assert isinstance(ended, asyncio.CancelledError)


async def told(client: redis.Client, keys: Keys = KEYS) -> list[bytes]:
    return [fields[b"type"] for _, fields in await client.xrange(keys.ops)]


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


async def test_what_is_missing_once_may_be_on_its_way(stored: Hash, it: Service, client: redis.Client) -> None:
    stored.answers = [Losses({"state"}), Losses(), Losses({"state"}), Losses({"views"}), Losses()]
    await stored.looked(7)
    assert not stored.mended
    assert await told(client) == []


async def test_nobody_looks_while_another_replica_is_active(stored: Hash, it: Service, client: redis.Client) -> None:
    it.health.standby()
    await client.delete(Hash.key)
    await asyncio.sleep(0.05)
    looks = stored.looks
    await asyncio.sleep(0.2)
    assert stored.looks == looks
    assert not stored.mended
    it.health.ok()
    await stored.looked()
    assert stored.mended


async def test_what_redis_refuses_ends_nothing(stored: Hash, client: redis.Client) -> None:
    stored.answers = [ResponseError("LOADING"), ConnectionError(), TimeoutError()]
    await client.delete(Hash.key)
    await stored.looked(6)
    assert stored.mended
