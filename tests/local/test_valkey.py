from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import psutil
import pytest
import redis.asyncio

from local_run.bitcoind import find_redis_8
from local_run.errors import ServerFailed
from local_run.valkey import EmbeddedValkey, kept_password


async def server_binary(which: str) -> Path | None:
    if which == "valkey":
        return None
    if which == "redis-8":
        return await find_redis_8()
    found = shutil.which("redis-server", path=f"{os.environ['PATH']}:/usr/bin")
    if found is None:
        pytest.skip("no redis-server on the PATH")
    return Path(found)


@pytest.mark.parametrize("which", ["valkey", "redis-7", "redis-8"])
async def test_kill_keeps_what_was_answered(tmp_path: Path, which: str) -> None:
    async with EmbeddedValkey(tmp_path, binary=await server_binary(which)) as server:
        url, pid = server.url, server.pid
        async with redis.asyncio.from_url(url) as client:
            version = (await client.info("server"))["redis_version"]
            assert version.startswith({"valkey": "7.2", "redis-7": "7.", "redis-8": "8."}[which])
            for at in range(500):
                await client.xadd("stream", {"at": at})
            await server.kill()
        assert not psutil.pid_exists(pid)
        await server.start()
        assert (server.url, server.pid != pid) == (url, True)
        async with redis.asyncio.from_url(url) as client:
            assert await client.xlen("stream") == 500


async def test_stop_and_start_keep_the_data(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as server:
        async with redis.asyncio.from_url(server.url) as client:
            await client.set("key", "value")
        await server.restart()
        async with redis.asyncio.from_url(server.url) as client:
            assert await client.get("key") == b"value"
            assert (await client.config_get("appendonly", "appendfsync")) == {
                "appendonly": "yes",
                "appendfsync": "everysec",
            }


async def test_listens_on_loopback_alone(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as server:
        addresses = {
            connection.laddr.ip
            for connection in psutil.Process(server.pid).net_connections()
            if connection.status == psutil.CONN_LISTEN
        }
    assert addresses == {"127.0.0.1"}


async def test_extra_arguments_win(tmp_path: Path) -> None:
    extra = ["--appendfsync", "always", "--maxmemory", "100mb"]
    async with EmbeddedValkey(tmp_path, extra=extra) as server, redis.asyncio.from_url(server.url) as client:
        assert await client.config_get("appendfsync", "maxmemory") == {
            "appendfsync": "always",
            "maxmemory": str(100 * 1024 * 1024),
        }


async def test_a_failed_start_tells_what_the_server_said(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path, extra=["--nonsense", "1"])
    with pytest.raises(ServerFailed, match=r"(?s)valkey-server ended with code 1.*Bad directive"):
        await server.start()
    assert not server.running


async def test_a_port_in_use_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_run.server._PREDECESSOR_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerFailed, match=f"port {port} is in use by another program"):
            await EmbeddedValkey(tmp_path, port=port).start()


def open_to_others(folder: Path) -> list[str]:
    """What other users may look into."""
    paths = [folder, *folder.rglob("*")]
    return [f"{path} {path.stat().st_mode:o}" for path in paths if path.stat().st_mode & 0o077]


async def test_with_a_password_no_other_user_gets_in(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "valkey"
    password = kept_password(folder / "password")
    assert len(password) >= 32
    assert kept_password(folder / "password") == password
    async with EmbeddedValkey(folder, password=password) as server:
        async with redis.asyncio.from_url(server.url) as client:
            await client.set("key", "value")
            await client.config_set("save", "3600 1")
            await client.bgrewriteaof()
            await client.save()  # a snapshot, too
        stranger = redis.asyncio.Redis(host="127.0.0.1", port=server.port)
        with pytest.raises(redis.exceptions.AuthenticationError):
            await stranger.get("key")
        await stranger.aclose()
        words = psutil.Process(server.pid).cmdline()
        assert password not in " ".join(words)
        await server.restart(kill=True)
        async with redis.asyncio.from_url(server.url) as client:
            assert await client.get("key") == b"value"
        assert password not in server.log_file.read_text()
    assert [path.name for path in folder.glob("*.rdb")]
    assert open_to_others(folder) == []


async def test_data_of_a_time_without_a_password_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "valkey"
    folder.mkdir(mode=0o755)
    async with EmbeddedValkey(folder) as server, redis.asyncio.from_url(server.url) as client:
        await client.set("key", "value")
    folder.chmod(0o755)
    async with EmbeddedValkey(folder, password=kept_password(folder / "password")) as server:
        assert folder.stat().st_mode & 0o777 == 0o700
        async with redis.asyncio.from_url(server.url) as client:
            assert await client.get("key") == b"value"
