"""`python -m local_run.containers FOLDER`: what deploy/compose.yaml needs beside itself; `make up` calls it.

Secrets are made once and kept. Settings are those of `make run`, from the environment and `env/.env.*`; without a node
it is the demonstration. The folder then holds users and addresses of Redis (shared.access), `wallet` (what seals
wallets) and `node` (the password of the node called main), `settings.env` and `node.env` for services, and
`compose.env` for compose itself.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from local_run import apart
from local_run.errors import SetupError
from local_run.valkey import kept_password
from shared import access, settings
from shared.errors import DashboardError

HOST: Final = "host.docker.internal"
"""This machine, as a container sees it."""

_PASSED: Final = (
    "BITCOIN_NETWORK", "OUTSIDE", "OUTSIDE_URL", "OUTSIDE_CONTACT", "COINGECKO_API_KEY", "CURRENCY", "ALLOWED_HOSTS",
    "BACKFILL_LOAD", "TIMELINE_DAYS", "TIMELINE_MEMORY", "LOG_LEVEL", "LOG_FORMAT",
)  # fmt: skip
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def prepare(folder: Path, environment: Mapping[str, str], say: list[str]) -> None:
    """Write all of it; `say` gets what a person should know. Raises ConfigError and SetupError."""
    config = settings.load(environment)
    files = settings.read_files(Path(environment.get("ENV_DIR") or "env"))
    values = {**files, **{name: value for name, value in environment.items() if value.strip()}}
    demonstrate = not config.configured_nodes
    passed: dict[str, str] = {name: values[name] for name in _PASSED if name in values}
    kept_password(folder / "wallet")
    if demonstrate:
        network = "regtest"
        node = _demonstration()
        password = kept_password(folder / "node")
        passed |= {"DASHBOARD_DEMO": "1", "DASHBOARD_DEMO_WALLET_FILE": "/shown/wallet.txt"}
    else:
        network = config.network
        password = next((one.rpc_password for one in config.nodes if one.prefix == "MAIN"), "")
        node = _of_nodes(config, values, say)
    if config.wallet_secret:
        access.write(folder / "wallet", f"{config.wallet_secret}\n")
    passed["BITCOIN_NETWORK"] = network
    access.make(folder, network, "redis:6379")
    access.write(folder / "node", f"{password}\n")
    for name in ("wallet", "node"):
        (folder / name).chmod(0o644)  # whom it is mounted for is another user; the folder keeps others out
    access.write(folder / "settings.env", _file(passed))
    access.write(folder / "node.env", _file(node))
    users = hashlib.sha256((folder / "users.acl").read_bytes()).hexdigest()[:16]
    variables = {
        "SECRETS": str(folder.absolute()),
        "USERS": users,
        "COMPOSE_PROFILES": "demo" if demonstrate else "node",
        "PUBLISH": f"{_bracketed(config.web_host)}:{config.web_port or 8080}",
        **({"OPERATORS_PORT": str(config.admin_port)} if config.admin_port else {}),
    }
    access.write(folder / "compose.env", _file(variables))


def _demonstration() -> dict[str, str]:
    return {
        "NODES": "main",
        "MAIN_RPC_URL": f"http://demo:{apart.RPC_PORT}",
        "MAIN_RPC_USER": apart.USER,
        "MAIN_ZMQ_URLS": f"tcp://demo:{apart.ZMQ_PORT}",
        "MAIN_ELECTRUM_URL": f"ws://demo:{apart.ELECTRUM_PORT}",
    }


def _of_nodes(config: settings.Settings, values: Mapping[str, str], say: list[str]) -> dict[str, str]:
    found = {"NODES": ",".join(node.name for node in config.nodes)}
    for node in config.nodes:
        if node.rpc_cookie_file is not None:
            raise SetupError(
                f"{node.prefix}_RPC_COOKIE_FILE={str(node.rpc_cookie_file)!r}: a container cannot read the node's "
                f"cookie; expected {node.prefix}_RPC_USER and {node.prefix}_RPC_PASSWORD (rpcauth= in bitcoin.conf)"
            )
        for name, value in values.items():
            if re.fullmatch(rf"{node.prefix}_(RPC_URL|RPC_USER|ZMQ_URLS|ELECTRUM_URL|ELECTRUM_PIN)", name):
                found[name] = ",".join(_from_inside(one.strip(), name, say) for one in value.split(","))
        if node.prefix != "MAIN" and node.rpc_password:  # of the one called main it is a secret of its own
            found[f"{node.prefix}_RPC_PASSWORD"] = node.rpc_password
    return found


def _from_inside(address: str, name: str, say: list[str]) -> str:
    """The address as a container reaches it: loopback is its own."""
    parts = urlsplit(address)
    if parts.hostname not in _LOOPBACK:
        return address
    say.append(f"{name}: {parts.hostname} is {HOST} for containers; the node must listen there and allow it")
    port = f":{parts.port}" if parts.port is not None else ""
    return urlunsplit(parts._replace(netloc=f"{HOST}{port}"))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _file(variables: Mapping[str, str]) -> str:
    """As compose reads it: in single quotes a value means itself."""
    for name, value in variables.items():
        if "'" in value or "\n" in value:
            raise SetupError(f"{name}: expected a value without ' and of one line")
    return "".join(f"{name}='{value}'\n" for name, value in sorted(variables.items()))


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    said: list[str] = []
    try:
        prepare(Path(arguments[0]), os.environ, said)
    except (DashboardError, OSError) as error:
        sys.stderr.write(f"make up: {error}\n")
        return 1
    for line in dict.fromkeys(said):
        sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
