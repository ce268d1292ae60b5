"""What web knows at one moment: the folds' views, every service's heartbeat, Redis itself. Never changed in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, TypeVar, cast

from shared.clock import SKEW_MS
from shared.domains import DOMAINS
from shared.keys import HEALTH_STALE_MS
from shared.networks import Network
from shared.views import Health, View
from web.state.truth import CONFIRMED_BY, Truth

Part: TypeAlias = str
"""What can change on its own, one of PARTS; pages and documents name the parts that they show."""

PARTS: Final[tuple[Part, ...]] = (*CONFIRMED_BY, "worth", "truth", "notices", "status")
"""Every domain by its name; `worth` is the price for figures whose business it is not, told now and then; `truth` is
when figures were last true: another every two seconds while all is well."""

_FIRST: Final = {domain.name: next(iter(domain.views.values())) for domain in DOMAINS}
"""The view without which nothing is known of a domain."""

_ESSENTIAL: Final = tuple(domain.name for domain in DOMAINS if domain.owner.essential)

V = TypeVar("V", bound=View)


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group of a stream; `lag` is None where Redis cannot tell."""

    name: str
    lag: int | None
    pending: int
    consumers: int


@dataclass(frozen=True, slots=True)
class StreamReport:
    """A public stream as Redis describes it; `last_ms` is the time in the last entry's id."""

    name: str
    key: str
    length: int
    added: int
    last_id: str
    last_ms: int
    groups: tuple[Group, ...]
    error: str = ""  # why nothing of this is known


@dataclass(frozen=True, slots=True)
class RedisReport:
    """The server that answers."""

    software: str
    version: str
    mode: str
    uptime: int  # seconds
    memory: int  # bytes in use
    memory_limit: int  # bytes, 0: none
    eviction: str = ""  # what happens at the limit; only `noeviction` loses nothing; empty: not known


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person should know, on top of every page."""

    kind: Literal["warning", "failed"]
    title: str
    text: str
    since: float | None = None  # Unix seconds
    of_age: bool = False  # whether it only says that figures are old, as whoever counts their age knows by himself


@dataclass(frozen=True, slots=True)
class Absence:
    """Why a card has nothing to show: what is missing, the reason, and what happens next."""

    kind: Literal["empty", "failed", "unset"]
    title: str
    why: str
    then: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that pages and JSON documents are made of."""

    network: Network
    demo: bool = False
    public: bool = False  # without what only the operator is told
    views: Mapping[type[View], View] = field(default_factory=dict)  # those that are known
    truth: Mapping[str, Truth] = field(default_factory=lambda: dict.fromkeys(CONFIRMED_BY, Truth()))  # by domain
    unreadable: tuple[str, ...] = ()  # views, heartbeats and keys that are there but cannot be read, with the error
    services: tuple[Health, ...] = ()
    streams: tuple[StreamReport, ...] = ()
    dead: dict[str, int | None] = field(default_factory=dict)  # dead letters by slot, None: not known
    redis: RedisReport | None = None
    redis_error: str = ""  # what is wrong with Redis, in words; empty while it answers
    redis_lost_at: float | None = None  # Unix seconds, by Redis' clock
    read_at: float = 0.0  # Unix seconds of the last answer from Redis, by its clock; 0: none yet

    def __getitem__(self, kind: type[V]) -> V | None:
        """The view of this type, None while it is not known."""
        return cast("V | None", self.views.get(kind))

    def has(self, domain: str) -> bool:
        """Whether its figures are there."""
        return _FIRST[domain] in self.views

    @property
    def shown(self) -> tuple[str, ...]:
        """The domains whose figures every page shows, where they are there; the history goes with the charts."""
        return tuple(domain for domain in _ESSENTIAL if self.has(domain))

    @property
    def empty(self) -> bool:
        """No fold has written anything yet."""
        return not self.shown

    def active(self, service: str) -> Health | None:
        """The instance of a service that does its work: not a standby, and the one heard of last."""
        instances = [health for health in self.services if health.service == service]
        return max(instances, key=lambda health: (health.state != "standby", health.time_ms), default=None)


def is_down(health: Health, now: float) -> bool:
    """Whether a heartbeat is so old that the service counts as gone; `now` is Redis' clock in Unix seconds."""
    age_ms = now * 1000 - health.time_ms
    return not -SKEW_MS <= age_ms <= HEALTH_STALE_MS
