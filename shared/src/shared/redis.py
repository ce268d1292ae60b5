"""The one place that makes Redis clients, with limits that are safe for streams.

redis-py's own defaults retry ten times, which stores an XADD several times when replies are lost. Here nothing is
retried below us: every write is guarded (shared.commit) and every reader knows its position, so the loops above
may repeat safely. `redis+cluster://a:1,b:2` and `redis+sentinel://a:1,b:2/SERVICE[/DB]` name several hosts, and with
`rediss` in front of the plus all of them are reached over TLS.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, Final, TypeAlias, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import prometheus_client
import redis.asyncio as aio
from redis import exceptions
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from shared.addresses import mask_url
from shared.errors import ConfigError, RedisUnavailable

Client: TypeAlias = Any
"""redis.asyncio.Redis or RedisCluster with bytes in and out. Their stubs disagree with each other, hence Any."""

SOCKET_TIMEOUT: Final = 5.0
"""Seconds within which a command must be answered. A blocking read asks for less: see BLOCK_MS."""

BLOCK_MS: Final = 1_000
"""Longest time that a blocking read waits in the server."""

LOST: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.BusyLoadingError,
    exceptions.ClusterDownError,  # a shard has no primary just now
    exceptions.RedisClusterException,  # no node of the cluster answers, or a slot has none
    exceptions.TryAgainError,  # a slot is on its way to another node
    exceptions.ReadOnlyError,  # the primary that we knew is a replica now
    exceptions.OutOfMemoryError,  # until somebody makes room
    OSError,
)
"""What a lost, starting or unreachable server looks like: the command may or may not have been carried out."""

TROUBLE: Final = (exceptions.RedisError, exceptions.RedisClusterException, OSError, TimeoutError)
"""Whatever Redis may answer or fail to answer: nothing of it ends a service; it is named, shown and waited out."""

OLDEST: Final = 7
"""Major version of Redis that has all that we use; every Valkey has it."""

_SAID: Final = {
    "MISCONF": "Redis refuses writes because it cannot save to its disk",
    "NOREPLICAS": "Redis refuses writes because fewer replicas follow it than min-replicas-to-write demands",
    "BUSY": "Redis is held up by a script that does not end",
    "OOM": "Redis has no memory left (its limit is maxmemory)",
    "LOADING": "Redis is still loading its data",
    "READONLY": "Redis is a replica now and takes no writes",
    "CLUSTERDOWN": "a part of the Redis cluster has no primary",
    "TRYAGAIN": "a part of the Redis cluster is on its way to another node",
    "MASTERDOWN": "Redis is a replica that has lost its primary",
    "WRONGTYPE": "a key in Redis holds something else than expected; expected is that only the dashboard writes it",
}
"""What the first word of an error says, for a person."""

_LONGEST: Final = 300

MEMORY: Final = prometheus_client.Gauge(
    "dashboard_redis_memory_bytes", "Memory that Redis uses; of a cluster that of its fullest primary"
)
MEMORY_LIMIT: Final = prometheus_client.Gauge(
    "dashboard_redis_memory_limit_bytes", "Memory that Redis may use (its maxmemory), 0 where there is no limit"
)

_OF_TLS: Final = {
    name: name for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname")
}
"""Options behind the `?` of an address with several hosts; with one host redis-py reads them itself."""

_OF_SENTINEL: Final = {"sentinel_username": "username", "sentinel_password": "password"}
"""The same, of the Sentinels, which have users of their own."""


def words(error: BaseException, url: str = "") -> str:
    """What is wrong with Redis, in words for a person; `url` is the address in use and is masked."""
    text = str(error)[:_LONGEST] or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
    at = f" (REDIS_URL={mask_url(url)!r})" if url else ""
    bare = text.rpartition("caused error: ")[2].lstrip("('\"")  # redis-py tells which command of a pipeline it answers
    code = getattr(error, "status_code", None) or bare.partition(" ")[0]
    if isinstance(error, exceptions.AuthenticationError):
        return f"Redis refuses the user or the password of REDIS_URL{at}: {text}"
    if code == "NOPERM":
        user = unquote(urlsplit(url).username or "default") if url else "of REDIS_URL"
        return f"Redis gives the user {user} too few permissions: {text.removeprefix('NOPERM ')}"
    if code in _SAID:
        return f"{_SAID[code]}: {text.removeprefix(f'{code} ')}"
    if isinstance(error, exceptions.ResponseError) or "max number of clients" in text:
        return f"Redis refuses a command: {text}"
    return f"Redis does not answer{at}: {text}"


def connect(url: str) -> Client:
    """A client for short commands. Connections are made at the first command."""
    return _client(url, SOCKET_TIMEOUT)


def connect_blocking(url: str) -> Client:
    """A client for one reader's blocking XREAD or XREADGROUP, so that it holds up nobody else."""
    return _client(url, SOCKET_TIMEOUT + BLOCK_MS / 1000)


def _client(url: str, timeout: float) -> Client:
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "decode_responses": False,
        "legacy_responses": False,
        "protocol": 3,
    }
    parts = urlsplit(url)
    if parts.scheme != "unix":
        options["socket_keepalive"] = True
    retry = Retry(NoBackoff(), 0)
    kind = parts.scheme.partition("+")[2]
    if not kind:
        return _Redis.from_url(url, retry=retry, **options)
    user, password = _credentials(url)
    options |= _extras(url, _OF_TLS)
    if kind == "cluster":
        nodes = [ClusterNode(host, port) for host, port in _hosts(url, 6379)]
        return _Cluster(startup_nodes=nodes, username=user, password=password, retry=retry, **options)
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ConfigError(f"REDIS_URL={mask_url(url)!r}: expected the service's name: redis+sentinel://HOSTS/NAME")
    watchers = {"socket_timeout": SOCKET_TIMEOUT, "retry": retry, **_extras(url, _OF_TLS), **_extras(url, _OF_SENTINEL)}
    sentinel = Sentinel(_hosts(url, 26379), sentinel_kwargs=watchers, **options)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    primary: dict[str, Any] = {"db": int(database or 0), "username": user, "password": password, "retry": retry}
    return sentinel.master_for(service, redis_class=_Primary, **primary)


