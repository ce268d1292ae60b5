from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from shared.domains import CHAIN, MEMPOOL
from shared.networks import NETWORKS
from support import web_samples
from web.state import conditions
from web.state.snapshot import Snapshot

NOW = time.time()  # for the whole module, whenever its tests run
health = partial(web_samples.health, now=NOW)
WELL = tuple(health(service.name) for service in conditions.PRODUCERS)
EMPTY = Snapshot(NETWORKS["main"], read_at=NOW, services=WELL, truth=web_samples.truths(NOW))


def full(**changes: Any) -> Snapshot:
    views = web_samples.known(web_samples.chain(now=NOW), web_samples.mempool(now=NOW))
    return replace(EMPTY, views=views, **changes)


def test_nothing_is_wrong_when_all_is_well() -> None:
    assert conditions.notices(full(), NOW) == ()
    assert conditions.unready(full(), NOW) == []


def test_the_reason_of_a_degraded_service_stands_in_the_card() -> None:
    reason = "the node refuses user and password"
    services = (health("chain-ingest", "degraded", reason=reason), *WELL[1:])
    snapshot = replace(EMPTY, services=services)
    for domain in (CHAIN, MEMPOOL):
        absence = conditions.absence(snapshot, NOW, domain)
        assert absence.why == f"{reason}."
        assert absence.kind == "failed"
    [notice] = conditions.notices(snapshot, NOW)
    assert notice.title == "chain-ingest is degraded"
    assert reason in notice.text


@pytest.mark.parametrize("service", [service.name for service in conditions.PRODUCERS])
def test_a_service_that_is_gone_is_named(service: str) -> None:
    others = tuple(report for report in WELL if report.service != service)
    [notice] = conditions.notices(replace(EMPTY, services=others), NOW)
    assert notice.title == f"{service} is not running"
    gone = health(service, age=600)
    [notice] = conditions.notices(replace(EMPTY, services=(*others, gone)), NOW)
    assert notice.title == f"{service} is down"
    assert notice.since == gone.time_ms / 1000


def test_a_standby_does_not_hide_the_active_replica() -> None:
    active = health("mempool", "degraded", reason="behind", age=1)
    standby = health("mempool", "standby")
    snapshot = replace(EMPTY, services=(*WELL[:2], standby, active))
    assert snapshot.active("mempool") is active
    [notice] = conditions.notices(snapshot, NOW)
    assert notice.title == "mempool is degraded"


def test_a_lost_redis_comes_first_and_keeps_the_last_figures() -> None:
    lost = full(redis_error="Redis does not answer: connection refused", redis_lost_at=NOW - 5, services=())
    [notice] = conditions.notices(lost, NOW)
    assert notice.title == "Trouble with Redis"
    assert notice.text.startswith("Redis does not answer: connection refused. ")
    assert "last ones known" in notice.text
    assert conditions.unready(lost, NOW)[0] == "Redis does not answer: connection refused"
    nothing = replace(EMPTY, redis_error="Redis does not answer: connection refused")
    assert "nothing to show yet" in conditions.notices(nothing, NOW)[0].text


def test_waiting_for_the_first_event_is_no_failure() -> None:
    absence = conditions.absence(EMPTY, NOW, CHAIN)
    assert absence.kind == "empty"
    starting = replace(EMPTY, services=(health("chain-ingest", "starting", progress="41 %"), *WELL[1:]))
    assert "starting (41 %)" in conditions.absence(starting, NOW, CHAIN).why


def test_a_stale_fold_makes_web_unready() -> None:
    stale = full(services=(*WELL[:2], health("mempool", age=600)))
    [reason] = conditions.unready(stale, NOW)
    assert reason.startswith("mempool: last heartbeat ")
    assert conditions.unready(full(services=WELL[:2]), NOW) == ["mempool: no heartbeat"]
    without = replace(EMPTY, views=web_samples.known(web_samples.chain(now=NOW)))
    assert any(why.startswith("mempool: no state; ") for why in conditions.unready(without, NOW))
