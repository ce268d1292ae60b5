"""Programs out of Debian packages, unpacked into a folder of ours: no root, nothing installed.

The packages come from the Debian archive that this machine's apt is set up for, of any suite, and apt
checks the signatures. Each program runs on the libraries unpacked beside it, loader included, so that a
program of a newer suite runs on an older Debian.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from local_run import child
from local_run.cache import made_once
from local_run.errors import SetupError

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_LOADERS = {"amd64": "x86_64-linux-gnu/ld-linux-x86-64.so.2", "arm64": "aarch64-linux-gnu/ld-linux-aarch64.so.1"}
_LIBRARY_PREFIXES = ("lib", "zlib")

# The launcher finds everything from its own place, so that the folder can be moved or reached by a link.
# Its last word is an exec: the process that the caller started becomes the program itself.
_LAUNCHER = """#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")/root
exec "$root/usr/lib/{loader}" --library-path "$root/usr/lib/{triplet}" "$root/{program}" "$@"
"""


async def unpack(
    packages: Sequence[str], programs: Sequence[str], suite: str, into: Path, *, limit: float = 300
) -> dict[str, Path]:
    """Unpack `packages` of a suite (such as `sid`) with the libraries they need; returns each program's launcher.

    `programs` are paths inside the packages, such as `usr/bin/bitcoind`; the result's keys are their last
    parts. What is already there is kept. Two processes may ask at once: one unpacks, the other waits.
    Raises SetupError: no apt, another architecture, no Debian archive, or a package that is not there.
    """
    launchers = {Path(program).name: into / "bin" / Path(program).name for program in programs}
    await made_once(
        into,
        json.dumps({"packages": [*packages], "programs": [*programs], "suite": suite}),
        lambda folder: _build(packages, programs, suite, folder),
        what=f"unpacking {', '.join(packages)}",
        limit=limit,
        needed=[*launchers.values()],
    )
    return launchers


async def _build(packages: Sequence[str], programs: Sequence[str], suite: str, folder: Path) -> None:
    apt = folder / "apt"
    await _prepare(apt, suite)
    await _apt(apt, "update")
    plan = await _apt(apt, "--simulate", "install", *packages)
    needed = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    # Of what the packages depend on, the libraries: no init system, no scripts that set up accounts.
    chosen = [name for name in needed if name in packages or name.startswith(_LIBRARY_PREFIXES)]
    await _apt(apt, "download", *chosen, cwd=apt)

    root = folder / "root"
    for archive in sorted(apt.glob("*.deb")):
        await _run("dpkg-deb", "--extract", archive, root)
    shutil.rmtree(apt)

    loader = _LOADERS[await _architecture()]
    if not (root / "usr/lib" / loader).exists():
        raise SetupError(f"the packages {', '.join(packages)} brought no loader {loader}")
    (folder / "bin").mkdir()
    for program in programs:
        if not (root / program).exists():
            raise SetupError(f"no {program} in {', '.join(packages)} of Debian {suite}")
        launcher = folder / "bin" / Path(program).name
        launcher.write_text(_LAUNCHER.format(loader=loader, triplet=loader.partition("/")[0], program=program))
        launcher.chmod(0o755)


async def _prepare(apt: Path, suite: str) -> None:
    """An apt state of its own: lists, archives, and an empty status, so that it names every library."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise SetupError("there is no apt on this machine to unpack programs with; expected Debian")
    architecture = await _architecture()
    if architecture not in _LOADERS:
        raise SetupError(f"this machine's architecture is {architecture}; expected one of {', '.join(_LOADERS)}")
    for part in ("lists/partial", "archives/partial"):
        (apt / part).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb {_signed_by()}{await _archive()} {suite} main\n")


def _signed_by() -> str:
    # Without this file apt checks against the keys that it trusts for every source.
    return f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""


async def _archive() -> str:
    """Address of the Debian archive among this machine's apt sources."""
    # Without release information: a machine that never ran `apt-get update` has none, and would list nothing.
    lines = await _run(
        "apt-get", "indextargets", "--no-release-info", "--format", "$(SITE)|$(COMPONENT)", "Created-By: Packages"
    )
    targets = [line.partition("|") for line in lines.splitlines()]
    # Security updates live in an archive of their own that has no suites beside the released ones.
    sites = [site for site, _, component in targets if component == "main" and "security" not in site]
    if not sites:
        raise SetupError("apt's sources name no Debian archive; expected one with the component main")
    return next((site for site in sites if "debian" in site), sites[0])


async def _architecture() -> str:
    return (await _run("dpkg", "--print-architecture")).strip()


async def _apt(folder: Path, *arguments: str, cwd: Path | None = None) -> str:
    options = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache::archives": folder / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Install-Recommends": "0",
        "APT::Sandbox::User": getpass.getuser(),  # apt's own account may not read our folder
        "Debug::NoLocking": "1",
    }
    flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return await _run("apt-get", "-q", *flags, *arguments, cwd=cwd)


async def _run(*argv: str | Path, cwd: Path | None = None) -> str:
    """Run to the end and return what it printed; SetupError with its last lines when it fails."""
    try:
        process = await child.start(argv, cwd=cwd, output=asyncio.subprocess.PIPE)
    except FileNotFoundError:
        raise SetupError(f"there is no {argv[0]} on this machine; expected Debian") from None
    try:
        output, _ = await process.communicate()
    finally:
        await child.kill(process)
    text = output.decode(errors="replace")
    if process.returncode:
        reason = " / ".join(text.strip().splitlines()[-3:])
        words = [str(part) for part in argv if "=" not in str(part) and not str(part).startswith("-")]
        raise SetupError(f"{' '.join(words[:4])} failed: {reason}")
    return text
