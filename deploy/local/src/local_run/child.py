"""Child processes that never outlive this one, and that are always waited for."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def dies_with_parent(number: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends `number` to the child when this process is gone, even by kill -9.

    Linux only; elsewhere the child stays when its parent is killed. prctl(2): what counts is the thread
    that forked, so start children from a thread that lives as long as they should.
    """
    parent = os.getpid()

    def before_exec() -> None:
        if _libc is None:
            return
        _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and prctl: nobody will tell us any more
            os._exit(1)

    return before_exec


async def start(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: IO[bytes] | int | None = None,
    when_orphaned: signal.Signals = signal.SIGTERM,
    umask: int = -1,
) -> asyncio.subprocess.Process:
    """Start a program in a session of its own, so that a terminal's Ctrl-C reaches only the runner.

    `output` takes stdout and stderr together: an open file, `asyncio.subprocess.PIPE`, or None for nowhere.
    `umask` -1 is ours. Raises OSError when the program cannot be executed.
    """
    return await asyncio.create_subprocess_exec(
        *(os.fspath(part) for part in argv),
        env=env,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL if output is None else output,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=dies_with_parent(when_orphaned),
        umask=umask,
    )


def signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to the process and all that it started; nothing happens when they are gone."""
    if process.returncode is None:  # else the number may be another process's by now
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


async def stop(process: asyncio.subprocess.Process, *, grace: float) -> int:
    """SIGTERM, up to `grace` seconds of time, then SIGKILL; returns the exit code (negative: the signal)."""
    signal_group(process, signal.SIGTERM)
    try:
        return await asyncio.wait_for(process.wait(), grace)
    except TimeoutError:
        return await kill(process)
    except asyncio.CancelledError:
        signal_group(process, signal.SIGKILL)
        raise


async def kill(process: asyncio.subprocess.Process) -> int:
    """SIGKILL and wait; returns the exit code (negative: the signal)."""
    signal_group(process, signal.SIGKILL)
    return await process.wait()
