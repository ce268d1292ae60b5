"""What a fold is to the loop that runs it (shared.consumer)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from shared import redis
from shared.clock import Moment
from shared.commit import Commands
from shared.domains import Domain
from shared.events.base import Event, Family
from shared.keys import Keys, same_slot


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


@runtime_checkable
class Dated(Protocol):
    """A fold that is told, before `apply`, when the entry was published, by Redis' clock as its id has it.

    Folded again, or in other batches, an entry has the same moment.
    """

    def dated(self, time_ms: int) -> None:
        """The next entry is of this moment, Unix milliseconds."""


@runtime_checkable
class Looking(Protocol):
    """A fold that asks Redis for something of the present before each batch: one round trip, no state of its own."""

    async def look(self, client: redis.Client) -> None:
        """Ask; raises one of TROUBLE."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A stream that a fold reads in order."""

    stream: str
    family: Family


@dataclass(frozen=True, slots=True)
class Wiring:
    """A fold's inputs and output: streams, checkpoint, derived stream, resynchronisation request, dead letters.

    One stream in the checkpoint's own slot is acknowledged by the commit. Several, or one in another slot, are read by
    position (shared.feeds): nobody can be asked to begin all of them anew, so each entry must say what holds from then
    on. What is missing is told and stepped over, a state that is lost is made anew from what the streams still hold.
    """

    domain: str
    stream: str
    family: Family
    checkpoint: str
    derived: str
    derived_keep: int
    derived_several: bool = False  # others write to the derived stream as well: our count means nothing there
    resync: str = ""  # where a new beginning is asked for; empty: the stream has none
    beginning: bytes = b""  # the event type after which nothing that came before matters
    inbox: str | None = None  # a second stream, whose entries come in no order (shared.inbox)
    inbox_family: Family | None = None
    beside: tuple[Feed, ...] = ()  # further streams; their order is that of the positions in the checkpoint

    def __post_init__(self) -> None:
        if self.by_position and (self.resync or self.beginning or self.inbox):
            raise ValueError(f"{self.checkpoint}: streams that are read by position have neither beginning nor inbox")

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """All streams, in the order of their positions."""
        return Feed(self.stream, self.family), *self.beside

    @property
    def by_position(self) -> bool:
        """Whether the commit leaves the streams alone."""
        return bool(self.beside) or not same_slot(self.stream, self.checkpoint)

    @classmethod
    def of(cls, domain: Domain, keys: Keys) -> Wiring:
        """As the domain is declared. Raises ValueError for one that reads no stream."""
        if domain.reads is None:
            raise ValueError(f"the domain {domain.name} reads no stream: expected one of a fold")
        return cls(
            domain=domain.slot,
            stream=keys.stream(domain.reads),
            family=domain.reads.family,
            checkpoint=keys.checkpoint(domain),
            derived=keys.stream(domain.announces),
            derived_keep=domain.announces.keep,
            derived_several=domain.announces.several,
            resync="" if domain.beside else keys.resync(domain.reads),
            beginning=domain.beginning.TYPE.encode() if domain.beginning else b"",
            inbox=None if domain.inbox is None else keys.stream(domain.inbox),
            inbox_family=None if domain.inbox is None else domain.inbox.family,
            beside=tuple(Feed(keys.stream(stream), stream.family) for stream in domain.beside),
        )
