"""`python -m shared.access FOLDER`: the users of Redis, each with the least rights, and a password for each, made once.

What a service may do follows from what shared.domains declares: it writes in the slots of what it owns, tells its group
in the streams of other slots that it reads, and reads what else it needs. `streams` may read what others may rely on,
and nothing more; `operator` may do everything; `health` may ask whether Redis answers; nobody else is let in.

The folder then holds `users.acl`, in which passwords stand as SHA-256, and for each user an address as REDIS_URL_FILE
takes it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from shared import domains
from shared.keys import Keys
from shared.networks import NETWORKS

OPERATOR: Final = "operator"
STREAMS: Final = "streams"
HEALTH: Final = "health"

_COMMANDS: Final = (
    "-@all +@read +@write +@connection +@transaction +eval +evalsha +script|load +time -@dangerous +info "
    "-scan -randomkey -dbsize +cluster|slots +cluster|shards"
)
"""Of a service. INFO tells version, clock and memory; names of keys that are not its own it may not list."""

_READING: Final = "-@all +xread +xrange +xrevrange +xlen +xinfo|stream +@connection -@dangerous"

_NEEDS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "backfill": (("chain:backfill", "chain:claim:*"), ("chain:*", "mempool:txs")),
    "market": (("outside:*",), ()),
    "marketcap": (("outside:*",), ()),
    "explorer": ((), ("chain:views", "mempool:views")),
    "web": (
        (
            "explorer:requests", "explorer:jobs", "explorer:retries", "explorer:answer:*", "explorer:watched",
            "explorer:wallet:*",
        ),
        ("*",),
    ),
}  # fmt: skip
"""Beside what follows from the declarations: `SLOT:NAME` of what a service writes, and of what it only reads.

Redis asks for the right to write every key that a script is given: hence web and answers, which it only looks for.
"""


@dataclass(frozen=True, slots=True)
class User:
    """One line of the file: whom Redis lets in, and what he may do."""

    name: str
    rights: str

    def line(self, password: str) -> str:
        """As Redis reads it; without a password any will do."""
        shown = f"#{hashlib.sha256(password.encode()).hexdigest()}" if password else "nopass"
        return f"user {self.name} on {shown} {self.rights}"


def users(network: str) -> tuple[User, ...]:
    """Everybody who has a password."""
    served = (User(one.name, _of_service(network, one)) for one in domains.SERVICES)
    public = " ".join(f"%R~{key}" for key in domains.streams_of(Keys(network), private=False).values())
    return (*served, User(STREAMS, f"resetchannels {public} {_READING}"), User(OPERATOR, "~* &* +@all"))


def _of_service(network: str, service: domains.Service) -> str:
    writes, reads = _NEEDS.get(service.name, ((), ()))
    owned = {one.slot for one in domains.STREAMS if one.owner == service.name}
    owned |= {one.slot for one in domains.DOMAINS if one.owner is service}
    other = {
        f"{stream.slot}:{stream.name}"
        for one in domains.DOMAINS
        if one.owner is service
        for stream in (one.reads, *one.beside)
        if stream is not None and stream.slot not in owned
    }
    written = [*(f"{slot}:*" for slot in sorted(owned)), *sorted(other), *writes, "ops:health", "ops:events"]
    patterns = [f"~{_key(network, one)}" for one in written]
    patterns += [f"%R~{_key(network, one)}" for one in reads]
    return f"resetchannels {' '.join(patterns)} {_COMMANDS}"


def _key(network: str, pattern: str) -> str:
    slot, _, name = pattern.partition(":")
    return f"{{{network}:{slot}}}:{name}" if name else f"{{{network}:*"


def acl(network: str, passwords: dict[str, str]) -> str:
    """The whole file, for these passwords by user."""
    lines = [one.line(passwords[one.name]) for one in users(network)]
    lines += [User(HEALTH, "resetchannels -@all +ping").line(""), "user default off resetpass resetkeys -@all"]
    return "".join(f"{line}\n" for line in lines)


def make(folder: Path, network: str, at: str) -> None:
    """Write the file and the addresses; passwords that are there stay. `at` is HOST:PORT of Redis.

    The folder is its user's alone; the files inside can be read by whoever is handed one of them, as a container is.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passwords = {}
    for user in users(network):
        path = folder / f"redis-{user.name}"
        known = urlsplit(path.read_text(encoding="ascii").strip()).password if path.exists() else None
        passwords[user.name] = known or secrets.token_hex(24)
        write(path, f"redis://{user.name}:{passwords[user.name]}@{at}/0\n")
    write(folder / "users.acl", acl(network, passwords))


def write(path: Path, text: str) -> None:
    """Put the text into the file where it stands, since what is mounted into a container is the file, not its name."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o644)
        file.truncate()
        file.write(text)


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m shared.access", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--network", choices=tuple(NETWORKS), default="main")
    parser.add_argument("--at", default="redis:6379", help="HOST:PORT of Redis; redis:6379 if it is not said")
    read = parser.parse_args(arguments)
    make(read.folder, read.network, read.at)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
