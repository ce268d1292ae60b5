"""`python -m local_run.apart`: the demonstration's node, Electrum server and generator alone, for services elsewhere.

In a container of its own: NODE_PASSWORD_FILE holds the password of the user `dashboard`, DEMO_DIR what is kept,
DEMO_SHOWN_FILE where the public descriptors of the wallet that pays are told. It listens on every address, at the ports
below, and beats (shared.alive) once there is a chain and while the node answers.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Final

from local_run.demonstration import BANNER, Demonstration
from local_run.electrumx import Credentials
from local_run.errors import ServerFailed, SetupError
from local_run.server import Server
from shared import alive
from shared.errors import DashboardError

RPC_PORT: Final = 18443
ZMQ_PORT: Final = 28332
ELECTRUM_PORT: Final = 50003

USER: Final = "dashboard"

_EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - a container's own network, which its engine closes
_LONGEST_DELAY: Final = 30.0


async def main() -> int:
    """Run until SIGINT or SIGTERM (0); 1 when the set-up failed, with the reason on stderr."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    working = asyncio.create_task(_run(), name="run")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    working.cancel()
    try:
        await working
    except asyncio.CancelledError:
        return 0
    except (DashboardError, OSError) as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    return 0


def _said(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise SetupError(f"{name} is not set: expected a path")
    return value


def _made() -> Demonstration:
    password = Path(_said("NODE_PASSWORD_FILE")).read_text(encoding="ascii").strip()
    return Demonstration(
        Path(_said("DEMO_DIR")),
        rpc_port=RPC_PORT,
        zmq_port=ZMQ_PORT,
        electrum_port=ELECTRUM_PORT,
        say=_say,
        listen=_EVERYWHERE,
        others=[Credentials(USER, password)],
        shown=Path(_said("DEMO_SHOWN_FILE")),
    )


async def _run() -> None:
    demonstration = _made()
    _say(BANNER)
    servers: list[Server] = [demonstration.node]
    try:
        await demonstration.start()
        without = await demonstration.start_electrumx()
        if without:
            _say(f"without an Electrum server: {without}")
        else:
            servers.append(demonstration.electrumx)
        async with asyncio.TaskGroup() as group:
            for server in servers:
                group.create_task(_keep(server), name=server.title)
            group.create_task(demonstration.generator().run(), name="generator")
            group.create_task(alive.Pulse(os.environ.get(alive.VARIABLE, "")).beat(), name="pulse")
    finally:
        await demonstration.electrumx.stop()
        await demonstration.node.stop()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _keep(server: Server) -> None:
    """Start a server of ours again when it ends."""
    delay = 0.5
    while True:
        code = await server.wait()
        while not server.running:
            _say(f"{server.title} ended with code {code}; starting it again in {delay:g} s")
            await asyncio.sleep(delay)
            try:
                await server.start()
                delay = 0.5
            except ServerFailed as error:
                _say(str(error))
                delay = min(2 * delay, _LONGEST_DELAY)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
