"""What a source outside declares: who it is, where it is asked, and how often that is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from shared.errors import OutsideOff


class Limit(NamedTuple):
    """So many requests in any span of so many seconds."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Provider:
    """One source. All its hosts share one budget, and one circuit."""

    name: str  # as keys and metrics spell it
    title: str  # for a person
    host: str
    link: str  # where a person reads about it
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where a source is reached: at its own address, or below `base` as `<base>/<host>/<path>`; nowhere when `off`."""

    base: str = ""
    off: bool = False

    def http(self, host: str, path: str) -> str:
        """The address of what `https://<host><path>` is. Raises OutsideOff."""
        return self._address("https", host, path)

    def socket(self, host: str, path: str) -> str:
        """The address of what `wss://<host><path>` is. Raises OutsideOff."""
        return self._address("wss", host, path).replace("http", "ws", 1)

    def _address(self, scheme: str, host: str, path: str) -> str:
        if self.off:
            raise OutsideOff(f"{host} is not asked: OUTSIDE=off")
        return f"{self.base.rstrip('/')}/{host}{path}" if self.base else f"{scheme}://{host}{path}"
