"""`python -m shared.rebuild [chain] [mempool] [history]`: have everything derived from the node's data made anew.

Asks chain-ingest to publish from the beginning: at its next comparison with the node it starts the stream over, and
the folds drop their state when they reach that point. Pages go on showing the old state until then. `history` also
drops every series of the chain, which the backfill then fetches again; `chain` keeps what still fits.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from shared import redis, settings
from shared.errors import ConfigError, RedisUnavailable
from shared.events.backfill import HistoryReset
from shared.events.base import entry_fields
from shared.keys import Keys

REDIS_SECONDS = 5.0
_CAUSE = "asked for by rebuild"


async def request(url: str, keys: Keys, domains: list[str]) -> None:
    """Leave the request for each domain."""
    client = redis.connect(url)
    try:
        await redis.wait_until_up(client, url, REDIS_SECONDS)
        if "history" in domains:
            fields = list(entry_fields(HistoryReset(cause=_CAUSE), 0))
            await client.xadd(keys.backfill, dict(zip(fields[::2], fields[1::2], strict=True)))
        if {"chain", "history"} & set(domains):
            await client.set(keys.chain_resync, _CAUSE)
        if "mempool" in domains:
            await client.set(keys.mempool_resync, _CAUSE)
    finally:
        await client.aclose()


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m shared.rebuild", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("domains", nargs="*", help="chain, mempool, history; the first two if none is named")
    domains = parser.parse_args(arguments).domains or ["chain", "mempool"]
    if unknown := set(domains) - {"chain", "mempool", "history"}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; expected chain, mempool or history")
    try:
        config = settings.load()
        asyncio.run(request(config.require_redis(), Keys(config.network), domains))
    except (ConfigError, RedisUnavailable) as error:
        sys.stderr.write(f"rebuild: {error}\n")
        return 1
    sys.stdout.write(f"asked for: {', '.join(domains)}; chain-ingest begins at its next comparison (within seconds)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
