"""`python -m shared.rebuild [chain] [mempool] [history] [market] [marketcap]`: have what can be made anew made anew.

Of chain, mempool and history, which follow from the node, the producer of the stream is asked to publish from the
beginning: at its next comparison with the node it starts the stream over, and the folds drop their state when they
reach that point. Pages go on showing the old state until then. `history` also drops every series of the chain, which
the backfill then fetches again; `chain` keeps what still fits.

Market and marketcap ask sources outside. Of market the active replica drops what a source can tell again, and fetches
it within the limits of each; of marketcap it asks everybody again, and what they said stays until they answer. What
nobody can tell again is kept: bars that were published here, or that lie beyond what their source still tells; what
each exchange said by the minute; ranks by day, and changes of holders. With `--own-history` the domains that are named
lose that as well. With OUTSIDE=off nothing is dropped.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable
from typing import Final

from shared import anew, redis, settings
from shared.domains import DOMAINS, MARKET, MARKETCAP, TIMELINE, TREASURIES, Domain
from shared.errors import ConfigError, RedisUnavailable
from shared.events.backfill import HistoryReset
from shared.events.base import entry_fields
from shared.keys import Keys

REDIS_SECONDS: Final = 5.0

KNOWN: Final = {domain.name: domain for domain in DOMAINS if domain not in (TIMELINE, TREASURIES)}
"""What happened to transactions nobody can tell again; what lies at published addresses is asked anew all the time."""
OUTSIDE: Final = frozenset({MARKET.name, MARKETCAP.name})
"""Domains that rest on sources outside, not on the node alone."""

USUAL: Final = [name for name, domain in KNOWN.items() if name not in OUTSIDE and domain.inbox is None]


async def request(url: str, keys: Keys, wanted: Iterable[Domain], *, forget: bool = False) -> None:
    """Leave the request for each domain; `forget` the history of their own of those that ask outside."""
    client = redis.connect(url)
    try:
        await redis.wait_until_up(client, url, REDIS_SECONDS)
        for domain in wanted:
            if domain.inbox is not None:
                fields = list(entry_fields(HistoryReset(cause=anew.AGAIN), 0))
                await client.xadd(keys.stream(domain.inbox), dict(zip(fields[::2], fields[1::2], strict=True)))
            cause = anew.FORGET if forget and domain.name in OUTSIDE else anew.AGAIN
            await client.set(keys.resync(domain.reads or domain.announces), cause)
    finally:
        await client.aclose()


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m shared.rebuild", description=(__doc__ or "").partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("domains", nargs="*", help=f"{', '.join(KNOWN)}; {' and '.join(USUAL)} if none is named")
    parser.add_argument("--own-history", action="store_true", help="drop what nobody can tell again, too")
    read = parser.parse_args(arguments)
    wanted: list[str] = read.domains or USUAL
    if unknown := set(wanted) - KNOWN.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; expected some of {', '.join(KNOWN)}")
    asking = [name for name in wanted if name in OUTSIDE]
    if read.own_history and asking != wanted:
        parser.error(f"--own-history: expected nothing but {' and '.join(sorted(OUTSIDE))} named")
    try:
        config = settings.load()
        if asking and not config.outside:
            sys.stderr.write(f"rebuild: {', '.join(asking)}: {anew.OFF}\n")
            return 1
        domains = [KNOWN[name] for name in wanted]
        asyncio.run(request(config.require_redis(), Keys(config.network), domains, forget=read.own_history))
    except (ConfigError, RedisUnavailable) as error:
        sys.stderr.write(f"rebuild: {error}\n")
        return 1
    sys.stdout.write(f"asked for: {', '.join(wanted)}; it begins within seconds\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
