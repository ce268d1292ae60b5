"""A node that has fewer blocks than were published: nothing is taken back for it, unless it stays alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from chain_ingest import app, follow
from chain_ingest.app import run
from local_run.node import RegtestNode
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared.networks import NETWORKS
from shared.service import Service
from support.feed import KEYS, entries, kinds, newest, published
from support.ledger import running
from support.spending import give, mine
from support.stack import until


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "COMPARE_SECONDS", 0.2)
    monkeypatch.setattr(app, "RETRY_SECONDS", 0.1)


def patience(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """How long a node may stand still below what was published."""
    monkeypatch.setitem(NETWORKS, "regtest", dataclasses.replace(NETWORKS["regtest"], patience_seconds=seconds))


async def synced_again(client: redis.Client, times: int = 3) -> None:
    """Return after so many further comparisons with the node."""
    before = (await kinds(client, KEYS.stream(domains.TXS))).count("mempool.synced")

    async def more() -> bool:
        return (await kinds(client, KEYS.stream(domains.TXS))).count("mempool.synced") >= before + times

    await until(more, 15, "the node is compared with further on")


def detail(it: Service, name: str) -> Any:
    return it.health.details[name]


def uses(it: Service, name: str) -> Any:
    async def so() -> bool:
        return it.health.details.get("node") == name and it.health.state == "ok"

    return so


async def test_a_preferred_node_that_comes_back_behind_is_used_once_it_caught_up(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client
) -> None:
    main, spare = RegtestNode(tmp_path / "main"), RegtestNode(tmp_path / "spare")
    async with main, spare:
        await give(await mine(main, 10), main, spare)
        env = {**main.env("MAIN"), **spare.env("SPARE"), "NODES": "main,spare"}
        async with running(valkey.url, run, "chain-ingest", **env) as it:
            await until(uses(it, "main"), 15, "the preferred node is used")
            await main.stop()
            missed = await mine(spare, 5)
            await published(client, 15)
            await main.start()
            await synced_again(client)
            assert detail(it, "node") == "spare"
            assert "block.disconnected" not in await kinds(client, KEYS.stream(domains.BLOCKS))
        async with running(valkey.url, run, "chain-ingest", **env) as it:  # behind when the service starts, too
            await until(uses(it, "spare"), 15, "the other node is used")
            assert detail(it, "passed_over") == (
                "node main is 5 blocks behind what was published (it is at 10, published is 15)"
            )
            await give(missed, spare, main)
            await until(uses(it, "main"), 15, "the preferred node is used again")
            assert detail(it, "passed_over") is None
            await give(await mine(main), main, spare)
            await published(client, 16)
        assert "block.disconnected" not in await kinds(client, KEYS.stream(domains.BLOCKS))


async def behind_by_five(main: RegtestNode, folder: Path) -> tuple[RegtestNode, list[str]]:
    """A node of the first ten blocks of `main`, and the five that it lacks."""
    other = RegtestNode(folder)
    await other.start()
    await give(await mine(main, 10), main, other)
    return other, await mine(main, 5)


@pytest.mark.parametrize("comes", [True, False], ids=["it-catches-up", "it-stays-alone"])
async def test_a_node_alone_is_followed_down_only_once_it_stood_still_for_long(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch, comes: bool
) -> None:
    patience(monkeypatch, 600 if comes else 2)
    async with RegtestNode(tmp_path / "whole") as whole:
        forgetful, missed = await behind_by_five(whole, tmp_path / "forgetful")
        async with forgetful:
            async with running(valkey.url, run, "chain-ingest", **whole.env()):
                await published(client, 15)
            async with running(valkey.url, run, "chain-ingest", **forgetful.env()) as it:
                said = "node main is 5 blocks behind what was published (it is at 10, published is 15)"

                async def told() -> bool:
                    return it.health.state == "degraded" and it.health.reason == said

                await until(told, 10, "the heartbeat says that the node is behind")
                assert "block.disconnected" not in await kinds(client, KEYS.stream(domains.BLOCKS))
                if comes:
                    await give(missed, whole, forgetful)
                    await until(uses(it, "main"), 10, "it is used again")
                else:
                    await published(client, 10)
                    await mine(forgetful)
                    await published(client, 11)
        events = await entries(client, KEYS.stream(domains.OPS))
        rolled = [data["detail"] for _, kind, data in events if kind == "chain.rolled_back"]
        assert (await kinds(client, KEYS.stream(domains.BLOCKS))).count("block.disconnected") == (0 if comes else 5)
        assert len(rolled) == (0 if comes else 1)
        if rolled:
            assert rolled[0].startswith("from block 15 down to the chain of node main, which ends at block 10")


async def test_a_chain_that_begins_below_what_is_remembered_is_never_followed_down(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that downloads everything anew must not empty the dashboard."""
    patience(monkeypatch, 0)
    async with RegtestNode(tmp_path / "whole") as whole:
        fresh, _ = await behind_by_five(whole, tmp_path / "fresh")
        async with fresh:
            async with running(valkey.url, run, "chain-ingest", **whole.env()):
                await published(client, 15)
            await client.hdel(
                KEYS.published(domains.BLOCKS), *range(12)
            )  # as where more blocks came than are remembered
            async with running(valkey.url, run, "chain-ingest", **fresh.env()) as it:
                looks = 0
                follow_node = app.Ingest._follow_node

                async def counted(*arguments: Any) -> None:
                    nonlocal looks
                    looks += 1
                    await follow_node(*arguments)

                monkeypatch.setattr(app.Ingest, "_follow_node", counted)

                async def often() -> bool:
                    return looks >= 5

                await until(often, 10, "the node is looked at several times")
                assert "5 blocks behind" in it.health.reason
        assert "block.disconnected" not in await kinds(client, KEYS.stream(domains.BLOCKS))
        assert (await kinds(client, KEYS.stream(domains.BLOCKS))).count("headers.loaded") == 1


@pytest.mark.parametrize("gone", ["work", "producer"])
@pytest.mark.parametrize("knows", [True, False], ids=["tip-known", "tip-unknown"])
async def test_a_node_is_seen_to_be_behind_although_the_record_tells_no_work(
    tmp_path: Path, valkey: EmbeddedValkey, client: redis.Client, gone: str, knows: bool
) -> None:
    """As right after an update from a version that did not keep it, or once the record is lost."""
    async with RegtestNode(tmp_path / "whole") as whole:
        other, missed = await behind_by_five(whole, tmp_path / "other")
        async with other:
            if knows:
                await give(missed, whole, other)
                await other.rpc("invalidateblock", missed[0])
            async with running(valkey.url, run, "chain-ingest", **whole.env()):
                await published(client, 15)
            if gone == "work":
                assert await client.hdel(KEYS.producer(domains.BLOCKS), "work") == 1
            else:
                assert await client.delete(KEYS.producer(domains.BLOCKS)) == 1
            async with running(valkey.url, run, "chain-ingest", **other.env()) as it:

                async def told() -> bool:
                    return "5 blocks behind what was published" in it.health.reason

                await until(told, 10, "the heartbeat says that the node is behind")
                assert await newest(client) == 15
                if knows:
                    await other.rpc("reconsiderblock", missed[0])
                else:
                    await give(missed, whole, other)
                await give(await mine(whole), whole, other)
                await published(client, 16)
                await until(uses(it, "main"), 15, "it is used again")
        assert "block.disconnected" not in await kinds(client, KEYS.stream(domains.BLOCKS))
