"""What every service is: settings, logs, signals, a heartbeat, Prometheus, one `run` and an exit code."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any, Final, Literal

import msgspec
import prometheus_client
import structlog
import uvloop

from shared import alive, clock, domains, logging, metrics, redis, settings
from shared.bus import Announcer
from shared.errors import ConfigError, DashboardError
from shared.events.ops import OpsEvent, ServiceDegraded, ServiceRecovered, ServiceStarted
from shared.keys import HEALTH_FORGET_MS, Keys
from shared.logging import Trouble
from shared.tasks import end
from shared.views import Health

HEARTBEAT_SECONDS: Final = 2.0
SURVEY_SECONDS: Final = 60.0
"""Between two looks at how Redis is set up."""

STOP_SECONDS: Final = 8.0
"""How long a service may take to finish its batch and close after a signal."""

GOODBYE_SECONDS: Final = 1.0
"""How long it then tries to take its heartbeat back."""

State = Literal["starting", "ok", "degraded", "standby"]
Detail = str | int | float | None

_UP = prometheus_client.Gauge("dashboard_service_ok", "1 while the service works as it should", ["service"])


class HealthReport:
    """What the heartbeat says; a change of state is announced on the operators' stream."""

    def __init__(self) -> None:
        self.state: State = "starting"
        self.reason = ""
        self.details: dict[str, Detail] = {}
        self.changed = asyncio.Event()

    def _set(self, state: State, reason: str, details: dict[str, Detail]) -> None:
        self.details.update(details)
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason = state, reason
            self.changed.set()

    def ok(self, **details: Detail) -> None:
        """Everything works."""
        self._set("ok", "", details)

    def degraded(self, reason: str, **details: Detail) -> None:
        """The service runs, but a part that it needs does not; `reason` is for a person to read."""
        self._set("degraded", reason, details)

    def standby(self, **details: Detail) -> None:
        """Another replica is active."""
        self._set("standby", "another replica is active", details)

    def note(self, **details: Detail) -> None:
        """Change details only."""
        self.details.update(details)


class Service:
    """One running service: what its `run` is given."""

    def __init__(self, name: str, config: settings.Settings) -> None:
        self.name = name
        self.settings = config
        self.redis_url = config.require_redis()
        self.instance = config.instance or f"{name}@{socket.gethostname()}"
        self.version = version("bitcoin-dashboard-shared")
        self.keys = Keys(config.network)
        self.redis: redis.Client = redis.connect(self.redis_url)
        self.log: Any = structlog.get_logger().bind(service=name)
        self.stopping = asyncio.Event()
        self.health = HealthReport()
        self.pulse = alive.Pulse(config.alive_file)
        self.clock = clock.RedisClock()
        self.announcer = Announcer(self.redis, self.keys.stream(domains.OPS), name, self.instance, self.clock)
        self._started = clock.now().steady_ms

    def blocking_redis(self) -> redis.Client:
        """A new client for one blocking reader; the caller closes it."""
        return redis.connect_blocking(self.redis_url)

    async def say(self, kind: type[OpsEvent], detail: str) -> None:
        """Log and announce an operational event."""
        self.log.info(kind.TYPE.replace(".", "_"), detail=detail)
        await self.announcer.say(kind, detail)

    def beat(self) -> Health:
        """The heartbeat as it would be written now; its times are by Redis' clock, for whoever compares them."""
        now_ms = self.clock.now_ms
        return Health(
            service=self.name,
            instance=self.instance,
            state=self.health.state,
            reason=self.health.reason,
            version=self.version,
            pid=os.getpid(),
            started_ms=now_ms - (clock.now().steady_ms - self._started),
            time_ms=now_ms,
            rss=resident_bytes(),
            details=self.health.details,
        )

    async def heartbeat(self) -> None:
        """Write the heartbeat every HEARTBEAT_SECONDS and at each change, until cancelled.

        Raises ConfigError where Redis is too old.
        """
        heart = _Heart(self)
        while True:
            self.health.changed.clear()
            _UP.labels(self.name).set(self.health.state in {"ok", "standby"})
            await heart.beat()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.health.changed.wait(), HEARTBEAT_SECONDS)
                await asyncio.sleep(0.1)  # a flapping state must not become a busy loop

    async def close(self) -> None:
        """Say goodbye and close the connection."""
        with contextlib.suppress(*redis.TROUBLE):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self.redis.hdel(self.keys.health, self.instance)
        await self.redis.aclose()


