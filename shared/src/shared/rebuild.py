"""`python -m shared.rebuild [chain] [mempool] [history]`: have everything derived from the node's data made anew.

Asks the producer of each domain's stream to publish from the beginning: at its next comparison with the node it starts
the stream over, and the folds drop their state when they reach that point. Pages go on showing the old state until
then. `history` also drops every series of the chain, which the backfill then fetches again; `chain` keeps what still
fits.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable
from typing import Final

from shared import redis, settings
from shared.domains import DOMAINS, Domain
from shared.errors import ConfigError, RedisUnavailable
from shared.events.backfill import HistoryReset
from shared.events.base import entry_fields
from shared.keys import Keys

REDIS_SECONDS: Final = 5.0
_CAUSE: Final = "asked for by rebuild"


async def request(url: str, keys: Keys, wanted: Iterable[Domain]) -> None:
    """Leave the request for each domain."""
    client = redis.connect(url)
    try:
        await redis.wait_until_up(client, url, REDIS_SECONDS)
        for domain in wanted:
            if domain.inbox is not None:
                fields = list(entry_fields(HistoryReset(cause=_CAUSE), 0))
                await client.xadd(keys.stream(domain.inbox), dict(zip(fields[::2], fields[1::2], strict=True)))
            if domain.reads is not None:
                await client.set(keys.resync(domain.reads), _CAUSE)
    finally:
        await client.aclose()


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    # what was asked of others comes once, and nobody can be asked to begin several streams anew
    known = {domain.name: domain for domain in DOMAINS if domain.reads and not domain.beside}
    usual = [name for name, domain in known.items() if domain.inbox is None]
    parser = argparse.ArgumentParser(prog="python -m shared.rebuild", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("domains", nargs="*", help=f"{', '.join(known)}; {' and '.join(usual)} if none is named")
    wanted: list[str] = parser.parse_args(arguments).domains or usual
    if unknown := set(wanted) - known.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; expected some of {', '.join(known)}")
    try:
        config = settings.load()
        asyncio.run(request(config.require_redis(), Keys(config.network), [known[name] for name in wanted]))
    except (ConfigError, RedisUnavailable) as error:
        sys.stderr.write(f"rebuild: {error}\n")
        return 1
    sys.stdout.write(f"asked for: {', '.join(wanted)}; chain-ingest begins at its next comparison (within seconds)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
