"""Judges a snapshot, in words for a person: what is wrong, why a card is empty, whether web is ready. Pure."""

from __future__ import annotations

from typing import Any, Final

from shared.domains import CHAIN, DOMAINS, INGEST, MEMPOOL, SERVICES, SLOTS, WEB, Domain
from shared.views import Health, TipView
from web.state.snapshot import Absence, Notice, Snapshot, is_down
from web.state.truth import FORSAKEN, STALE
from web.words.sentence import Sentence, altered, count, gettext, joined, note, say

PRODUCERS: Final = tuple(service for service in SERVICES if service.essential and service is not WEB)
"""The services without which there is nothing to show, in the order in which trouble spreads."""

_CHOSEN: Final = tuple(dict.fromkeys(domain.owner for domain in DOMAINS if not domain.owner.essential))
"""An installation may do without these: what rests on them says so itself."""

_BY_NAME: Final = {domain.name: domain for domain in DOMAINS}

TOLD: Final = 5
"""Things that cannot be read that are told one by one at most."""

_SELF_HEALING: Final = say("It is tried again by itself; this page fills in as soon as it works.")

STATES: Final = {
    name: say(name) for name in (note("ok"), note("starting"), note("degraded"), note("standby"), note("down"))
}
"""How a service is, in a word."""


SOURCE_STATES: Final = {
    name: say(name) for name in (note("ok"), note("waiting"), note("failing"), note("open"), note("off"))
}
"""How a source outside answers, in a word: nobody asks one whose circuit is open."""

VERDICTS: Final = {
    "silent": say("not counted"),
    "used": say("counted"),
    "outlier": say("far from the others"),
    "late": say("too old"),
    "its clock is wrong": say("its clock is wrong"),
    "frozen": say("says the same over and over"),
    "no cross": say("nothing speaks for it"),
}
"""What became of a quote, by shared.prices.VERDICTS."""


def notices(snapshot: Snapshot, now: float) -> tuple[Notice, ...]:
    """What goes on top of every page. Nothing in it changes with the clock alone, so that it can be compared."""
    if snapshot.redis_error:
        then = (
            say("There is nothing to show yet.")
            if snapshot.empty
            else say("The figures below are the last ones known.")
        )
        text = joined(f"{snapshot.redis_error}.", then)
        return (Notice("failed", say("Trouble with Redis"), text, snapshot.redis_lost_at),)
    if not snapshot.read_at:
        return ()
    found = []
    for service in (*PRODUCERS, *_CHOSEN):
        health, name, work = snapshot.active(service.name), service.name, say(service.work)
        if health is None and service in _CHOSEN:
            continue
        if health is None:
            text = say("The service that %(work)s has not reported.", work=work)
            found.append(Notice("failed", say("%(service)s is not running", service=name), text))
        elif is_down(health, now):
            text = say(
                "The service that %(work)s has stopped reporting. Its figures are the last ones known.", work=work
            )
            found.append(Notice("failed", say("%(service)s is down", service=name), text, health.time_ms / 1000))
        elif health.state == "degraded":
            found.append(Notice("warning", say("%(service)s is degraded", service=name), _sentence(health.reason)))
    found.extend(_aged(snapshot, now))
    for domain in DOMAINS:
        incomplete = snapshot.truth[domain.name].incomplete
        if incomplete and domain.owner.essential:
            title = _capital(say("%(domain)s is not known", domain=say(domain.title)))
            found.append(Notice("warning", title, _sentence(incomplete)))
    policy = snapshot.redis.eviction if snapshot.redis else ""
    if policy not in ("", "noeviction"):
        text = say(
            "Its eviction policy is %(policy)s: when memory runs short it drops keys that nobody can make again. "
            "Set maxmemory-policy to noeviction.",
            policy=policy,
        )
        found.append(Notice("warning", say("Redis may lose what it holds"), text))
    unreadable = snapshot.unreadable
    many = len(unreadable) > TOLD + 1
    found.extend(
        Notice("failed", say("Something in Redis cannot be read"), _sentence(error))
        for error in unreadable[: TOLD if many else None]
    )
    if many:
        text = count(
            "%(number)s more key or field. The log names them all.",
            "%(number)s more keys or fields. The log names them all.",
            len(unreadable) - TOLD,
        )
        found.append(Notice("failed", say("More in Redis cannot be read"), text))
    return tuple(found)


def aged(snapshot: Snapshot, now: float) -> tuple[str, ...]:
    """Domains whose figures are there, but older than expected."""
    return tuple(domain for domain in snapshot.shown if snapshot.truth[domain].stale(now))


def _aged(snapshot: Snapshot, now: float) -> list[Notice]:
    late = aged(snapshot, now)
    if not late:
        return []
    moments = [snapshot.truth[domain].true_ms for domain in late]
    known = [moment for moment in moments if moment is not None]
    titles = Sentence(lambda: gettext(" and ").join(str(say(_BY_NAME[domain].title)) for domain in late))
    title = _capital(
        count("%(domains)s may be out of date", "%(domains)s may be out of date", len(late), domains=titles)
    )
    trouble = _sentence(trouble_of_node(snapshot, now))
    if len(known) < len(moments):
        text = say("It is not known when the figures below were last what the node has: %(trouble)s", trouble=trouble)
        return [Notice("failed", title, text, of_age=True)]
    text = say("The figures below are the last ones that the node confirmed: %(trouble)s", trouble=trouble)
    return [Notice("failed", title, text, min(known) / 1000, of_age=True)]


