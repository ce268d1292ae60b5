"""What the servers that we run ourselves have in common: start until ready, stop, kill, restart."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from local_run import child, ports, private
from local_run.errors import ServerFailed

_LOG_LINES = 12
_PREDECESSOR_SECONDS = 10.0  # how long one that was told to stop a moment ago may keep a port


class Server(abc.ABC):
    """One process over one data folder; it listens on loopback, on ports that are kept across restarts.

    Only its user may look into the folder. It ends when this process ends, even by kill -9. Not safe for two event
    loops.
    """

    title: str
    """What it is called in an error."""

    def __init__(self, folder: Path, extra: Sequence[str]) -> None:
        self.folder = folder.absolute()
        self.extra = tuple(extra)
        self._process: asyncio.subprocess.Process | None = None

    @property
    @abc.abstractmethod
    def log_file(self) -> Path:
        """The server's own log."""

    @abc.abstractmethod
    async def _command(self) -> list[str | Path]:
        """Find the program, choose the ports that are still 0; return what to execute."""

    @abc.abstractmethod
    def _ports(self) -> tuple[int, ...]:
        """The ports it is about to listen on."""

    @abc.abstractmethod
    async def _answers(self) -> bool:
        """True once it serves."""

    def _environment(self) -> Mapping[str, str] | None:
        """The variables that it is given; None: ours."""
        return None

    async def _hang_up(self) -> None:  # noqa: B027 - a server that we hold no connections to needs none
        """Close our connections to it: it is about to go."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def running(self) -> bool:
        """True while there is a process, ready or not."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process's number; RuntimeError when there is none."""
        if self._process is None or self._process.returncode is not None:
            raise RuntimeError(f"{self.title} is not running")
        return self._process.pid

    async def start(self, *, limit: float = 60) -> None:
        """Start and wait until it serves; does nothing when it runs already.

        Raises ServerFailed, with the end of its log, when it ended or `limit` seconds have passed; nothing
        of it is left running then.
        """
        if self.running:
            return
        command = await self._command()
        for port in self._ports():
            if not await ports.wait_until_free(port, _PREDECESSOR_SECONDS):
                raise ServerFailed(f"port {port} is in use by another program; expected it free for {self.title}")
        private.folder(self.folder)
        logged = self.log_file.stat().st_size if self.log_file.exists() else 0
        with open(self._output_file, "wb", opener=private.opener) as output:  # noqa: ASYNC230 - a local file, opened once
            self._process = await child.start(command, env=self._environment(), output=output, umask=private.UMASK)
        failure = ""
        try:
            failure = await asyncio.wait_for(self._failure(), limit)
        except TimeoutError:
            failure = f"did not answer within {limit:.0f} s"
        except BaseException:
            await self.kill()
            raise
        if failure:
            await self.kill()
            raise ServerFailed(f"{self.title} {failure}; it said last:\n{self._last_words(logged)}")

    async def stop(self, *, limit: float = 60) -> None:
        """SIGTERM, so that it flushes, and SIGKILL after `limit` seconds; nothing when it is not running."""
        await self._hang_up()
        if self._process is not None:
            await child.stop(self._process, grace=limit)

    async def kill(self) -> None:
        """SIGKILL, as a crash would: what it has not handed to the system is lost."""
        await self._hang_up()
        if self._process is not None:
            await child.kill(self._process)

    async def restart(self, *, kill: bool = False, limit: float = 60) -> None:
        """Stop (or kill) and start again, on the same ports and folder."""
        await (self.kill() if kill else self.stop())
        await self.start(limit=limit)

    async def wait(self) -> int:
        """Wait until the process ends, for whatever reason; returns its exit code (negative: the signal)."""
        if self._process is None:
            raise RuntimeError(f"{self.title} was not started")
        return await self._process.wait()

    @property
    def _output_file(self) -> Path:
        return self.folder / "output.log"  # of a start that fails before there is a log

    async def _failure(self) -> str:
        """Wait until it serves (an empty answer) or has ended (how)."""
        while not await self._answers():
            if self._process is not None and self._process.returncode is not None:
                return f"ended with code {self._process.returncode}"
            await asyncio.sleep(0.02)
        return ""

    def _last_words(self, offset: int) -> str:
        lines: list[str] = []
        for path, start in {self.log_file: offset, self._output_file: 0}.items():  # which may be the same
            if path.exists():
                lines += path.read_bytes()[start:].decode(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join(lines) or "(nothing)"
