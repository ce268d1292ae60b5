"""What compose needs is made of the same settings as `make run` has; secrets once, and each for whom it is."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local_run.containers import prepare
from local_run.errors import SetupError
from shared import domains, env_files, settings
from support.each import each

ROOT = Path(__file__).resolve().parents[2]

SECRET = "correct-horse-battery"  # noqa: S105 - must stand in its own file alone
NODE = {
    "MAIN_RPC_URL": "http://127.0.0.1:8332",
    "MAIN_RPC_USER": "alice",
    "MAIN_RPC_PASSWORD": SECRET,
    "MAIN_ZMQ_URLS": "tcp://127.0.0.1:28332,tcp://10.0.0.5:28333",
}


def made(folder: Path, environment: dict[str, str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Variables by file, and what was said."""
    said: list[str] = []
    prepare(folder / "secrets", {"ENV_DIR": str(folder / "env"), **environment}, said)
    found = {}
    for name in ("settings", "node", "compose"):
        copy = folder / f"read-{name}"
        copy.mkdir(exist_ok=True)
        (copy / ".env.main").write_text((folder / "secrets" / f"{name}.env").read_text())
        found[name] = {key: one.value for key, one in env_files.read(copy).items()}
    return found, said


def test_without_a_node_it_is_the_demonstration(tmp_path: Path) -> None:
    found, said = made(tmp_path, {"OUTSIDE": "off", "CURRENCY": "EUR"})
    assert said == []
    assert found["settings"]["BITCOIN_NETWORK"] == "regtest"
    assert (found["settings"]["OUTSIDE"], found["settings"]["CURRENCY"]) == ("off", "EUR")
    assert found["compose"]["COMPOSE_PROFILES"] == "demo"
    assert found["node"]["MAIN_RPC_URL"] == "http://demo:18443"
    secret = tmp_path / "secrets" / "node"
    inside = {**found["settings"], **found["node"], "MAIN_RPC_PASSWORD_FILE": str(secret)}
    config = settings.load({**inside, "REDIS_URL_FILE": str(tmp_path / "secrets" / "redis-web")}, tmp_path / "none")
    assert config.nodes[0].rpc_password == secret.read_text().strip()
    assert config.redis_url is not None
    assert config.redis_url.startswith("redis://web:")


def test_what_is_secret_stays_as_it_is_and_is_nobody_elses(tmp_path: Path) -> None:
    made(tmp_path, {})
    folder = tmp_path / "secrets"
    before = {path.name: path.read_text() for path in folder.iterdir()}
    made(tmp_path, {})
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("node", "wallet"):
        assert len(before[name].strip()) >= 32
        assert before[name].strip() not in before["settings.env"] + before["node.env"] + before["compose.env"]


def test_a_node_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / ".env.main").write_text("".join(f"{name}='{value}'\n" for name, value in NODE.items()))
    found, said = made(tmp_path, {"WEB_HOST": "0.0.0.0", "WEB_PORT": "80"})
    assert found["compose"]["COMPOSE_PROFILES"] == "node"
    assert found["compose"]["PUBLISH"] == "0.0.0.0:80"
    assert found["settings"] == {"BITCOIN_NETWORK": "main"}
    assert found["node"] == {
        "NODES": "main",
        "MAIN_RPC_URL": "http://host.docker.internal:8332",
        "MAIN_RPC_USER": "alice",
        "MAIN_ZMQ_URLS": "tcp://host.docker.internal:28332,tcp://10.0.0.5:28333",
    }
    assert len(said) == 2
    assert (tmp_path / "secrets" / "node").read_text() == f"{SECRET}\n"
    assert "{main:chain}" in (tmp_path / "secrets" / "users.acl").read_text()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"MAIN_RPC_URL": "http://h:1", "MAIN_RPC_COOKIE_FILE": "/x/.cookie"}, "cannot read the node's cookie"),
        ({"ALLOWED_HOSTS": "a.example", "OUTSIDE_CONTACT": "it's@a.example"}, "OUTSIDE_CONTACT: expected a value"),
    ],
)
def test_what_a_container_could_not_use_is_said(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        made(tmp_path, environment)


def composed(folder: Path) -> tuple[dict[str, Any], str]:
    """What compose makes of its file with what is made in the folder."""
    secrets = folder / "secrets"
    command = [ROOT / ".venv/bin/docker-compose", "--env-file", secrets / "compose.env", "-f", "deploy/compose.yaml"]
    done = subprocess.run(
        [*map(str, command), "config", "--format", "json"],
        cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stdout


def test_every_service_is_composed_closed_and_with_its_own_secrets(tmp_path: Path) -> None:
    made(tmp_path, {})
    config, text = composed(tmp_path)
    services = config["services"]
    assert services.keys() == {one.name for one in domains.SERVICES} | {"redis", "proxy", "demo"}
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["mem_limit"]) > 0, name
        assert float(service["cpus"]) > 0, name
        assert each(port["host_ip"] == "127.0.0.1" for port in service.get("ports", ())) if "ports" in service else True
        assert "container_name" not in service, name
    for one in domains.SERVICES:
        given = {secret["source"]: secret["target"] for secret in services[one.name]["secrets"]}
        assert given.pop(f"redis-{one.name}") == "redis"
        asks = one.name in ("chain-ingest", "backfill", "explorer")
        assert given.keys() == {*(["node"] if asks else []), *(["wallet"] if one.name in ("web", "explorer") else [])}
        assert ("MAIN_RPC_URL" in services[one.name]["environment"]) == asks
        image = "chain-ingest" if one.within else one.name
        assert services[one.name]["image"] == f"bitcoin-dashboard/{image}:latest"
    for secret in ("node", "wallet", *(f"redis-{one.name}" for one in domains.SERVICES)):
        assert (tmp_path / "secrets" / secret).read_text().strip() not in text


def test_on_a_node_of_ones_own_there_is_no_other(tmp_path: Path) -> None:
    made(tmp_path, NODE)
    config, text = composed(tmp_path)
    assert "demo" not in config["services"]
    assert SECRET not in text