def _extras(url: str, names: dict[str, str]) -> dict[str, Any]:
    """What the address's query says of `names`, as redis-py calls it; ConfigError where nobody knows a name."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = {**_OF_TLS, **(_OF_SENTINEL if parts.scheme.endswith("sentinel") else {})}
    if unknown := sorted(given.keys() - known.keys()):
        raise ConfigError(
            f"REDIS_URL={mask_url(url)!r}: {unknown[0]!r} is no option; expected {', '.join(sorted(known))}"
        )
    found: dict[str, Any] = {names[name]: value for name, value in given.items() if name in names}
    if names is not _OF_TLS:
        return found
    tls = parts.scheme.startswith("rediss")
    if given.keys() & _OF_TLS.keys() and not tls:
        raise ConfigError(f"REDIS_URL={mask_url(url)!r}: certificates are for rediss+..., this address is without TLS")
    if "ssl_check_hostname" in found:
        found["ssl_check_hostname"] = found["ssl_check_hostname"].lower() in ("1", "true", "yes")
    return {**found, "ssl": True} if tls else {}


class _Telling:
    """A client whose errors name the key that holds something else than the command expects: Redis does not."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().execute_command(*args, **options)  # type: ignore[misc]  # of the client beside us
        except exceptions.ResponseError as error:
            if not str(error).startswith("WRONGTYPE Operation"):
                raise
            said = b" ".join(part if isinstance(part, bytes) else str(part).encode() for part in args[:6])
            raise exceptions.ResponseError(f"{error} ({said[:_LONGEST].decode(errors='replace')})") from error


class _Redis(_Telling, aio.Redis):  # type: ignore[misc]  # redis-py's own bases disagree
    """One server."""


class _Cluster(_Telling, RedisCluster):  # type: ignore[misc]  # the same
    """A cluster."""


class _Primary(_Redis):
    """The primary that Sentinel names; closing it closes the connections to Sentinel too, which redis-py leaves."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        pool = cast("SentinelConnectionPool", self.connection_pool)
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def _credentials(url: str) -> tuple[str | None, str | None]:
    login, at, _ = urlsplit(url).netloc.rpartition("@")
    if not at:
        return None, None
    user, _, password = login.partition(":")
    return unquote(user) or None, unquote(password) or None  # as in the addresses that redis-py reads itself


def _hosts(url: str, default_port: int) -> list[tuple[str, int]]:
    hosts = urlsplit(url).netloc.rpartition("@")[2]
    pairs = []
    for part in hosts.split(","):
        bare = ":" not in part or part.strip().endswith("]")  # an IPv6 address stands in brackets
        host, _, port = (part.strip(), "", str(default_port)) if bare else part.strip().rpartition(":")
        if not host or not port.isdecimal():
            raise ConfigError(f"REDIS_URL={mask_url(url)!r}: {part!r} is no host:port")
        pairs.append((host.strip("[]"), int(port)))
    return pairs


async def wait_until_up(client: Client, url: str, limit: float) -> None:
    """Return once the server answers; raises RedisUnavailable after `limit` seconds, with the last cause."""
    deadline = time.monotonic() + limit
    while True:
        try:
            await cast("Awaitable[bool]", client.ping())
        except exceptions.AuthenticationError as error:
            raise ConfigError(words(error, url)) from error
        except TROUBLE as error:
            if time.monotonic() >= deadline:
                raise RedisUnavailable(
                    f"no usable Redis at {mask_url(url)} within {limit:g} s: {words(error)}"
                ) from error
            await asyncio.sleep(0.2)
        else:
            return


async def check_version(client: Client, url: str) -> None:
    """Raise ConfigError where the server is too old for us; one that does not tell its version passes."""
    try:
        info = await client.info("server")
    except exceptions.ResponseError:  # the command is forbidden, or renamed
        return
    version = str(info.get("redis_version", ""))
    major = version.partition(".")[0]
    if major.isdecimal() and int(major) < OLDEST:
        raise ConfigError(f"REDIS_URL={mask_url(url)!r}: needs Redis {OLDEST}.0 or Valkey, this is Redis {version}")


def _fullness(info: dict[str, Any]) -> tuple[float, int]:
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    return (used / limit if limit else 0.0, used)


async def eviction(client: Client) -> str:
    """What is wrong with how the server makes room, in words for a person; empty where it is as it should be.

    What is asked for that also says how full it is, which Prometheus is told.
    """
    try:
        if isinstance(client, RedisCluster):
            found = await client.info("memory", target_nodes=RedisCluster.PRIMARIES)
            servers = list(found.values()) if "maxmemory_policy" not in found else [found]  # one alone is told bare
        else:
            servers = [await client.info("memory")]
    except exceptions.ResponseError:
        return ""
    used = max(servers, key=_fullness, default={})
    MEMORY.set(int(used.get("used_memory", 0)))
    MEMORY_LIMIT.set(int(used.get("maxmemory", 0)))
    policies = sorted({str(info.get("maxmemory_policy", "noeviction")) for info in servers} - {"noeviction"})
    if not policies:
        return ""
    policy = " and ".join(policies)
    return f"Redis may drop keys of ours when its memory is full: maxmemory-policy is {policy}, expected noeviction"
