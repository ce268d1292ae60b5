"""The services as child processes: their lines prefixed, restarted when they crash, stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Final, TextIO

from local_run import child

_COLOURS: Final = (36, 33, 35, 32, 34, 96, 93, 95)  # ANSI foregrounds that read on light and dark grounds
_CHUNK: Final = 65536
_LONGEST_LINE: Final = 1_000_000  # bytes; a longer line is broken here, so that one service cannot fill the memory


@dataclass(frozen=True)
class Program:
    """What to keep running; `env` is the whole environment, None for ours."""

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds."""

    first_delay: float = 0.5
    """Before the first restart after a crash; twice as long before each further one."""
    longest_delay: float = 30
    healthy_after: float = 60
    """A program that ran this long has recovered: its next crash counts as the first."""
    grace: float = 10
    """Between SIGTERM and SIGKILL when stopping."""


class Console:
    """Whole lines of several programs on one stream, each with its program's name in front."""

    def __init__(self, stream: TextIO | None = None, *, colour: bool | None = None) -> None:
        """`stream` None is stdout; `colour` None means only on a terminal."""
        self._stream = sys.stdout if stream is None else stream
        self._colour = self._stream.isatty() if colour is None else colour
        self._names: list[str] = []

    def introduce(self, name: str) -> None:
        """Announce a name, so that the prefixes line up."""
        if name not in self._names:
            self._names.append(name)

    def write(self, name: str, line: str) -> None:
        """Write one line; a closed stream (a reader that went away) is not worth stopping for."""
        self.introduce(name)
        width = max(len(known) for known in self._names)
        prefix = f"{name:<{width}} |"
        if self._colour:
            colour = _COLOURS[self._names.index(name) % len(_COLOURS)]
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(f"{prefix} {line}\n")
            self._stream.flush()


class Supervisor:
    """Keeps programs running until it is cancelled; afterwards none of them is left."""

    def __init__(self, programs: Sequence[Program], console: Console, patience: Patience | None = None) -> None:
        self._programs = tuple(programs)
        self._console = console
        self._patience = patience or Patience()
        for program in self._programs:
            console.introduce(program.name)

    async def run(self) -> None:
        """Run all until cancelled; then end all, side by side, within the grace plus a moment."""
        async with asyncio.TaskGroup() as group:
            for program in self._programs:
                group.create_task(self._keep(program), name=program.name)

    async def _keep(self, program: Program) -> None:
        loop = asyncio.get_running_loop()
        delay = self._patience.first_delay
        while True:
            started = loop.time()
            how = await self._run_once(program)
            if loop.time() - started >= self._patience.healthy_after:
                delay = self._patience.first_delay
            self._console.write(program.name, f"{how}; starting it again in {delay:g} s")
            await asyncio.sleep(delay)
            delay = min(2 * delay, self._patience.longest_delay)

    async def _run_once(self, program: Program) -> str:
        """Run to the end; returns how it ended, in words."""
        try:
            process = await child.start(
                program.argv, env=program.env, output=asyncio.subprocess.PIPE, when_orphaned=SIGKILL
            )
        except OSError as error:
            return f"cannot be started ({error})"
        relay = asyncio.create_task(self._relay(program.name, process))
        try:
            code = await process.wait()
        finally:
            try:  # on cancellation: end it while its last lines still come through
                await child.stop(process, grace=self._patience.grace)
            finally:
                await _finish(relay)
        return f"killed by {Signals(-code).name}" if code < 0 else f"ended with code {code}"

    async def _relay(self, name: str, process: asyncio.subprocess.Process) -> None:
        if process.stdout is not None:
            async for line in _lines(process.stdout):
                self._console.write(name, line)


async def _finish(relay: asyncio.Task[None]) -> None:
    """Let the relay write what is left; a grandchild that keeps the pipe open must not hold us up."""
    await asyncio.wait({relay}, timeout=1)
    relay.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await relay


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines of any length; StreamReader.readline would raise for one beyond its limit."""
    rest = b""
    while chunk := await stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
        if len(rest) > _LONGEST_LINE:
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace")
