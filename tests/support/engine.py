"""A real container engine, set up by deploy/engine, and the dashboard of deploy/compose.yaml on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import redis

from local_run.ports import pick
from shared.keys import Keys
from shared.views import Health

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]

FOLDER = "ENGINE_FOLDER"
"""Variable: where an engine of deploy/engine runs already, which is then left as it is."""


def until(what: Callable[[], T], limit: float, message: str) -> T:
    """The first true value; fails with the message and the last value seen after `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit:g} s: {message}; last seen: {value!r}")
        time.sleep(0.1)


class Engine:
    """What it takes to call it."""

    def __init__(self, variables: dict[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in ("ENV_DIR", "REDIS_URL")}
        self.env = {**kept, **variables}

    def run(
        self, *command: str | Path, limit: float = 900, check: bool = True, env: Mapping[str, str] | None = None
    ) -> str:
        """What the command printed on stdout; its words of failure are the assertion's."""
        done = subprocess.run(
            [str(part) for part in command], env={**self.env, **(env or {})}, cwd=ROOT, capture_output=True, text=True,
            timeout=limit, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(
                f"{command} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            )
        return done.stdout

    def docker(self, *arguments: str, check: bool = True) -> str:
        return self.run(self.env["DOCKER"], *arguments, check=check).strip()

    def about(self, what: str) -> dict[str, Any]:
        """What the engine knows of a container or an image."""
        [found] = json.loads(self.docker("inspect", what))
        assert isinstance(found, dict)
        return found


@contextmanager
def engine() -> Iterator[Engine]:
    """One that runs until the end; the test is skipped, with the reason, where none can be set up."""
    given = os.environ.get(FOLDER)
    folder = Path(given or tempfile.mkdtemp(prefix="dashboard-engine."))
    try:
        began = time.monotonic()
        done = subprocess.run(
            [ROOT / "deploy" / "engine", "up", folder], capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode:
            pytest.skip(f"no container engine: {(done.stderr.strip().splitlines() or ['it says nothing'])[-1]}")
        print(f"\nengine, base and parts: {time.monotonic() - began:.1f} s")
        # What is not said here has its default, whatever the tester's own shell says.
        yield Engine(dict(line.split("=", 1) for line in done.stdout.splitlines()))
    finally:
        if not given:
            subprocess.run([ROOT / "deploy" / "engine", "down", folder], timeout=120, check=False)
            shutil.rmtree(folder, ignore_errors=True)


class Dashboard:
    """One project of deploy/compose.yaml."""

    def __init__(self, engine: Engine, folder: Path, name: str) -> None:
        self.engine = engine
        self.secrets = folder / "secrets"
        self.web_port, self.operators_port, self.redis_port = pick(3)
        self.env = {
            "PROJECT": name,
            "SECRETS": str(self.secrets),
            "WEB_PORT": str(self.web_port),
            "OPERATORS_PORT": str(self.operators_port),
            "REDIS_PORT": str(self.redis_port),
            "FRONT": "172.30.251.0/24",
            "ENV_DIR": str(folder / "no-env"),
            "OUTSIDE": "off",
            "BACKFILL_LOAD": "100",
        }
        self.keys = Keys("regtest")
        self._redis: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def redis(self) -> Any:
        """The operator's client, whose stubs allow for every mode that it may be in."""
        if self._redis is None:
            address = (self.secrets / "redis-operator").read_text().strip()
            self._redis = redis.Redis.from_url(address.replace("redis:6379", f"127.0.0.1:{self.redis_port}"))
        return self._redis

    def up(self, scale: str, **env: str) -> str:
        return self.engine.run("deploy/up", env={**self.env, "SCALE": scale, **env})

    def compose(self, *arguments: str, **env: str) -> str:
        """Any command of compose on this project."""
        return self.engine.run("deploy/up", *arguments, env={**self.env, **env})

    def down(self) -> None:
        self.engine.run("deploy/up", "down", "--volumes", "--timeout", "15", check=False, env=self.env)

    def containers(self, service: str) -> list[str]:
        """Ids of those of a service that run, twelve digits each, as they are their hosts' names."""
        return [one[:12] for one in self.compose("ps", "--quiet", service).split()]

    def heartbeats(self, service: str) -> dict[str, Health]:
        """By container, of those that beat in the last five seconds."""
        seconds, _ = self.redis.time()
        found = [msgspec.json.decode(raw, type=Health) for raw in self.redis.hgetall(self.keys.health).values()]
        return {
            one.instance.partition("@")[2]: one
            for one in found
            if one.service == service and seconds * 1_000 - one.time_ms < 5_000
        }

    def states(self, service: str) -> list[str]:
        return sorted(one.state for one in self.heartbeats(service).values())

    def crash(self, container: str) -> None:
        """kill -9 from outside: to the engine it ended by itself, so that it starts it again."""
        os.kill(int(self.engine.about(container)["State"]["Pid"]), 9)

    def newest(self, stream: str) -> str:
        """Id of a stream's last entry."""
        [(entry_id, _)] = self.redis.xrevrange(stream, count=1)
        return str(entry_id.decode())

    def between(self, stream: str, first: str, last: str) -> list[str]:
        """Ids of a stream's entries from one to another."""
        return [entry_id.decode() for entry_id, _ in self.redis.xrange(stream, first, last)]

    def entries(self, stream: str) -> list[tuple[str, int, str, dict[str, Any]]]:
        """Every entry of a stream: id, sequence, type, data."""
        return [
            (entry_id.decode(), int(fields[b"seq"]), fields[b"type"].decode(), msgspec.json.decode(fields[b"data"]))
            for entry_id, fields in self.redis.xrange(stream)
        ]
