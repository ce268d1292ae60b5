"""Two replicas of a service as processes of their own, killed by whoever tests; and what a loopback server counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from local_run import child
from shared import redis
from shared.outside.provider import Provider
from support.processes import Process
from support.stack import until


class Replicas:
    """Two of one module, under names of their own."""

    def __init__(self, module: str, folder: Path, **env: str) -> None:
        self.all = [
            Process(module, folder / f"{module}-{name}.log", {**env, "INSTANCE": f"{module}-{name}"})
            for name in ("one", "other")
        ]

    async def __aenter__(self) -> Replicas:
        for one in self.all:
            await one.start()
        return self

    async def __aexit__(self, *about: object) -> None:
        for one in self.all:
            if one.process is not None:
                await child.kill(one.process)

    async def holder(self, client: redis.Client, lease: str) -> Process | None:
        """Who has this lease, of those that run."""
        held: bytes | None = await client.get(lease)
        pid = held.decode().split(" ")[1] if held else ""
        return next((one for one in self.all if one.process is not None and str(one.process.pid) == pid), None)

    async def active(self, client: redis.Client, lease: str, limit: float = 15) -> Process:
        """The same, waited for."""
        found = await until(lambda: self.holder(client, lease), limit, f"one of them has {lease}")
        assert found is not None
        return found


async def killed(one: Process) -> None:
    """kill -9."""
    assert one.process is not None
    await child.kill(one.process)


JITTER = 0.1
"""Seconds by which the ways of two requests to the server may differ: limits are kept where they are sent."""


def exceeded(asked: Mapping[str, Sequence[tuple[float, str]]], provider: Provider) -> list[str]:
    """Where a server, which noted when it was asked what, counted more than a limit allows."""
    times = sorted(at for at, _ in asked.get(provider.name, ()))
    return [
        f"{provider.name}: {limit.requests + 1} requests in {later - sooner:.3f} s, allowed are {limit}"
        for limit in provider.limits
        for sooner, later in zip(times, times[limit.requests :], strict=False)
        if later - sooner < limit.seconds - JITTER
    ]
