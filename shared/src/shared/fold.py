"""What a fold is to the loop that runs it (shared.consumer)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from shared import redis
from shared.clock import Moment
from shared.commit import Commands
from shared.domains import Domain
from shared.events.base import Event, Family
from shared.keys import Keys


@dataclass(slots=True)
class Changes:
    """What a fold wants written: commands on its state and views, and the events that follow from it."""

    commands: Commands = field(default_factory=Commands)
    events: list[Event] = field(default_factory=list)
    views: str = ""  # the hash of views that the commands bring up to date; empty where they stay as they are


class Fold(Protocol):
    """What a service supplies. No method but `restore` does I/O."""

    async def restore(self, client: redis.Client) -> None:
        """Replace what is in memory by the state in Redis."""

    def reset(self) -> None:
        """Forget everything, as for an empty stream."""

    def apply(self, event: Event) -> None:
        """Fold one event into memory. May raise on an event that contradicts the state."""

    def flush(self, now: Moment) -> Changes:
        """What changed since the last call; called after each batch and when `due_ms` is reached."""

    def due_ms(self, now: Moment) -> int | None:
        """When (by the steady clock) `flush` has something to say although no event comes; None where it has not."""


@dataclass(frozen=True, slots=True)
class Source:
    """A fold's inputs and output: streams, checkpoint, derived stream, resynchronisation request, dead letters."""

    domain: str
    stream: str
    family: Family
    checkpoint: str
    derived: str
    derived_keep: int
    resync: str
    beginning: bytes  # the event type after which nothing that came before matters
    inbox: str | None = None  # a second stream, whose entries come in no order (shared.inbox)
    inbox_family: Family | None = None

    @classmethod
    def of(cls, domain: Domain, keys: Keys) -> Source:
        """As the domain is declared."""
        return cls(
            domain=domain.slot,
            stream=keys.stream(domain.reads),
            family=domain.reads.family,
            checkpoint=keys.checkpoint(domain),
            derived=keys.stream(domain.announces),
            derived_keep=domain.announces.keep,
            resync=keys.resync(domain.reads),
            beginning=domain.beginning.TYPE.encode(),
            inbox=None if domain.inbox is None else keys.stream(domain.inbox),
            inbox_family=None if domain.inbox is None else domain.inbox.family,
        )
