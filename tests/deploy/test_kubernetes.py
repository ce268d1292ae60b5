"""What stands in deploy/kubernetes is what the code needs: services, settings, streams, and nothing left open."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis.exceptions import NoPermissionError

from local_run.valkey import EmbeddedValkey
from shared import domains, redis, settings
from shared.keys import Keys
from shared.variables import Reader
from support.each import each

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/kubernetes"
OVERLAYS = tuple(sorted(path.name for path in (FOLDER / "overlays").iterdir()))
SCALED = tuple(name for name in OVERLAYS if name != "one-machine")
NAMES = {service.name for service in domains.SERVICES}
LEASED = NAMES - {"backfill", "explorer", "web"}
"""Of which one replica is active and another stands by."""

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on this machine")

Object = dict[str, Any]


@functools.cache
def built(overlay: str) -> tuple[Object, ...]:
    """The objects of an overlay, as they would be applied."""
    told = subprocess.run(["kubectl", "kustomize", FOLDER / "overlays" / overlay], capture_output=True, check=True)
    return tuple(yaml.safe_load_all(told.stdout))


def of_kind(overlay: str, kind: str) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in built(overlay) if one["kind"] == kind}


def pods(overlay: str) -> Iterator[tuple[str, Object]]:
    """Name and pod of everything that runs."""
    for kind in ("Deployment", "StatefulSet"):
        for name, one in of_kind(overlay, kind).items():
            yield name, one["spec"]["template"]["spec"]


def container(overlay: str, service: str) -> Object:
    [it] = of_kind(overlay, "Deployment")[service]["spec"]["template"]["spec"]["containers"]
    found: Object = it
    return found


def variables(overlay: str, service: str) -> dict[str, str]:
    """What is set by ConfigMaps and in the open; of secrets where they come from."""
    it, known = container(overlay, service), of_kind(overlay, "ConfigMap")
    found: dict[str, str] = {}
    for source in it["envFrom"]:
        found |= known[source["configMapRef"]["name"]]["data"]
    for one in it["env"]:
        secret = one.get("valueFrom", {}).get("secretKeyRef")
        found[one["name"]] = one["value"] if "value" in one else f"{secret['name']}/{secret['key']}"
    return found


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return super().get(key, default)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_service_is_deployed_once_and_nothing_else_is(overlay: str) -> None:
    deployed = of_kind(overlay, "Deployment")
    assert set(deployed) == NAMES
    for service in domains.SERVICES:
        it = container(overlay, service.name)
        image = "chain-ingest" if service.within else service.name
        assert it["image"].partition(":")[0] == f"bitcoin-dashboard/{image}"
        assert ":" in it["image"], "a version of its own"
        assert it.get("command") == (["python", "-m", service.module] if service.within else None)
        spec = deployed[service.name]["spec"]
        assert spec.get("replicas") == (2 if service.name in LEASED else None)  # the others are KEDA's business
        assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        assert labels["app.kubernetes.io/component"] == "service"


def test_what_has_two_replicas_is_what_has_a_lease() -> None:
    for name in LEASED:
        folder = ROOT / "services" / name / "src"
        told = "".join(path.read_text() for path in folder.rglob("*.py"))
        assert re.search(r"\b(Consumer|Leased|Poller)\(", told), f"{name} has no lease"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_has_probes_limits_and_no_rights(overlay: str) -> None:
    found = list(pods(overlay))
    assert len(found) >= len(NAMES)
    for name, pod in found:
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name  # Kubernetes would set REDIS_PORT and WEB_PORT
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert "hostNetwork" not in pod
        for it in pod["containers"]:
            assert it["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert {"startupProbe", "livenessProbe"} <= set(it), name
            assert set(it["resources"]["limits"]) == {"cpu", "memory"}, name
            assert set(it["resources"]["requests"]) == {"cpu", "memory"}, name
            assert "/tmp" in [one["mountPath"] for one in it["volumeMounts"]], name  # noqa: S108 - of the container
        if name in NAMES:
            assert pod["securityContext"]["runAsUser"] == 10001
            assert pod["terminationGracePeriodSeconds"] == 20
            [tmp] = pod["volumes"]
            assert tmp["name"] == "tmp"
            assert "emptyDir" in tmp


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_probes_ask_what_a_restart_would_mend(overlay: str) -> None:
    for name in NAMES:
        it = container(overlay, name)
        probes = [it["startupProbe"], it["livenessProbe"], *([it["readinessProbe"]] if name == "web" else [])]
        for probe in probes:
            if (
                name == "web"
            ):  # /readyz is 503 on all replicas at once, where pages with aged figures are better than none
                assert probe["httpGet"] == {"path": "/healthz", "port": "http"}
                assert "exec" not in probe
            else:
                assert probe["exec"] == {"command": ["python", "-m", "shared.alive"]}
        assert ("readinessProbe" in it) is (name == "web")


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("service", sorted(NAMES))
def test_the_variables_are_settings_of_ours_with_values_that_are_taken(
    overlay: str, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "redis": "redis+cluster://chain-ingest:secret@valkey-0.valkey.valkey.svc:6379,valkey-1.valkey.valkey.svc:6379",
        "wallet": "0123456789abcdefghijklmnopqrstuvwxyz",
    }
    given = variables(overlay, service)
    filled = {
        name: secrets.get(value.partition("/")[0], "secret") if re.fullmatch(r"[a-z]+/[a-z-]+", value) else value
        for name, value in given.items()
    }
    asked = Asked(filled)
    monkeypatch.setattr(settings, "Reader", lambda values: Reader(asked))
    config = settings.load(filled, ROOT / "no-such-folder")
    assert set(given) <= asked.names, f"no settings of ours: {sorted(set(given) - asked.names)}"
    assert given["REDIS_URL"] == f"redis/redis-{service}"
    ports = {one["name"]: one["containerPort"] for one in container(overlay, service)["ports"]}
    assert config.admin_host == "0.0.0.0"
    if service == "web":
        assert (config.web_host, config.web_port, config.admin_port) == ("0.0.0.0", ports["http"], ports["metrics"])
        [rule] = of_kind(overlay, "Ingress")["web"]["spec"]["rules"]
        assert config.allowed_hosts == (rule["host"],)
        assert config.trusted_proxies
    else:
        assert config.metrics_port == ports["metrics"] == 9000
    asks_node = {"chain-ingest", "backfill", "explorer"}
    assert bool(config.configured_nodes) is (service in asks_node)
    assert ("WALLET_SECRET" in given) is (service in {"explorer", "web"})


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_secret_is_in_the_repository(overlay: str) -> None:
    assert not of_kind(overlay, "Secret")
    for name in NAMES:
        for one in container(overlay, name)["env"]:
            assert ("valueFrom" in one) is bool(re.search(r"REDIS_URL|PASSWORD|SECRET|KEY", one["name"])), one
    for one in of_kind(overlay, "ConfigMap").values():
        assert not re.search(r"PASSWORD|SECRET|API_KEY|REDIS_URL", " ".join(one["data"]))


@pytest.mark.parametrize("overlay", SCALED)
def test_streams_that_scaling_looks_at_are_ours(overlay: str) -> None:
    keys = Keys(variables(overlay, "web")["BITCOIN_NETWORK"])
    looked_at = {
        "explorer": keys.requests(domains.CHANGES.slot),
        "backfill": keys.stream(domains.BACKFILL),
    }
    scaled = of_kind(overlay, "ScaledObject")
    assert set(scaled) == {*looked_at, "web"}
    authentications = of_kind(overlay, "TriggerAuthentication")
    for name, one in scaled.items():
        spec = one["spec"]
        assert spec["scaleTargetRef"]["name"] == name
        assert "replicas" not in of_kind(overlay, "Deployment")[name]["spec"]
        assert 1 <= spec["minReplicaCount"] < spec["maxReplicaCount"]
        behaviour = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert behaviour["scaleDown"]["stabilizationWindowSeconds"] >= 300
        streams = [trigger for trigger in spec["triggers"] if "streams" in trigger["type"]]
        assert len(streams) == (name in looked_at)
        for trigger in streams:
            told = trigger["metadata"]
            assert told["stream"] == looked_at[name]
            # What is done is deleted, so the length is what waits. Beside a group KEDA would overlook the length.
            assert "streamLength" in told
            assert "consumerGroup" not in told
            assert trigger["authenticationRef"]["name"] in authentications
            kind, at = {
                "one-machine-scaled": ("redis-streams", "address"),
                "cluster": ("redis-cluster-streams", "addresses"),
                "sentinel": ("redis-sentinel-streams", "addresses"),
            }[overlay]
            assert trigger["type"] == kind
            assert {key for key in told if key.startswith("address")} == {at}
            assert ("sentinelMaster" in told) is (overlay == "sentinel")
    formula = scaled["backfill"]["spec"]["advanced"]["scalingModifiers"]["formula"]
    named = {trigger["name"] for trigger in scaled["backfill"]["spec"]["triggers"]}
    assert set(re.findall(r"[a-z]+", formula)) == named


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_who_reaches_whom(overlay: str) -> None:
    policies = {name: one["spec"] for name, one in of_kind(overlay, "NetworkPolicy").items()}
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    outside = [name for name, one in policies.items() if "0.0.0.0/0" in json.dumps(one)]
    assert outside == ["outside"]
    [only] = policies["outside"]["podSelector"]["matchExpressions"]
    assert sorted(only["values"]) == ["market", "marketcap"]
    entered = {name for name, one in policies.items() if one.get("ingress")}
    wanted = {"web": True, "figures": overlay in SCALED, "redis": overlay.startswith("one-machine")}
    assert entered == {name for name, there in wanted.items() if there}
    assert each("from" in rule for name in entered for rule in policies[name]["ingress"])  # never from anywhere
    [asking] = policies["node"]["podSelector"]["matchExpressions"]
    assert sorted(asking["values"]) == ["backfill", "chain-ingest", "explorer"]
    [address] = of_kind(overlay, "EndpointSlice")["node"]["endpoints"][0]["addresses"]
    assert policies["node"]["egress"][0]["to"] == [{"ipBlock": {"cidr": f"{address}/32"}}]
    reached = {rule["port"] for rule in policies["node"]["egress"][0]["ports"]}
    urls = [url for name, url in variables(overlay, "chain-ingest").items() if name.endswith(("_URL", "_URLS"))]
    assert {int(url.rpartition(":")[2]) for url in urls if ":" in url} == reached


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_service_may_be_moved_one_pod_at_a_time(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget")
    assert set(budgets) == NAMES
    for name, one in budgets.items():
        assert one["spec"]["maxUnavailable"] == 1
        assert one["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": name}


def test_replicas_of_a_cluster_never_share_a_machine_while_another_has_room() -> None:
    for name in NAMES:
        rules = of_kind("cluster", "Deployment")[name]["spec"]["template"]["spec"]["topologySpreadConstraints"]
        by_machine = [one for one in rules if one["topologyKey"] == "kubernetes.io/hostname"]
        assert [one["whenUnsatisfiable"] for one in by_machine] == ["DoNotSchedule"], name
        assert by_machine[0]["nodeTaintsPolicy"] == "Honor"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_streams_reach_readers_unbuffered(overlay: str) -> None:
    said = of_kind(overlay, "Ingress")["web"]["metadata"]["annotations"]
    prefix = "nginx.ingress.kubernetes.io/"
    assert said[f"{prefix}proxy-buffering"] == "off"
    assert int(said[f"{prefix}proxy-read-timeout"]) >= 3_600


@pytest.mark.parametrize("overlay", ["one-machine", "one-machine-scaled"])
def test_the_one_redis_keeps_what_it_is_told(overlay: str) -> None:
    told = of_kind(overlay, "StatefulSet")["redis"]["spec"]
    [pod] = told["template"]["spec"]["containers"]
    mounted = {one["name"] for one in pod["volumeMounts"]}
    [claim] = told["volumeClaimTemplates"]
    assert claim["metadata"]["name"] in mounted
    [written] = [one["data"]["redis.conf"] for name, one in of_kind(overlay, "ConfigMap").items() if "redis" in name]
    lines = dict(line.partition(" ")[::2] for line in written.splitlines() if line and not line.startswith("#"))
    assert lines["appendonly"] == "yes"
    assert lines["maxmemory-policy"] == "noeviction"
    limit = int(pod["resources"]["limits"]["memory"].removesuffix("Gi"))
    assert int(lines["maxmemory"].removesuffix("gb")) < limit


def test_an_overlay_of_ones_own_is_built_as_the_document_shows_it(tmp_path: Path) -> None:
    said = (ROOT / "docs/kubernetes.md").read_text()
    [text] = re.findall(r"```\n# mine/kustomization.yaml\n(.*?)```", said, re.DOTALL)
    folder = tmp_path / "mine"
    folder.mkdir()
    there = os.path.relpath(FOLDER.resolve(), folder.resolve())
    (folder / "kustomization.yaml").write_text(text.replace("../deploy/kubernetes", there))
    told = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, check=True)
    mine = {(one["kind"], one["metadata"]["name"].partition("-")[0]): one for one in yaml.safe_load_all(told.stdout)}
    [rule] = mine["Ingress", "web"]["spec"]["rules"]
    assert mine["ConfigMap", "web"]["data"]["ALLOWED_HOSTS"] == rule["host"] != "dashboard.example.org"
    [endpoint] = mine["EndpointSlice", "node"]["endpoints"]
    [reached] = mine["NetworkPolicy", "node"]["spec"]["egress"][0]["to"]
    assert reached["ipBlock"]["cidr"] == f"{endpoint['addresses'][0]}/32" != "192.0.2.10/32"


async def test_who_scales_learns_the_length_of_two_streams_and_nothing_else(
    valkey: EmbeddedValkey, client: redis.Client
) -> None:
    said = (ROOT / "docs/kubernetes.md").read_text()
    [rights] = re.findall(r"^user scaling on >PASSWORD (.*)$", said, re.MULTILINE)
    await client.execute_command("ACL", "SETUSER", "scaling", "reset", "on", ">pw", *rights.split())
    scaling = redis.connect(f"redis://scaling:pw@127.0.0.1:{valkey.port}/0")
    keys = Keys("main")
    requests, backfill = keys.requests(domains.CHANGES.slot), keys.stream(domains.BACKFILL)
    try:
        await client.xadd(requests, {"a": "b"})
        assert [await scaling.xlen(key) for key in (requests, backfill)] == [1, 0]
        for refused in (scaling.xrange(requests), scaling.xlen(keys.stream(domains.TXS)), scaling.delete(requests)):
            with pytest.raises(NoPermissionError):
                await refused
    finally:
        await scaling.aclose()
        await client.execute_command("ACL", "DELUSER", "scaling")
        await client.delete(requests, backfill)


def test_the_document_says_how_many_there_may_be() -> None:
    said = (ROOT / "docs/kubernetes.md").read_text()
    for name, one in of_kind("cluster", "ScaledObject").items():
        [row] = re.findall(rf"^\| {name} \| .*(?:[cC]onnections|[lL]ength|[bB]locks) .*$", said, re.MULTILINE)
        spec = one["spec"]
        assert f"| {spec['minReplicaCount']} to {spec['maxReplicaCount']} |" in row
        window = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"][
            "stabilizationWindowSeconds"
        ]
        assert f"after {window // 60} min |" in row
