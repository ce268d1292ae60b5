"""Variables as text, read with care: each failure names the variable, its value and what is expected."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from shared.addresses import checked, listening_host
from shared.errors import ConfigError

IpNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Reader:
    """Typed access to variables; each failure names the variable, its value and what is expected."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: set[str] = set()

    def text(self, name: str, default: str = "") -> str:
        """The value without surrounding space; an empty one counts as not set."""
        self.asked.add(name)
        return self._values.get(name, "").strip() or default

    def secret(self, name: str) -> str:
        """The value, or what stands in the file that `NAME_FILE` names; never shown."""
        value, file = self.text(name), self.text(f"{name}_FILE")
        if value and file:
            raise ConfigError(f"{name} and {name}_FILE are both set: expected one of them")
        if not file:
            return value
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(f"{name}_FILE={file!r} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise ConfigError(f"{name}_FILE={file!r}: expected text") from None

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of the allowed words, in any case."""
        value = self.text(name, default).lower()
        if value not in allowed:
            raise ConfigError(f"{name}={value!r}: expected one of {', '.join(allowed)}")
        return value

    def code(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of the allowed codes, in any case."""
        value = self.text(name, default)
        if value.upper() not in allowed:
            raise ConfigError(f"{name}={value!r}: expected one of {', '.join(allowed)}")
        return value.upper()

    def port(self, name: str, default: int | None) -> int | None:
        """A TCP port; 0 asks the system for a free one."""
        value = self.text(name)
        if not value:
            return default
        if not value.isdecimal() or int(value) > 65_535:
            raise ConfigError(f"{name}={value!r}: expected a port, a whole number from 0 to 65535")
        return int(value)

    def whole(self, name: str, lowest: int, highest: int, default: int) -> int:
        """A whole number between two others, both allowed."""
        value = self.text(name)
        if not value:
            return default
        if not (value.isascii() and value.isdecimal() and len(value) < 10 and lowest <= int(value) <= highest):
            raise ConfigError(f"{name}={value!r}: expected a whole number from {lowest} to {highest}")
        return int(value)

    def url(self, name: str, schemes: tuple[str, ...]) -> str:
        """An address with one of the schemes; a password inside is masked in the error."""
        return checked(name, self.text(name), schemes)

    def urls(self, name: str, schemes: tuple[str, ...]) -> tuple[str, ...]:
        """Comma-separated addresses."""
        return tuple(checked(name, part, schemes) for part in self.words(name))

    def host(self, name: str) -> str:
        """Where to listen; loopback unless it is set."""
        return listening_host(name, self.text(name, "127.0.0.1"))

    def hosts(self, name: str) -> tuple[str, ...]:
        """Names that browsers may ask for: `name`, `*.name` for all below it."""
        for word in self.words(name):
            if not re.fullmatch(r"(\*\.)?[A-Za-z0-9_.-]+", word):
                raise ConfigError(f"{name}={word!r}: expected names without http:// and port, comma-separated")
        return tuple(word.lower() for word in self.words(name))

    def networks(self, name: str) -> tuple[IpNetwork, ...]:
        """Addresses of machines, or networks of them, comma-separated."""
        try:
            return tuple(ipaddress.ip_network(word, strict=False) for word in self.words(name))
        except ValueError as error:
            raise ConfigError(
                f"{name}={self.text(name)!r}: {error}; expected addresses or networks: 127.0.0.1, 10.0.0.0/8"
            ) from error

    def words(self, name: str) -> tuple[str, ...]:
        """Comma-separated words."""
        return tuple(word for part in self.text(name).split(",") if (word := part.strip()))
