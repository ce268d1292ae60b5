"""One factory of clients: which servers it reaches, with which limits, and what it refuses."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local_run.ports import pick
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.errors import ConfigError, RedisUnavailable
from support.proxy import LossyProxy

SECRET = "correct-horse-battery"  # noqa: S105 - must show nowhere


async def test_bytes_come_back_and_nothing_is_decoded(client: redis.Client) -> None:
    await client.hset("hash", "field", b"\xff\x00")
    assert await client.hgetall("hash") == {b"field": b"\xff\x00"}
    assert await client.xread({"stream": "0"}) in ({}, None)


async def test_a_lost_reply_is_not_repeated_below_us(valkey: EmbeddedValkey, client: redis.Client) -> None:
    async with LossyProxy(valkey.port) as proxy:
        lossy = redis.connect(proxy.url)
        try:
            await lossy.ping()
            proxy.loses = lambda request: True
            with pytest.raises(redis.LOST):
                await lossy.xadd("stream", {"a": "b"})
            proxy.loses = lambda request: False
            assert await lossy.xlen("stream") == 1
        finally:
            await lossy.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "redis://h:1",
        "rediss://h:1",
        "redis+cluster://h:1",
        "rediss+cluster://h:1",
        "redis+sentinel://h:1/name",
        "rediss+sentinel://h:1/name?sentinel_username=u&sentinel_password=p",
    ],
)
@pytest.mark.parametrize("connect", [redis.connect, redis.connect_blocking])
async def test_no_client_retries_by_itself(url: str, connect: Callable[[str], redis.Client]) -> None:
    client = connect(url)
    try:
        policy = client.retry if "cluster" in url else client.get_retry()
        assert policy.get_retries() == 0
    finally:
        await client.aclose()


async def test_a_blocking_read_may_last_longer_than_a_command() -> None:
    plain, blocking = redis.connect("redis://127.0.0.1:1"), redis.connect_blocking("redis://127.0.0.1:1")
    try:
        limits = [client.connection_pool.connection_kwargs["socket_timeout"] for client in (plain, blocking)]
        assert limits[0] == redis.SOCKET_TIMEOUT
        assert limits[1] >= redis.SOCKET_TIMEOUT + redis.BLOCK_MS / 1000
    finally:
        await plain.aclose()
        await blocking.aclose()


async def test_waiting_for_a_server_that_is_not_there_ends(no_env: Path) -> None:
    url = f"redis://user:{SECRET}@127.0.0.1:{pick()[0]}/0"
    client = redis.connect(url)
    began = time.monotonic()
    try:
        with pytest.raises(
            RedisUnavailable, match=r"no usable Redis at redis://user:\*\*\*@127.* does not answer"
        ) as raised:
            await redis.wait_until_up(client, url, 0.3)
    finally:
        await client.aclose()
    assert SECRET not in str(raised.value)
    assert time.monotonic() - began < 3


async def test_waiting_ends_when_the_server_comes(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path, port=pick()[0])
    client = redis.connect(server.url)
    try:
        await server.start()
        await redis.wait_until_up(client, server.url, 5)
    finally:
        await client.aclose()
        await server.stop()


async def test_a_wrong_password_is_a_wrong_setting(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path / "valkey") as server:
        admin = redis.connect(server.url)
        await admin.config_set("requirepass", "p@ss/word:1")
        await admin.aclose()
        for login, right in (("default:p%40ss%2Fword%3A1", True), (f"default:{SECRET}", False)):
            url = f"redis://{login}@127.0.0.1:{server.port}/0"
            client = redis.connect(url)
            try:
                if right:
                    await redis.wait_until_up(client, url, 5)
                else:
                    with pytest.raises(
                        ConfigError, match=r"refuses the user or the password of REDIS_URL .*:\*\*\*@127"
                    ) as raised:
                        await redis.wait_until_up(client, url, 5)
                    assert SECRET not in str(raised.value)
            finally:
                await client.aclose()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinel://127.0.0.1:26379", "redis\\+sentinel://HOSTS/NAME"),
        (f"redis+sentinel://u:{SECRET}@127.0.0.1:x/name", "'127.0.0.1:x' is no host:port"),
        (f"redis+cluster://u:{SECRET}@:7000", "':7000' is no host:port"),
        (f"redis+cluster://u:{SECRET}@a:7000,,b:7001", "'' is no host:port"),
        (f"rediss+cluster://u:{SECRET}@a:7000?ssl_ca=/x", "'ssl_ca' is no option; expected ssl_ca_certs"),
        (f"redis+sentinel://a:1/name?sentinel_password={SECRET}&password=x", "'password' is no option"),
        (f"redis+cluster://u:{SECRET}@a:7000?ssl_ca_certs=/x", "this address is without TLS"),
    ],
)
def test_several_hosts_are_read_one_by_one(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        redis.connect(url)
    assert "REDIS_URL=" in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("redis+cluster://a:1,b:2", [("a", 1), ("b", 2)]),
        ("redis+cluster://user:p,w@a, b:2", [("a", 6379), ("b", 2)]),
        ("redis+cluster://[::1]:7000,[::1]", [("::1", 7000), ("::1", 6379)]),
    ],
)
def test_hosts_and_their_default_port(url: str, hosts: list[tuple[str, int]]) -> None:
    assert redis._hosts(url, 6379) == hosts


def test_credentials_are_unquoted_as_in_plain_addresses() -> None:
    assert redis._credentials("redis+cluster://us%65r:p%40ss@h:1") == ("user", "p@ss")
    assert redis._credentials("redis+cluster://:pw@h:1") == (None, "pw")
    assert redis._credentials("redis+cluster://h:1") == (None, None)
