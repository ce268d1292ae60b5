"""Who reaches web: the settings that decide which names it answers to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from shared.settings import Settings
from shared.variables import IpNetwork


@dataclass(frozen=True, slots=True)
class Reach:
    """Where web listens and what stands in front of it."""

    host: str = "127.0.0.1"
    admin_host: str = "127.0.0.1"
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[IpNetwork, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As it is set."""
        return cls(settings.web_host, settings.admin_host, settings.allowed_hosts, settings.trusted_proxies)

    @property
    def names(self) -> tuple[str, ...]:
        """Names to answer to."""
        return (self.host.lower(), self.admin_host.lower(), *self.allowed_hosts)


LOOPBACK: Final = Reach()
