"""What is fetched once and kept: a folder that is there complete or not at all, made by one run while others wait."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from local_run.errors import SetupError

_MANIFEST: Final = "manifest.json"


def cache_folder() -> Path:
    """The checkout's `.cache`, or without a checkout `bitcoin-dashboard` in the account's own cache."""
    root = checkout()
    if root is not None:
        return root / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bitcoin-dashboard"


def checkout() -> Path | None:
    """The folder of the sources that we run from; None where we are installed without them."""
    root = Path(__file__).resolve().parents[4]
    return root if (root / "deploy" / "local" / "pyproject.toml").exists() else None


async def made_once(
    into: Path,
    wanted: str,
    build: Callable[[Path], Awaitable[None]],
    *,
    what: str,
    limit: float,
    needed: Sequence[Path] = (),
) -> None:
    """Have `build` fill the folder `into`, unless it was filled for the same `wanted` and all that is needed is there.

    `build` is given another folder beside it, which is moved at the end. Two processes may ask at once: one builds,
    the other waits. Raises what `build` raises, and SetupError, which names `what`, after `limit` seconds.
    """
    if _is_there(into, wanted, needed):
        return
    into.parent.mkdir(parents=True, exist_ok=True)
    async with _locked(into.with_name(into.name + ".lock"), limit):
        if _is_there(into, wanted, needed):
            return
        building = Path(tempfile.mkdtemp(prefix=f"{into.name}.new.", dir=into.parent))
        try:
            await asyncio.wait_for(build(building), limit)
            _finish(building, into, wanted)
        except TimeoutError:
            raise SetupError(f"{what} took longer than {limit:.0f} s") from None
        finally:
            shutil.rmtree(building, ignore_errors=True)


def _finish(building: Path, into: Path, wanted: str) -> None:
    (building / _MANIFEST).write_text(wanted)
    building.chmod(0o755)  # mkdtemp's 0700 would keep other accounts from running it
    shutil.rmtree(into, ignore_errors=True)
    building.rename(into)


def _is_there(into: Path, wanted: str, needed: Sequence[Path]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return (into / _MANIFEST).read_text() == wanted and all(path.exists() for path in needed)
    return False


@contextlib.asynccontextmanager
async def _locked(path: Path, limit: float) -> AsyncIterator[None]:
    """Hold the file's lock; the kernel releases it when this process ends, however it ends."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if loop.time() >= deadline:
                    raise SetupError(f"{path} has been locked by another run for {limit:.0f} s") from None
                await asyncio.sleep(0.1)
        yield
    finally:
        os.close(descriptor)
