"""Judges a snapshot, in words for a person: what is wrong, why a card is empty, whether web is ready. Pure."""

from __future__ import annotations

from typing import Final

from shared.views import Health
from web.snapshot import Absence, Notice, Snapshot, is_down

PRODUCERS: Final = ("chain-ingest", "chain-metrics", "mempool")
"""The services without which there is nothing to show, in the order in which trouble spreads."""

HISTORIAN: Final = "chain-history"
"""The service without which there are no charts of the chain."""

_WORK: Final = {
    "chain-ingest": "reads the node",
    "chain-metrics": "works out the chain's figures",
    "mempool": "works out the mempool's figures",
    "chain-history": "keeps the chain's history",
}

_SELF_HEALING: Final = "It is tried again by itself; this page fills in as soon as it works."


def notices(snapshot: Snapshot, now: float) -> tuple[Notice, ...]:
    """What goes on top of every page. Nothing in it changes with the clock alone, so that it can be compared."""
    if snapshot.redis_error:
        text = snapshot.redis_error + ". "
        text += "The figures below are the last ones known." if not snapshot.empty else "There is nothing to show yet."
        return (Notice("failed", "Redis does not answer", text, snapshot.redis_lost_at),)
    if not snapshot.read_at:
        return ()
    found = []
    for name in (*PRODUCERS, HISTORIAN):
        health = snapshot.active(name)
        if health is None and name == HISTORIAN:
            continue  # an installation may do without; the charts say so themselves
        if health is None:
            text = f"The service that {_WORK[name]} has not reported."
            found.append(Notice("failed", f"{name} is not running", text))
        elif is_down(health, now):
            text = f"The service that {_WORK[name]} has stopped reporting. Its figures are the last ones known."
            found.append(Notice("failed", f"{name} is down", text, health.time_ms / 1000))
        elif health.state == "degraded":
            found.append(Notice("warning", f"{name} is degraded", _sentence(health.reason)))
    found.extend(Notice("failed", "A view cannot be read", _sentence(error)) for error in snapshot.unreadable)
    return tuple(found)


def chain_absence(snapshot: Snapshot, now: float) -> Absence:
    """Why there are no figures of the chain."""
    return _absence(snapshot, now, ("chain-ingest", "chain-metrics"), "No block has been published yet")


def mempool_absence(snapshot: Snapshot, now: float) -> Absence:
    """Why there are no figures of the mempool."""
    return _absence(snapshot, now, ("chain-ingest", "mempool"), "The mempool has not been read yet")


def history_absence(snapshot: Snapshot, now: float) -> Absence:
    """Why there are no series of the chain."""
    return _absence(snapshot, now, ("chain-ingest", HISTORIAN), "No block has been put into the history yet")


def _absence(snapshot: Snapshot, now: float, services: tuple[str, ...], waiting: str) -> Absence:
    if snapshot.redis_error:
        return Absence("failed", "Redis does not answer", _sentence(snapshot.redis_error), _SELF_HEALING)
    if not snapshot.read_at:
        return Absence("empty", "Starting", "The state has not been read from Redis yet.", "This takes a second.")
    for name in services:
        health = snapshot.active(name)
        if health is None or is_down(health, now):
            why = f"{name}, which {_WORK[name]}, is not running."
            return Absence("failed", "Not available", why, "The figures appear as soon as it is started.")
        if health.state == "degraded":
            return Absence("failed", "Not available", _sentence(health.reason), _SELF_HEALING)
    for name in services:
        health = snapshot.active(name)
        if health is not None and health.state == "starting":
            why = f"{name} is starting{_progress(health)}."
            return Absence("empty", "Not yet available", why, "The figures appear as soon as it is done.")
    source = snapshot.active(services[0])
    progress = _progress(source) if source else ""
    return Absence(
        "empty",
        "Not yet available",
        f"{waiting}{progress}. While the node catches up with the network, its mempool stays out.",
        "The figures appear with the first event.",
    )


def _progress(health: Health) -> str:
    progress = health.details.get("progress")
    return f" ({progress})" if progress not in (None, "") else ""


def _sentence(text: str) -> str:
    text = text.strip() or "It gives no reason"
    return text if text.endswith((".", "!", "?")) else f"{text}."


PRICE_UNSET: Final = Absence(
    "unset",
    "Not available",
    "No price source is configured yet.",
    "It appears here once the market service runs.",
)
"""The price card until the market service exists."""


def unready(snapshot: Snapshot, now: float) -> list[str]:
    """Why web is not ready to serve; empty where it is: Redis answers, both folds' state is there and kept fresh."""
    reasons = []
    if snapshot.redis_error:
        reasons.append(f"redis: {snapshot.redis_error}")
    elif not snapshot.read_at:
        reasons.append("redis: not read yet")
    if snapshot.tip is None:
        reasons.append("chain: no state")
    if snapshot.mempool is None:
        reasons.append("mempool: no state")
    for name in ("chain-metrics", "mempool"):
        health = snapshot.active(name)
        if health is None:
            reasons.append(f"{name}: no heartbeat")
        elif is_down(health, now):
            reasons.append(f"{name}: last heartbeat {int(now - health.time_ms / 1000)} s ago")
    return reasons
