"""Who reaches web: the settings that decide which names it answers to and how much its pages tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from shared.addresses import is_loopback
from shared.settings import IpNetwork, Settings


@dataclass(frozen=True, slots=True)
class Reach:
    """Where web listens and what stands in front of it."""

    host: str = "127.0.0.1"
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[IpNetwork, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As it is set."""
        return cls(settings.web_host, settings.allowed_hosts, settings.trusted_proxies)

    @property
    def closed(self) -> bool:
        """Whether only people at this machine see the pages: no proxy hands them on, and no other name is expected."""
        return is_loopback(self.host) and not self.allowed_hosts and not self.trusted_proxies


LOOPBACK: Final = Reach()
