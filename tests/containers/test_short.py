"""The short form: two images built, run closed beside a Redis that knows its users, looked after, and stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import access
from support.engine import ROOT, Engine, until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

CLOSED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true")  # noqa: S108 - inside
NETWORK = f"dashboard-short-{os.getpid()}"
PASSED = ("BITCOIN_NETWORK=regtest", "REDIS_URL_FILE=/run/secrets/redis", "WEB_HOST=0.0.0.0")


@pytest.fixture(scope="module")
def network(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Redis in a network of its own; the folder holds what is secret."""
    secrets = tmp_path_factory.mktemp("short") / "secrets"
    access.make(secrets, "regtest", "redis:6379")
    engine.docker("network", "create", NETWORK)
    try:
        engine.docker(
            *("run", "--detach", "--name", f"{NETWORK}-redis", "--network", NETWORK, "--network-alias", "redis"),
            *("--volume", f"{ROOT / 'deploy/redis/redis.conf'}:/etc/redis.conf:ro", *CLOSED, "--user", "999:999"),
            *("--volume", f"{secrets / 'users.acl'}:/run/secrets/users.acl:ro", "--volume", "/data"),
            *(engine.env["REDIS_IMAGE"], engine.env["REDIS_SERVER"], "/etc/redis.conf"),
        )
        yield secrets
    finally:
        for name in ("redis", "mempool", "web"):
            engine.docker("rm", "--force", "--volumes", f"{NETWORK}-{name}", check=False)
        engine.docker("network", "rm", NETWORK, check=False)


@pytest.mark.parametrize("service", ["mempool", "web"])
def test_an_image_runs_closed_tells_how_it_is_and_stops(engine: Engine, network: Path, service: str) -> None:
    print(f"\n{engine.run('deploy/images', service, limit=600)}")
    name = f"{NETWORK}-{service}"
    began = time.monotonic()
    engine.docker(
        *("run", "--detach", "--name", name, "--network", NETWORK, *CLOSED),
        *("--volume", f"{network / f'redis-{service}'}:/run/secrets/redis:ro"),
        *(part for variable in PASSED for part in ("--env", variable)),
        f"bitcoin-dashboard/{service}",
    )

    def alive() -> bool:
        return engine.docker("exec", name, "python", "-m", "shared.alive", check=False) == "alive"

    until(alive, 30, f"{service} is alive")
    print(f"{service}: alive {time.monotonic() - began:.1f} s after its start")
    until(lambda: engine.about(name)["State"]["Health"]["Status"] == "healthy", 30, f"{service} is healthy")
    engine.docker("stop", f"{NETWORK}-redis")
    assert alive(), f"{service} waits for Redis, and is alive"
    engine.docker("kill", "--signal", "STOP", name)

    def ill() -> bool:
        return "has not turned" in engine.docker("exec", name, "python", "-m", "shared.alive", "1", check=False)

    until(ill, 20, f"{service} is frozen, and that is said")
    engine.docker("kill", "--signal", "CONT", name)
    engine.docker("start", f"{NETWORK}-redis")
    until(alive, 30, f"{service} is alive again")
    began = time.monotonic()
    engine.docker("stop", "--time", "30", name)
    assert engine.about(name)["State"]["ExitCode"] == 0
    assert time.monotonic() - began < 10
    print(f"{service}: stopped in {time.monotonic() - began:.1f} s")
