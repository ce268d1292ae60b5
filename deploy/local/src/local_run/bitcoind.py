"""Where a bitcoind is, or where one comes from."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

from local_run import debian
from local_run.cache import cache_folder
from local_run.errors import SetupError

# Debian's build of Bitcoin Knots, made from Bitcoin Core 29 with all of its RPC, REST and ZMQ; it is in
# Debian's unstable suite only. Packages of Bitcoin Core itself exist in none that is released.
_PACKAGE, _SUITE = "bitcoin-knots", "sid"


def installed_bitcoind() -> Path | None:
    """The one that the variable BITCOIND names, else the one on the PATH.

    Raises SetupError when BITCOIND names no program.
    """
    named = os.environ.get("BITCOIND")
    if named:
        found = shutil.which(named)
        if found is None:
            raise SetupError(f"BITCOIND is {named}; expected a program that can be run")
        return Path(found)
    found = shutil.which("bitcoind")
    return Path(found) if found else None


async def find_bitcoind() -> Path:
    """A bitcoind to run: BITCOIND, the PATH, or unpacked from Debian's packages (10 s, the first time).

    Raises SetupError when there is none and none can be had.
    """
    found = installed_bitcoind()
    if found is not None:
        return found
    try:
        unpacked = await debian.unpack(
            [_PACKAGE],
            ["usr/bin/bitcoind", "usr/bin/bitcoin-cli"],
            _SUITE,
            cache_folder() / _PACKAGE,
        )
    except SetupError as error:
        raise SetupError(f"no bitcoind on the PATH, none named by BITCOIND, and none unpacked: {error}") from error
    return unpacked["bitcoind"]


async def find_redis_8() -> Path:
    """A redis-server of Debian's unstable suite (Redis 8), unpacked on the first call; for tests.

    Raises SetupError when none can be had.
    """
    # /usr/bin/redis-server is a link to a program that the package redis-tools holds.
    unpacked = await debian.unpack(
        ["redis-server", "redis-tools"], ["usr/bin/redis-server"], "sid", cache_folder() / "redis-8"
    )
    return unpacked["redis-server"]


if __name__ == "__main__":  # for an image, which brings its own
    sys.stdout.write(f"{asyncio.run(find_bitcoind())}\n")
