"""A wallet as its chains of scripts: what there is to look at, in which order, and what each place is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from shared.lookups.wallet import Role


@dataclass(frozen=True, slots=True)
class Branch:
    """A chain of scripts. It knows keys, which are not shown when it is printed."""

    form: str
    role: Role
    prefix: str  # path before the index, `0/`; empty where there is none
    script: Callable[[int], bytes] = field(repr=False)  # by index, from 0
    count: int | None = None  # None: without end, as far as the gap goes
    first: int = 0  # what the first one is called

    def path(self, index: int) -> str:
        """What stands below the key; of addresses their number."""
        return f"{self.prefix}{self.first + index}" if self.count is None or self.count > 1 else self.prefix.rstrip("/")


@dataclass(frozen=True, slots=True)
class Wallet:
    """Its chains; several forms where a key says nothing of its own."""

    network: str
    branches: tuple[Branch, ...]
