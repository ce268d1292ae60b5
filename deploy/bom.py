"""What an image holds, as CycloneDX 1.5, read inside it by its own Python: `python - NAME VERSION < deploy/bom.py`.

Packages of Python as they are installed, and those of Debian's dpkg. Only the standard library is used: the image has
no more. Nothing depends on the moment or the machine, so that the same image gives the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

STATUS = Path("/var/lib/dpkg/status")


def of_python() -> Iterator[dict[str, Any]]:
    """Every distribution on the path."""
    for found in distributions():
        name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()
        said = found.metadata.get("License-Expression") or found.metadata.get("License") or ""
        yield component(name, found.version, f"pkg:pypi/{name}@{quote(found.version)}", said.partition("\n")[0])


def of_debian() -> Iterator[dict[str, Any]]:
    """Every package that is installed; nothing in an image that is not Debian's."""
    if not STATUS.exists():
        return
    for paragraph in STATUS.read_text(encoding="utf-8").split("\n\n"):
        about = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if about.get("Status", "").endswith(" installed"):
            name, version = about["Package"], about["Version"]
            place = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={about['Architecture']}"
            yield component(name, version, place, "")


def component(name: str, version: str, place: str, licence: str) -> dict[str, Any]:
    """One entry; `place` is its package URL."""
    said: dict[str, Any] = {"licenses": [{"license": {"name": licence}}]} if licence else {}
    return {"type": "library", "bom-ref": place, "name": name, "version": version, "purl": place, **said}


def bill(name: str, version: str) -> dict[str, Any]:
    """The whole document, components in order."""
    unique = {one["purl"]: one for one in (*of_python(), *of_debian())}
    components = [unique[place] for place in sorted(unique)]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([name, version, sorted(unique)]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": name, "name": name, "version": version}},
        "components": components,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bill(*sys.argv[1:3]), indent=1, ensure_ascii=False) + "\n")
