"""What stands in deploy/kubernetes, as kustomize makes it: objects of an overlay, what runs, and what it is told."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
OVERLAYS = tuple(sorted(path.name for path in (FOLDER / "overlays").iterdir()))

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