class _Heart:
    """What goes with a heartbeat: the clocks, how Redis is set up, and what is announced."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._trouble = Trouble(service.log, "heartbeat")
        self._clock_trouble = Trouble(service.log, "clock")
        self._eviction_trouble = Trouble(service.log, "redis_setup")
        self._said: State = "starting"
        self._started = False
        self._surveyed_at = float("-inf")

    async def beat(self) -> None:
        """One beat; what Redis refuses is named and tried again at the next."""
        service = self._service
        try:
            await service.clock.ask(service.redis, service.keys.stream(domains.OPS))
            self._compare_clocks()
            await self._survey()
            await service.redis.hset(service.keys.health, service.instance, msgspec.json.encode(service.beat()))
            await self._announce()
        except redis.TROUBLE as error:
            self._trouble.failed(redis.words(error, service.redis_url))
        else:
            self._trouble.ended()

    def _compare_clocks(self) -> None:
        """A wall clock that is wrong misleads whoever reads our logs, and may be the node's as well: it is named."""
        skew_ms = self._service.clock.skew_ms
        if abs(skew_ms) <= clock.SKEW_MS:
            self._clock_trouble.ended()
            self._service.health.note(clock_skew_ms=skew_ms)
            self._service.health.details.pop("clock", None)
            return
        side = "ahead of" if skew_ms > 0 else "behind"
        said = f"this machine's clock is {abs(skew_ms) // 1000} s {side} that of Redis: one of the two is wrong"
        self._clock_trouble.failed(said)
        self._service.health.note(clock_skew_ms=skew_ms, clock=said)

    async def _survey(self) -> None:
        if time.monotonic() - self._surveyed_at < SURVEY_SECONDS:
            return
        service = self._service
        if not self._started:
            await redis.check_version(service.redis, service.redis_url)
        said = await redis.eviction(service.redis)
        self._surveyed_at = time.monotonic()
        if said:
            self._eviction_trouble.failed(said)
            service.health.note(eviction=said)
        else:
            self._eviction_trouble.ended()
            service.health.details.pop("eviction", None)

    async def _announce(self) -> None:
        service, health = self._service, self._service.health
        if not self._started:
            await self._forget_old()
            self._started = await service.announcer.say(ServiceStarted, f"version {service.version}")
        if health.state == "degraded" and self._said != "degraded":
            await service.say(ServiceDegraded, health.reason)
        elif self._said == "degraded" and health.state != "degraded":
            await service.say(ServiceRecovered, health.state)
        self._said = health.state

    async def _forget_old(self) -> None:
        """Drop heartbeats of instances that are long gone, so that the status page does not fill with ghosts."""
        service = self._service
        limit = service.clock.now_ms - HEALTH_FORGET_MS
        for field, raw in (await service.redis.hgetall(service.keys.health)).items():
            try:
                old = msgspec.json.decode(raw, type=Health).time_ms < limit
            except (msgspec.ValidationError, msgspec.DecodeError):
                old = True
            if old:
                await service.redis.hdel(service.keys.health, field)


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:  # not Linux: the peak is the best that there is, in kibibytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


Run = Callable[[Service], Awaitable[None]]


def main(name: str, run: Run) -> int:
    """Run a service until it is told to stop; returns its exit code (0 stopped, 1 failed, 2 misconfigured)."""
    try:
        config = settings.load()
        logging.configure(config.log_level, config.log_format)
        if config.metrics_port is not None:
            metrics.serve(config.admin_host, config.metrics_port, config.allowed_hosts)
        uvloop.run(_serve(name, config, run))
    except ConfigError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 2
    except (DashboardError, ExceptionGroup) as error:
        structlog.get_logger().error("service_failed", service=name, error=logging.chain(error), exc_info=True)
        return 1
    return 0


async def _serve(name: str, config: settings.Settings, run: Run) -> None:
    service = Service(name, config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, service.stopping.set)
    service.log.info("service_starting", version=service.version, network=config.network, instance=service.instance)
    gc.freeze()  # what is loaded by now stays: full collections, some 30 ms each for all of it, leave it out
    pulse = asyncio.create_task(service.pulse.beat(), name="pulse")
    beating = asyncio.create_task(service.heartbeat(), name="heartbeat")
    working = asyncio.ensure_future(run(service))
    stopping = asyncio.create_task(service.stopping.wait(), name="stopping")
    try:
        await asyncio.wait({beating, working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        told = service.stopping.is_set()
        service.stopping.set()
        if beating.done():
            beating.result()
        done, _ = await asyncio.wait({working}, timeout=STOP_SECONDS)
        if not done:
            raise DashboardError(f"{name} did not stop within {STOP_SECONDS:g} s")
        if working.cancelled() or not (told or working.exception()):
            raise DashboardError(f"{name} ended although nobody told it to")
        working.result()
    finally:
        await end(beating, working, stopping)
        await service.close()
        await end(pulse)
        service.log.info("service_stopped")