def trouble_of_node(snapshot: Snapshot, now: float) -> str:
    """Why nobody confirms what is shown, as far as chain-ingest tells."""
    health = snapshot.active(INGEST.name)
    if snapshot.redis_error:
        return snapshot.redis_error
    if health is None:
        return say("%(service)s, which %(work)s, is not running", service=INGEST.name, work=say(INGEST.work))
    if is_down(health, now):
        return say("%(service)s, which %(work)s, has stopped reporting", service=INGEST.name, work=say(INGEST.work))
    if health.reason:
        return health.reason
    if health.state == "starting":
        return say("%(service)s is starting%(progress)s", service=INGEST.name, progress=_progress(health))
    return say(
        "the node has confirmed nothing for more than %(seconds)s s, or a service is behind", seconds=format(STALE, "g")
    )


def pulse(snapshot: Snapshot, now_ms: int) -> dict[str, Any]:
    """What an open page is told regularly. `node` is why figures age, in words; empty while they do not."""
    now = now_ms / 1000
    stale = any(snapshot.truth[domain.name].stale(now) for domain in DOMAINS if domain.owner.essential)
    return {
        "now_ms": now_ms,
        **{f"{domain}_ms": snapshot.truth[domain].true_ms for domain in SLOTS},
        "node": trouble_of_node(snapshot, now) if stale else "",
    }


def forsaken(snapshot: Snapshot, now: float) -> bool:
    """Whether the mempool's figures are too old, or of too unknown an age, to pay a fee by."""
    age = snapshot.truth[MEMPOOL.name].age(now)
    return age is None or age > FORSAKEN


def absence(snapshot: Snapshot, now: float, domain: Domain) -> Absence:
    """Why there are no figures of a domain."""
    if snapshot.redis_error:
        return Absence("failed", say("Trouble with Redis"), _sentence(snapshot.redis_error), _SELF_HEALING)
    if not snapshot.read_at:
        why = say("The state has not been read from Redis yet.")
        return Absence("empty", say("Starting"), why, say("This takes a second."))
    incomplete = snapshot.truth[domain.name].incomplete
    if incomplete:
        then = say("The figures appear once the node has them.")
        if domain.reads is None:  # it asks outside, and whether it may is the operator's wish
            then = say("They appear once that is allowed.")
        return Absence("unset", say("Not known"), _sentence(incomplete), then)
    return _idle(snapshot, now, domain) or _awaited(snapshot, domain)


def _idle(snapshot: Snapshot, now: float, domain: Domain) -> Absence | None:
    """What keeps one of the services from its work that the figures rest on."""
    for service in domain.rests_on:
        health = snapshot.active(service.name)
        if health is None or is_down(health, now):
            why = _sentence(
                say("%(service)s, which %(work)s, is not running", service=service.name, work=say(service.work))
            )
            return Absence("failed", say("Not available"), why, say("The figures appear as soon as it is started."))
        if health.state == "degraded":
            return Absence("failed", say("Not available"), _sentence(health.reason), _SELF_HEALING)
    return None


def _awaited(snapshot: Snapshot, domain: Domain) -> Absence:
    """What is not there yet though all do their work."""
    for service in domain.rests_on:
        health = snapshot.active(service.name)
        if health is not None and health.state == "starting":
            why = _sentence(
                say("%(service)s is starting%(progress)s", service=service.name, progress=_progress(health))
            )
            return Absence("empty", say("Not yet available"), why, say("The figures appear as soon as it is done."))
    first = snapshot.active(domain.rests_on[0].name)
    why = joined(say(domain.waiting), f"{_progress(first) if first else ''}.", by="")
    if INGEST in domain.rests_on:
        why = joined(why, say("While the node catches up with the network, its mempool stays out."))
    return Absence("empty", say("Not yet available"), why, say("The figures appear with the first event."))


def _progress(health: Health) -> str:
    progress = health.details.get("progress")
    return f" ({progress})" if progress not in (None, "") else ""


def _capital(text: str) -> Sentence:
    return altered(text, lambda said: f"{said[:1].upper()}{said[1:]}")


def _sentence(text: str) -> Sentence:
    return altered((text.strip() and text) or say("It gives no reason"), _ended)


def _ended(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def unready(snapshot: Snapshot, now: float) -> list[str]:
    """Why web is not ready to serve; empty where it is: Redis answers, and what is shown is what the node has now."""
    reasons = []
    if snapshot.redis_error:
        reasons.append(snapshot.redis_error)
    elif not snapshot.read_at:
        reasons.append("Redis has not been read yet")
    essential = [domain for domain in DOMAINS if domain.owner.essential]
    reasons += [
        f"{domain.name}: no state; {absence(snapshot, now, domain).why}"
        for domain in essential
        if not snapshot.has(domain.name) and not snapshot.truth[domain.name].incomplete
    ]
    reasons += [_stale(snapshot, name, now) for name in aged(snapshot, now)]
    for domain in essential:
        name, health = domain.owner.name, snapshot.active(domain.owner.name)
        if health is None:
            reasons.append(f"{name}: no heartbeat")
        elif is_down(health, now):
            reasons.append(f"{name}: last heartbeat {int(now - health.time_ms / 1000)} s ago")
    return reasons


def _stale(snapshot: Snapshot, domain: str, now: float) -> str:
    age = snapshot.truth[domain].age(now)
    words = "not known when it was true" if age is None else f"last known to be true {int(age)} s ago"
    tip = snapshot[TipView]
    if domain == CHAIN.name and tip is not None:
        words += f", at height {tip.height}"
        ingest = snapshot.active(INGEST.name)
        height = ingest.details.get("height") if ingest else None
        if isinstance(height, int) and height > tip.height:
            words += f", the node at {height}"
    return f"{domain}: {words}; {trouble_of_node(snapshot, now)}"
