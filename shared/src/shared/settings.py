"""Settings from the environment and from `env/.env.*`: read once, checked at once, never changed.

A variable of the environment wins over the same one in a file. A wrong value raises ConfigError with the variable,
the value (secrets masked) and what is expected.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from shared import env_files
from shared.addresses import checked, mask_url
from shared.errors import ConfigError
from shared.networks import NETWORKS
from shared.prices import TOLD_IN
from shared.variables import IpNetwork, Reader

REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
ELECTRUM_SCHEMES = ("tcp", "ssl", "ws", "wss")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("json", "console")

_OF_A_NODE: Final = re.compile(
    r"[A-Z0-9_]+_(RPC_URL|RPC_USER|RPC_PASSWORD|RPC_PASSWORD_FILE|RPC_COOKIE_FILE|ZMQ_URLS|ELECTRUM_URL|ELECTRUM_PIN)"
)
_READ_ELSEWHERE: Final = ("ENV_DIR", "BITCOIND", "DASHBOARD_DEMO")
_LONGEST_HEADER: Final = 200
SHORTEST_SECRET: Final = 32
"""Characters of WALLET_SECRET."""
_SECRET_VARIETY: Final = 8
"""Different characters in it: at random there are more, in what a finger holds down fewer."""
_LIKENESS: Final = 0.85
"""How alike, from 0 to 1, an unknown name and one of ours must be to be taken for a slip."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How to reach one Bitcoin node; `rpc_url` is empty where the node is not configured."""

    name: str
    rpc_url: str
    rpc_user: str
    rpc_password: str = field(repr=False)
    rpc_cookie_file: Path | None
    zmq_urls: tuple[str, ...]
    electrum_url: str = ""  # of the Electrum server that stands on this node; empty: there is none
    electrum_pin: str = ""  # SHA-256 of its certificate, 64 hex digits; empty: this machine's authorities decide

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
    currency: str  # in which values are told to who has not chosen another
    allowed_hosts: tuple[str, ...]
    trusted_proxies: tuple[IpNetwork, ...]
    admin_host: str
    admin_port: int | None
    data_dir: Path
    log_level: str
    log_format: str
    metrics_port: int | None
    instance: str
    alive_file: str  # where the process says every second that its event loop turns (shared.alive); empty: nowhere
    pools_file: Path | None
    backfill_load: int  # per cent of the time that one backfill worker keeps the node busy; 0: no backfill
    timeline_days: int  # days that the timeline of transactions is kept
    timeline_memory: int  # MB of Redis' memory that it may take
    outside: bool  # whether anybody but node, Redis and Electrum server may be asked
    outside_url: str  # below which everybody outside is reached; empty: at their own addresses
    outside_contact: str  # an e-mail address that goes with questions to sources that want one; empty: none
    coingecko_api_key: str = field(repr=False)  # empty: CoinGecko is asked without one
    wallet_secret: str = field(repr=False)  # seals what is entered about wallets (shared.sealed); empty: no wallets

    def require_redis(self) -> str:
        """The address of Redis; raises ConfigError where it is not set."""
        if self.redis_url is None:
            raise ConfigError("REDIS_URL is not set: expected redis://HOST:PORT (make run sets it for its own Valkey)")
        return self.redis_url

    @property
    def configured_nodes(self) -> tuple[NodeSettings, ...]:
        """The nodes that have an RPC address, preferred one first."""
        return tuple(node for node in self.nodes if node.rpc_url)

    @property
    def electrum_nodes(self) -> tuple[NodeSettings, ...]:
        """The nodes that have an Electrum server, preferred one first."""
        return tuple(node for node in self.nodes if node.electrum_url)


def read_files(directory: Path) -> dict[str, str]:
    """Variables of the `.env.*` files in the folder; raises ConfigError as env_files.read does."""
    return {name: variable.value for name, variable in env_files.read(directory).items()}


