"""The embedded run's data folder: one run at a time, and ports that stay the same from run to run."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from local_run import ports
from local_run.errors import SetupError

_PREDECESSOR_SECONDS = 10.0  # a server of a run that was killed may still be stopping


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Make the folder and hold it; raises SetupError when another run does, or it cannot be written.

    One that is there already keeps its mode: it may be the user's own, for more than this.
    """
    path = folder / "lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise SetupError(
            f"DATA_DIR={folder} cannot be used ({error.strerror}); expected a folder to write to"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise SetupError(
                f"DATA_DIR={folder} is in use by another run (process {holder}); expected one run a folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


async def stable_ports(folder: Path, names: tuple[str, ...]) -> dict[str, int]:
    """A loopback port for each name: the one of the last run while it is free, else a new one, remembered."""
    path = folder / "ports.json"
    known: dict[str, int] = {}
    with contextlib.suppress(FileNotFoundError, ValueError):
        known = {str(name): int(port) for name, port in json.loads(path.read_text()).items()}
    fresh = iter(ports.pick(len(names)))
    chosen: dict[str, int] = {}
    for name in names:
        last = known.get(name, 0)
        chosen[name] = last if last and await ports.wait_until_free(last, _PREDECESSOR_SECONDS) else next(fresh)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps({**known, **chosen}, indent=2) + "\n")
    temporary.replace(path)
    return chosen
