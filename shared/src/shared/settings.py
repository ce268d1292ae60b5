"""Settings from the environment and from `env/.env.*`: read once, checked at once, never changed.

A variable of the environment wins over the same one in a file. A wrong value raises ConfigError with the variable,
the value (secrets masked) and what is expected.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from shared.errors import ConfigError
from shared.networks import NETWORKS

REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "redis+sentinel")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("json", "console")


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How to reach one Bitcoin node; `rpc_url` is empty where the node is not configured."""

    name: str
    rpc_url: str
    rpc_user: str
    rpc_password: str = field(repr=False)
    rpc_cookie_file: Path | None
    zmq_urls: tuple[str, ...]

    @property
    def prefix(self) -> str:
        """What this node's variables begin with: `main` is set by `MAIN_RPC_URL` and so on."""
        return self.name.upper().replace("-", "_")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings that two services share, with their defaults."""

    network: str
    redis_url: str | None = field(repr=False)
    nodes: tuple[NodeSettings, ...]
    web_host: str
    web_port: int
    data_dir: Path
    log_level: str
    log_format: str
    metrics_port: int | None
    instance: str
    pools_file: Path | None
    backfill_load: int  # per cent of the time that one backfill worker keeps the node busy; 0: no backfill

    def require_redis(self) -> str:
        """The address of Redis; raises ConfigError where it is not set."""
        if self.redis_url is None:
            raise ConfigError("REDIS_URL is not set: expected redis://HOST:PORT (make run sets it for its own Valkey)")
        return self.redis_url

    @property
    def configured_nodes(self) -> tuple[NodeSettings, ...]:
        """The nodes that have an RPC address, preferred one first."""
        return tuple(node for node in self.nodes if node.rpc_url)


class Reader:
    """Typed access to variables; each failure names the variable, its value and what is expected."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        """The value without surrounding space; an empty one counts as not set."""
        return self._values.get(name, "").strip() or default

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of the allowed words, in any case."""
        value = self.text(name, default).lower()
        if value not in allowed:
            raise ConfigError(f"{name}={value!r}: expected one of {', '.join(allowed)}")
        return value

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

    def url(self, name: str, schemes: tuple[str, ...], *, default: str = "", host: bool = True) -> str:
        """An address with one of the schemes; a password inside is masked in the error."""
        return _checked_url(name, self.text(name, default), schemes, host=host)

    def urls(self, name: str, schemes: tuple[str, ...]) -> tuple[str, ...]:
        """Comma-separated addresses."""
        parts = (part.strip() for part in self.text(name).split(","))
        return tuple(_checked_url(name, part, schemes, host=True) for part in parts if part)


def _checked_url(name: str, value: str, schemes: tuple[str, ...], *, host: bool) -> str:
    if not value:
        return ""
    expected = f"expected an address that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    try:
        parts = urlsplit(value)
        port_ok = "," in parts.netloc or parts.port is None or parts.port > 0
    except ValueError:
        port_ok, parts = False, urlsplit("")
    if parts.scheme not in schemes or not port_ok:
        raise ConfigError(f"{name}={mask_url(value)!r}: {expected}")
    if host and parts.scheme not in {"unix", "ipc"} and not parts.netloc.rpartition("@")[2]:
        raise ConfigError(f"{name}={mask_url(value)!r}: no host; {expected}, then host:port")
    return value


def mask_url(url: str) -> str:
    """The address with its password replaced, fit for a log; also where it is not a proper address."""
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url)
    lead = scheme[0] if scheme else ""
    credentials, at, host = url[len(lead) :].rpartition("@")
    if at:
        url = f"{lead}{credentials.partition(':')[0]}:***@{host}"
    return re.sub(r"([?&]password=)[^&]*", r"\1***", url)


def read_files(directory: Path) -> dict[str, str]:
    """Variables of `.env.main`, `.env.api` and every other `.env.<node>` in the folder.

    Examples, and copies that editors leave (`.env.main.bak`, `.env.main~`), are left out.
    """
    values: dict[str, str] = {}
    if not directory.is_dir():
        return values
    for path in sorted(directory.glob(".env.*")):
        if path.suffix == ".example" or re.search(r"[.~]", path.name.removeprefix(".env.")):
            continue
        try:
            found = dotenv_values(path, interpolate=False)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        for name, value in found.items():
            if value is None:
                raise ConfigError(f"{path}: {name} has no value: expected {name}=VALUE")
            values[name] = value
    return values


def load(environment: Mapping[str, str] | None = None, env_dir: Path | None = None) -> Settings:
    """Read and check the settings; raises ConfigError at the first wrong one."""
    environment = os.environ if environment is None else environment
    directory = env_dir if env_dir is not None else Path(environment.get("ENV_DIR") or "env")
    values = {**read_files(directory), **{k: v for k, v in environment.items() if v.strip()}}
    reader = Reader(values)
    network = reader.choice("BITCOIN_NETWORK", tuple(NETWORKS), "main")
    names = tuple(name.strip().lower() for name in reader.text("NODES", "main").split(",") if name.strip())
    for name in names:
        if not name.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(f"NODES: {name!r} is no name for a node: expected letters, digits, - and _")
    if not names:
        raise ConfigError(f"NODES={reader.text('NODES')!r}: expected at least one name")
    if len({name.replace("-", "_") for name in names}) != len(names):
        raise ConfigError(f"NODES={','.join(names)!r}: expected each name once")
    port = reader.port("WEB_PORT", 8080)
    return Settings(
        network=network,
        redis_url=reader.url("REDIS_URL", REDIS_SCHEMES) or None,
        nodes=tuple(_node(reader, name) for name in names),
        web_host=reader.text("WEB_HOST", "127.0.0.1"),
        web_port=8080 if port is None else port,
        data_dir=Path(reader.text("DATA_DIR", ".data")),
        log_level=reader.choice("LOG_LEVEL", LOG_LEVELS, "info"),
        log_format=reader.choice("LOG_FORMAT", LOG_FORMATS, "json"),
        metrics_port=reader.port("METRICS_PORT", None),
        instance=reader.text("INSTANCE"),
        pools_file=Path(pools) if (pools := reader.text("POOLS_FILE")) else None,
        backfill_load=reader.whole("BACKFILL_LOAD", 0, 100, 50),
    )


def _node(reader: Reader, name: str) -> NodeSettings:
    prefix = name.upper().replace("-", "_")
    cookie = reader.text(f"{prefix}_RPC_COOKIE_FILE")
    url = reader.url(f"{prefix}_RPC_URL", ("http", "https"))
    user, password = reader.text(f"{prefix}_RPC_USER"), reader.text(f"{prefix}_RPC_PASSWORD")
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ConfigError(
            f"{prefix}_RPC_URL={mask_url(url)!r}: expected no user and password in the address; "
            f"set {prefix}_RPC_USER and {prefix}_RPC_PASSWORD"
        )
    if bool(user) != bool(password):
        missing = "PASSWORD" if user else "USER"
        raise ConfigError(f"{prefix}_RPC_{missing} is not set: expected it beside the other of user and password")
    if url and not user and not cookie:
        raise ConfigError(
            f"{prefix}_RPC_URL is set without credentials: expected {prefix}_RPC_COOKIE_FILE, "
            f"or {prefix}_RPC_USER and {prefix}_RPC_PASSWORD"
        )
    return NodeSettings(
        name=name,
        rpc_url=url,
        rpc_user=user,
        rpc_password=password,
        rpc_cookie_file=Path(cookie) if cookie else None,
        zmq_urls=reader.urls(f"{prefix}_ZMQ_URLS", ("tcp", "ipc")),
    )