def load(environment: Mapping[str, str] | None = None, env_dir: Path | None = None) -> Settings:
    """Read and check the settings; raises ConfigError at the first wrong one."""
    environment = os.environ if environment is None else environment
    directory = env_dir if env_dir is not None else Path(environment.get("ENV_DIR") or "env")
    files = env_files.read(directory)
    values = {name: variable.value for name, variable in files.items()}
    reader = Reader({**values, **{k: v for k, v in environment.items() if v.strip()}})
    network = reader.choice("BITCOIN_NETWORK", tuple(NETWORKS), "main")
    names = tuple(name.lower() for name in reader.words("NODES")) if reader.text("NODES") else ("main",)
    for name in names:
        if not name.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(f"NODES: {name!r} is no name for a node: expected letters, digits, - and _")
    if not names:
        raise ConfigError(f"NODES={reader.text('NODES')!r}: expected at least one name")
    if len({name.replace("-", "_") for name in names}) != len(names):
        raise ConfigError(f"NODES={','.join(names)!r}: expected each name once")
    port = reader.port("WEB_PORT", 8080)
    config = Settings(
        network=network,
        redis_url=checked("REDIS_URL", reader.secret("REDIS_URL"), REDIS_SCHEMES) or None,
        nodes=tuple(_node(reader, name) for name in names),
        web_host=reader.host("WEB_HOST"),
        web_port=8080 if port is None else port,
        currency=reader.code("CURRENCY", TOLD_IN, "USD"),
        allowed_hosts=reader.hosts("ALLOWED_HOSTS"),
        trusted_proxies=reader.networks("TRUSTED_PROXIES"),
        admin_host=reader.host("ADMIN_HOST"),
        admin_port=reader.port("ADMIN_PORT", None),
        data_dir=Path(reader.text("DATA_DIR", ".data")),
        log_level=reader.choice("LOG_LEVEL", LOG_LEVELS, "info"),
        log_format=reader.choice("LOG_FORMAT", LOG_FORMATS, "json"),
        metrics_port=reader.port("METRICS_PORT", None),
        instance=reader.text("INSTANCE"),
        alive_file=reader.text("ALIVE_FILE"),
        pools_file=Path(pools) if (pools := reader.text("POOLS_FILE")) else None,
        backfill_load=reader.whole("BACKFILL_LOAD", 0, 100, 50),
        timeline_days=reader.whole("TIMELINE_DAYS", 1, 3_650, 30),
        timeline_memory=reader.whole("TIMELINE_MEMORY", 16, 1_000_000, 1_024),
        outside=reader.choice("OUTSIDE", ("on", "off"), "on") == "on",
        outside_url=reader.url("OUTSIDE_URL", ("http", "https")),
        outside_contact=_header("OUTSIDE_CONTACT", reader.text("OUTSIDE_CONTACT"), shown=True),
        coingecko_api_key=_header("COINGECKO_API_KEY", reader.secret("COINGECKO_API_KEY"), shown=False),
        wallet_secret=_secret(reader, "WALLET_SECRET"),
    )
    known = {*reader.asked, *_READ_ELSEWHERE}
    prefixes = tuple(f"{node.prefix}_" for node in config.nodes)
    for name, variable in files.items():
        _refuse_slip(name, known, f"{variable.place}: ")
    for name in environment:
        if name.startswith(prefixes):  # any other one may belong to another program
            _refuse_slip(name, known, "")
    return config


def _header(name: str, value: str, *, shown: bool) -> str:
    """A value that goes into a header of a request; a secret is not shown in the error."""
    if len(value) > _LONGEST_HEADER or not re.fullmatch(r"[!-~]*", value):
        said = f"={value[:40]!r}" if shown else ""
        raise ConfigError(f"{name}{said}: expected at most {_LONGEST_HEADER} printable characters without spaces")
    return value


def _secret(reader: Reader, name: str) -> str:
    """A secret of the installation, which must be at random; never shown."""
    value, file = reader.secret(name), reader.text(f"{name}_FILE")
    name = f"{name}_FILE={file!r}" if file else name
    if (value or file) and (len(value) < SHORTEST_SECRET or len(set(value)) < _SECRET_VARIETY):
        raise ConfigError(
            f"{name}: expected at least {SHORTEST_SECRET} characters at random, not {len(value)} like these"
        )
    return value


def _refuse_slip(name: str, known: Iterable[str], place: str) -> None:
    """A name that nothing reads but that is nearly one of ours was meant as that one."""
    if name in known or _OF_A_NODE.fullmatch(name):
        return
    for meant in get_close_matches(name.upper(), sorted(known), n=1, cutoff=_LIKENESS):
        raise ConfigError(f"{place}{name} is no variable of ours: did you mean {meant}?")


def _node(reader: Reader, name: str) -> NodeSettings:
    prefix = name.upper().replace("-", "_")
    cookie = reader.text(f"{prefix}_RPC_COOKIE_FILE")
    url = reader.url(f"{prefix}_RPC_URL", ("http", "https"))
    user, password = reader.text(f"{prefix}_RPC_USER"), reader.secret(f"{prefix}_RPC_PASSWORD")
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
        electrum_url=_electrum_url(reader, f"{prefix}_ELECTRUM_URL"),
        electrum_pin=_electrum_pin(reader, prefix),
    )


def _electrum_url(reader: Reader, name: str) -> str:
    url = reader.url(name, ELECTRUM_SCHEMES)
    if not url:
        return ""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ConfigError(f"{name}={mask_url(url)!r}: expected no user and password: Electrum servers know none")
    if parts.port is None:
        raise ConfigError(f"{name}={url!r}: no port; expected {parts.scheme}://HOST:PORT")
    if parts.query or (parts.path.strip("/") and parts.scheme not in ("ws", "wss")):
        raise ConfigError(f"{name}={url!r}: expected nothing behind the port")
    return url.rstrip("/")


def _electrum_pin(reader: Reader, prefix: str) -> str:
    name, url = f"{prefix}_ELECTRUM_PIN", reader.text(f"{prefix}_ELECTRUM_URL")
    value = reader.text(name)
    if not value:
        return ""
    pin = value.replace(":", "").lower()
    if not re.fullmatch("[0-9a-f]{64}", pin):
        raise ConfigError(
            f"{name}={value!r}: expected the SHA-256 of the server's certificate, 64 hex digits, colons or not, "
            "as `openssl x509 -noout -fingerprint -sha256` prints it"
        )
    if urlsplit(url).scheme not in ("ssl", "wss"):
        raise ConfigError(
            f"{name} is set, and {prefix}_ELECTRUM_URL={url!r} shows no certificate: expected ssl:// or wss://"
        )
    return pin
