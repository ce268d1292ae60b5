"""What web knows at one moment: the folds' views, every service's heartbeat, Redis itself. Never changed in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from shared.clock import SKEW_MS
from shared.keys import HEALTH_STALE_MS
from shared.networks import Network
from shared.views import (
    BlocksView,
    ConfirmedLargestView,
    FeesView,
    HalvingView,
    Health,
    HistoryView,
    LargestView,
    MempoolView,
    RetargetView,
    TipView,
)
from web.state.truth import CONFIRMED_BY, DOMAINS, Domain, Truth

Part: TypeAlias = Literal["chain", "history", "mempool", "truth", "notices", "status"]
"""What can change on its own; pages and documents name the parts that they show.

`truth` is when the figures were last known to be true: another every two seconds while all is well.
"""

PARTS: Final[tuple[Part, ...]] = ("chain", "history", "mempool", "truth", "notices", "status")


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
    tip: TipView | None = None
    halving: HalvingView | None = None
    retarget: RetargetView | None = None
    blocks: BlocksView | None = None
    history: HistoryView | None = None
    largest_1d: ConfirmedLargestView | None = None
    largest_1w: ConfirmedLargestView | None = None
    largest_1m: ConfirmedLargestView | None = None
    largest_1y: ConfirmedLargestView | None = None
    largest_halving: ConfirmedLargestView | None = None
    largest_all: ConfirmedLargestView | None = None
    mempool: MempoolView | None = None
    fees: FeesView | None = None
    largest: LargestView | None = None
    truth: Mapping[Domain, Truth] = field(default_factory=lambda: dict.fromkeys(CONFIRMED_BY, Truth()))
    unreadable: tuple[str, ...] = ()  # views, heartbeats and keys that are there but cannot be read, with the error
    services: tuple[Health, ...] = ()
    streams: tuple[StreamReport, ...] = ()
    dead: dict[str, int | None] = field(default_factory=dict)  # dead letters by domain, None: not known
    redis: RedisReport | None = None
    redis_error: str = ""  # what is wrong with Redis, in words; empty while it answers
    redis_lost_at: float | None = None  # Unix seconds, by Redis' clock
    read_at: float = 0.0  # Unix seconds of the last answer from Redis, by its clock; 0: none yet

    def confirmed_largest(self, name: str) -> ConfirmedLargestView | None:
        """The largest transactions in blocks over one of shared.views.LARGEST_RANGES."""
        view: ConfirmedLargestView | None = getattr(self, f"largest_{name}")
        return view

    def has(self, domain: Domain) -> bool:
        """Whether its figures are there."""
        views = {"chain": self.tip, "history": self.history, "mempool": self.mempool}
        return views[domain] is not None

    @property
    def shown(self) -> tuple[Domain, ...]:
        """The domains whose figures are there; the history goes with the charts."""
        return tuple(domain for domain in DOMAINS if self.has(domain))

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
