"""How a JSON document declares itself beside the function that makes it, so that the router finds it.

A module of `api` or `compat` makes an `ENDPOINTS` and puts one of its decorators on each function that answers an
address. What is declared there is all there is: the document is kept as bytes until a part that it shows has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from web.http.answers import Answer
from web.http.document import MAX_AGE
from web.state.reading import State
from web.state.snapshot import Part, Snapshot

OfSnapshot: TypeAlias = Callable[[Snapshot, float], Answer]
"""Made of what is known and the moment, Unix seconds by Redis' clock, alone."""

OfState: TypeAlias = Callable[[State], Answer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address and what answers it."""

    path: str
    build: OfState
    parts: tuple[Part, ...]  # of the state, whose change makes it another
    domains: tuple[str, ...]  # whose figures it shows: the oldest tells its `Age`
    max_age: float  # seconds after which it is made anew although nothing changed
    operators: bool  # whether the operator is told more than a visitor


class Endpoints:
    """What one module declares."""

    def __init__(self) -> None:
        self._declared: list[Endpoint] = []

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._declared)

    def get(
        self, path: str, *, shows: tuple[Part, ...], domains: tuple[str, ...] = (), max_age: float = MAX_AGE
    ) -> Callable[[OfSnapshot], OfSnapshot]:
        """Answers this address with what the function makes of the snapshot. `shows` and `domains` as in Endpoint."""

        def declare(build: OfSnapshot) -> OfSnapshot:
            made = Endpoint(path, lambda state: build(state.snapshot, state.now), shows, domains, max_age, False)
            self._declared.append(made)
            return build

        return declare

    def for_both(self, path: str, *, shows: tuple[Part, ...]) -> Callable[[OfState], OfState]:
        """Answers this address for visitors, and anew with all that is known at the operator's listener."""

        def declare(build: OfState) -> OfState:
            self._declared.append(Endpoint(path, build, shows, (), MAX_AGE, True))
            return build

        return declare
