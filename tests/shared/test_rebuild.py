"""`python -m shared.rebuild`: which request it leaves for whom, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_run.valkey import EmbeddedValkey
from shared import anew, domains, rebuild, redis
from support.ledger import KEYS, service
from support.processes import ended, started

RESYNC = {name: KEYS.resync(domain.reads or domain.announces) for name, domain in rebuild.KNOWN.items()}


async def run(valkey: EmbeddedValkey, folder: Path, *arguments: str, **env: str) -> tuple[int, str]:
    """The command's exit code, and what it said."""
    log = folder / "rebuild.log"
    async with started("shared.rebuild", log, arguments=arguments, REDIS_URL=valkey.url, **env) as it:
        return await ended(it, 20), it.log


async def left(client: redis.Client) -> dict[str, str]:
    """The requests that stand, by key."""
    found = {key: await client.get(key) for key in set(RESYNC.values())}
    return {key: raw.decode() for key, raw in found.items() if raw}


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ((), ["chain", "mempool"]),
        (("history",), ["history"]),
        (("market", "marketcap"), ["market", "marketcap"]),
        (("mempool", "market"), ["mempool", "market"]),
    ],
)
async def test_the_request_is_left_where_the_producer_looks(
    valkey: EmbeddedValkey, client: redis.Client, tmp_path: Path, arguments: tuple[str, ...], asked: list[str]
) -> None:
    code, said = await run(valkey, tmp_path, *arguments)
    assert (code, said) == (0, f"asked for: {', '.join(asked)}; it begins within seconds\n")
    assert await left(client) == {RESYNC[name]: anew.AGAIN for name in asked}
    assert bool(await client.xlen(KEYS.stream(domains.BACKFILL))) == ("history" in asked)


async def test_own_history_is_named_in_the_request(
    valkey: EmbeddedValkey, client: redis.Client, tmp_path: Path
) -> None:
    code, _ = await run(valkey, tmp_path, "market", "--own-history")
    assert code == 0
    assert await left(client) == {RESYNC["market"]: anew.FORGET}


@pytest.mark.parametrize(
    ("arguments", "env", "code", "why"),
    [
        (("prices",), {}, 2, "unknown: prices; expected some of chain, history, mempool, market, marketcap"),
        (("--own-history",), {}, 2, "expected nothing but market and marketcap named"),
        (("chain", "market", "--own-history"), {}, 2, "expected nothing but market and marketcap named"),
        (("market",), {"OUTSIDE": "off"}, 1, "market: OUTSIDE is off: nobody can be asked again"),
    ],
)
async def test_what_cannot_be_asked_for_leaves_nothing(
    valkey: EmbeddedValkey, client: redis.Client, tmp_path: Path,
    arguments: tuple[str, ...], env: dict[str, str], code: int, why: str,
) -> None:  # fmt: skip
    ended_with, said = await run(valkey, tmp_path, *arguments, **env)
    assert ended_with == code
    assert why in said
    assert await left(client) == {}


async def test_without_anybody_to_ask_the_wish_is_taken_away(valkey: EmbeddedValkey, client: redis.Client) -> None:
    """The service's own setting counts: what would be dropped could not be fetched."""
    on, off = service(valkey.url, "market"), service(valkey.url, "market", OUTSIDE="off")
    try:
        assert await anew.wish(on, RESYNC["market"]) == ""
        await client.set(RESYNC["market"], anew.AGAIN)
        assert await anew.wish(on, RESYNC["market"]) == anew.AGAIN
        assert await anew.wish(off, RESYNC["market"]) == ""
        assert await left(client) == {}
    finally:
        await on.close()
        await off.close()
