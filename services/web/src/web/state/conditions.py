"""Judges a snapshot, in words for a person: what is wrong, why a card is empty, whether web is ready. Pure."""

from __future__ import annotations

from typing import Any, Final

from shared.views import Health
from web.state.snapshot import Absence, Notice, Snapshot, is_down
from web.state.truth import DOMAINS, FORSAKEN, STALE, Domain

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

_NAMES: Final[dict[Domain, str]] = {"chain": "the chain", "mempool": "the mempool"}

TOLD: Final = 5
"""Things that cannot be read that are told one by one at most."""

_SELF_HEALING: Final = "It is tried again by itself; this page fills in as soon as it works."


def notices(snapshot: Snapshot, now: float) -> tuple[Notice, ...]:
    """What goes on top of every page. Nothing in it changes with the clock alone, so that it can be compared."""
    if snapshot.redis_error:
        text = snapshot.redis_error + ". "
        text += "The figures below are the last ones known." if not snapshot.empty else "There is nothing to show yet."
        return (Notice("failed", "Trouble with Redis", text, snapshot.redis_lost_at),)
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
    found.extend(_aged(snapshot, now))
    incomplete = snapshot.truth["mempool"].incomplete
    if incomplete:
        found.append(Notice("warning", "The mempool is not known", _sentence(incomplete)))
    policy = snapshot.redis.eviction if snapshot.redis else ""
    if policy not in ("", "noeviction"):
        text = f"Its eviction policy is {policy}: when memory runs short it drops keys that nobody can make again. "
        found.append(Notice("warning", "Redis may lose what it holds", text + "Set maxmemory-policy to noeviction."))
    unreadable = snapshot.unreadable
    many = len(unreadable) > TOLD + 1
    found.extend(
        Notice("failed", "Something in Redis cannot be read", _sentence(error))
        for error in unreadable[: TOLD if many else None]
    )
    if many:
        text = f"{len(unreadable) - TOLD} more keys or fields. The log names them all."
        found.append(Notice("failed", "More in Redis cannot be read", text))
    return tuple(found)


def aged(snapshot: Snapshot, now: float) -> tuple[Domain, ...]:
    """Domains whose figures are there, but older than expected."""
    return tuple(domain for domain in snapshot.shown if snapshot.truth[domain].stale(now))


def _aged(snapshot: Snapshot, now: float) -> list[Notice]:
    domains = aged(snapshot, now)
    if not domains:
        return []
    moments = [snapshot.truth[domain].true_ms for domain in domains]
    known = [moment for moment in moments if moment is not None]
    names = " and ".join(_NAMES[domain] for domain in domains)
    title = f"{names[:1].upper()}{names[1:]} may be out of date"
    if len(known) < len(moments):
        text = "It is not known when the figures below were last what the node has: "
        return [Notice("failed", title, text + _sentence(trouble_of_node(snapshot, now)), of_age=True)]
    text = "The figures below are the last ones that the node confirmed: "
    text += _sentence(trouble_of_node(snapshot, now))
    return [Notice("failed", title, text, min(known) / 1000, of_age=True)]


def trouble_of_node(snapshot: Snapshot, now: float) -> str:
    """Why nobody confirms what is shown, as far as chain-ingest tells."""
    health = snapshot.active("chain-ingest")
    if snapshot.redis_error:
        return snapshot.redis_error
    if health is None:
        return "chain-ingest, which reads the node, is not running"
    if is_down(health, now):
        return "chain-ingest, which reads the node, has stopped reporting"
    if health.reason:
        return health.reason
    if health.state == "starting":
        return f"chain-ingest is starting{_progress(health)}"
    return f"the node has confirmed nothing for more than {STALE:g} s, or a service is behind"


def pulse(snapshot: Snapshot, now_ms: int) -> dict[str, Any]:
    """What an open page is told regularly. `node` is why figures age, in words; empty while they do not."""
    now = now_ms / 1000
    stale = any(snapshot.truth[domain].stale(now) for domain in DOMAINS)
    return {
        "now_ms": now_ms,
        "chain_ms": snapshot.truth["chain"].true_ms,
        "mempool_ms": snapshot.truth["mempool"].true_ms,
        "node": trouble_of_node(snapshot, now) if stale else "",
    }


def forsaken(snapshot: Snapshot, now: float) -> bool:
    """Whether the mempool's figures are too old, or of too unknown an age, to pay a fee by."""
    age = snapshot.truth["mempool"].age(now)
    return age is None or age > FORSAKEN


def chain_absence(snapshot: Snapshot, now: float) -> Absence:
    """Why there are no figures of the chain."""
    return _absence(snapshot, now, ("chain-ingest", "chain-metrics"), "No block has been published yet")


def mempool_absence(snapshot: Snapshot, now: float) -> Absence:
    """Why there are no figures of the mempool."""
    incomplete = snapshot.truth["mempool"].incomplete
    if incomplete and not snapshot.redis_error:
        return Absence("unset", "Not known", _sentence(incomplete), "The figures appear once the node has them.")
    return _absence(snapshot, now, ("chain-ingest", "mempool"), "The mempool has not been read yet")


def history_absence(snapshot: Snapshot, now: float) -> Absence:
    """Why there are no series of the chain."""
    return _absence(snapshot, now, ("chain-ingest", HISTORIAN), "No block has been put into the history yet")


def _absence(snapshot: Snapshot, now: float, services: tuple[str, ...], waiting: str) -> Absence:
    if snapshot.redis_error:
        return Absence("failed", "Trouble with Redis", _sentence(snapshot.redis_error), _SELF_HEALING)
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
    """Why web is not ready to serve; empty where it is: Redis answers, and what is shown is what the node has now."""
    reasons = []
    if snapshot.redis_error:
        reasons.append(snapshot.redis_error)
    elif not snapshot.read_at:
        reasons.append("Redis has not been read yet")
    if snapshot.tip is None:
        reasons.append(f"chain: no state; {chain_absence(snapshot, now).why}")
    if snapshot.mempool is None and not snapshot.truth["mempool"].incomplete:
        reasons.append(f"mempool: no state; {mempool_absence(snapshot, now).why}")
    reasons += [_stale(snapshot, domain, now) for domain in aged(snapshot, now)]
    for name in ("chain-metrics", "mempool"):
        health = snapshot.active(name)
        if health is None:
            reasons.append(f"{name}: no heartbeat")
        elif is_down(health, now):
            reasons.append(f"{name}: last heartbeat {int(now - health.time_ms / 1000)} s ago")
    return reasons


def _stale(snapshot: Snapshot, domain: Domain, now: float) -> str:
    age = snapshot.truth[domain].age(now)
    words = "not known when it was true" if age is None else f"last known to be true {int(age)} s ago"
    if domain == "chain" and snapshot.tip is not None:
        words += f", at height {snapshot.tip.height}"
        ingest = snapshot.active("chain-ingest")
        height = ingest.details.get("height") if ingest else None
        if isinstance(height, int) and height > snapshot.tip.height:
            words += f", the node at {height}"
    return f"{domain}: {words}; {trouble_of_node(snapshot, now)}"
