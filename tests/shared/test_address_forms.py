"""Every form of address that a variable may have, to a server that listens there."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from local_run import child
from local_run.errors import SetupError
from local_run.node import RegtestNode
from local_run.ports import pick
from local_run.valkey import EmbeddedValkey
from shared import redis
from shared.addresses import web_url
from shared.rpc import RpcClient
from shared.settings import load
from support.ipv6 import has_ipv6, needs_ipv6
from support.servers import binary
from support.stack import until


async def answers(url: str, no_env: Path) -> None:
    """The settings take the address, and both kinds of client reach the server."""
    taken = load({"REDIS_URL": url}, no_env).require_redis()
    for connect in (redis.connect, redis.connect_blocking):
        client = connect(taken)
        try:
            assert await client.ping()
        finally:
            await client.aclose()


@pytest.mark.parametrize(
    "form",
    [
        "redis://127.0.0.1:{port}",
        "redis://localhost:{port}/0",
        pytest.param("redis://[::1]:{port}/0", marks=needs_ipv6),
        "unix://{socket}",
        "unix://{socket}?db=0",
    ],
)
async def test_redis_answers_at_every_form_of_address(form: str, tmp_path: Path, no_env: Path) -> None:
    path = tmp_path / "redis.sock"
    bind = ["--bind", "127.0.0.1", "::1"] if has_ipv6() else []
    async with EmbeddedValkey(tmp_path / "data", extra=["--unixsocket", str(path), *bind]) as server:
        await answers(form.format(port=server.port, socket=path), no_env)


@needs_ipv6
async def test_a_name_with_both_families_is_tried_at_both(
    tmp_path: Path, no_env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server listens at one of them; which one comes first does not matter."""
    loop = asyncio.get_running_loop()
    found = loop.getaddrinfo

    async def both(host: Any, port: Any, **more: Any) -> Any:
        if host != "both.example":
            return await found(host, port, **more)
        return [*await found("::1", port, **more), *await found("127.0.0.1", port, **more)]

    monkeypatch.setattr(loop, "getaddrinfo", both)
    async with EmbeddedValkey(tmp_path / "data") as server:
        await answers(f"redis://both.example:{server.port}", no_env)


async def test_a_password_is_taken_as_it_was_escaped(tmp_path: Path, no_env: Path) -> None:
    awkward = '#/?@:%[]"\\ '
    server = EmbeddedValkey(tmp_path / "data", password=awkward)
    async with server:
        await answers(f"redis://:%23%2F%3F%40:%25%5B%5D%22%5C%20@127.0.0.1:{server.port}", no_env)
        await answers(server.url, no_env)


async def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for loopback and its key."""
    key, made = folder / "key.pem", folder / "cert.pem"
    process = await child.start(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", made, "-subj", "/CN=loopback", "-addext", "subjectAltName=IP:127.0.0.1,IP:::1"]
    )  # fmt: skip
    assert await process.wait() == 0
    return made, key


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("[::1]", marks=needs_ipv6)])
async def test_redis_answers_over_tls(host: str, tmp_path: Path, no_env: Path) -> None:
    try:
        program = await binary("redis-7")  # the Valkey that comes as a package is built without TLS
    except SetupError as error:
        pytest.skip(str(error))
    made, key = await certificate(tmp_path)
    port = pick()[0]
    extra = ["--tls-port", str(port), "--tls-cert-file", str(made), "--tls-key-file", str(key)]
    extra += ["--tls-ca-cert-file", str(made), "--tls-auth-clients", "no"]
    extra += ["--bind", "127.0.0.1", "::1"] if has_ipv6() else []
    async with EmbeddedValkey(tmp_path / "data", binary=program, extra=extra):
        await answers(f"rediss://{host}:{port}/0?ssl_ca_certs={made}", no_env)


async def test_the_node_answers_at_every_form_of_address(tmp_path: Path, no_env: Path) -> None:
    six = ["-rpcbind=::1", "-rpcallowip=::1"] if has_ipv6() else []
    async with RegtestNode(tmp_path / "node", extra=six) as node:
        for host in ("127.0.0.1", "localhost", *(["[::1]"] if has_ipv6() else [])):
            url = f"http://{host}:{node.rpc_port}"
            env = {"MAIN_RPC_URL": url, "MAIN_RPC_COOKIE_FILE": str(node.cookie_file)}
            async with RpcClient(load(env, no_env).nodes[0]) as rpc:
                assert await rpc.call("getblockcount") == 0, url


@pytest.mark.parametrize("host", ["", pytest.param("::1", marks=needs_ipv6)])
async def test_figures_for_prometheus_are_served_to_this_machine_alone(host: str, tmp_path: Path) -> None:
    port = pick()[0]
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    env = {"REDIS_URL": "redis://127.0.0.1:1", "ENV_DIR": str(tmp_path / "none"), "METRICS_PORT": str(port)}
    process = await child.start([sys.executable, "-m", "mempool"], env={**kept, **env, "ADMIN_HOST": host})

    async def listening() -> set[str]:
        found = psutil.Process(process.pid).net_connections()
        return {each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN and each.laddr.port == port}

    try:
        assert await until(listening, 20, "it listens") == {host or "127.0.0.1"}
        url = f"{web_url(host or '127.0.0.1', port)}/metrics"
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as response:
                assert "dashboard_service_ok" in await response.text()
            async with session.get(url, headers={"Host": "evil.example"}) as response:
                assert response.status == 421
                assert "ALLOWED_HOSTS=evil.example" in await response.text()
    finally:
        await child.kill(process)


async def test_an_address_for_figures_that_is_not_here_is_named(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    env = {"REDIS_URL": "redis://127.0.0.1:1", "ENV_DIR": str(tmp_path)}
    env |= {"METRICS_PORT": "9100", "ADMIN_HOST": "192.0.2.1"}
    process = await child.start([sys.executable, "-m", "mempool"], env={**kept, **env}, output=asyncio.subprocess.PIPE)
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert output.decode().startswith("mempool: METRICS_PORT=9100: cannot listen there, at ADMIN_HOST=192.0.2.1 (")
