"""What a fold wants written, looked at without Redis and carried out on a real one."""

from __future__ import annotations

from collections.abc import Iterator

from shared import redis
from shared.clock import Moment
from shared.commit import Argument, Cursor
from shared.fold import Changes


def at(ms: int) -> Moment:
    """A moment at which both clocks read the same."""
    return Moment(ms, ms)


def commands(changes: Changes) -> Iterator[tuple[str, str, list[Argument]]]:
    """Command, key and further arguments, one after the other."""
    arguments, at = changes.commands.arguments, 0
    while at < len(arguments):
        count, command, index = arguments[at : at + 3]
        assert isinstance(count, int)
        assert isinstance(index, int)
        yield str(command), changes.commands.keys[index - 3], arguments[at + 3 : at + 1 + count]
        at += count + 1


def views(changes: Changes, key: str) -> dict[str, bytes]:
    """The views that are written, by name."""
    written: dict[str, bytes] = {}
    for command, on, arguments in commands(changes):
        if on == key:
            assert command == "HSET"
            name, raw = arguments
            assert isinstance(raw, bytes)
            written[str(name)] = raw
    return written


class Committer:
    """Commits changes as the consumer does, with a lease that nobody else wants."""

    def __init__(self, client: redis.Client, checkpoint: str) -> None:
        self._client = client
        self._cursor = Cursor(client, checkpoint)
        self._lease = f"{checkpoint}:test-lease"
        self._number = 0

    async def commit(self, changes: Changes) -> None:
        await self._client.set(self._lease, "test")
        self._number += 1
        await self._cursor.commit(self._lease, "test", str(self._number), changes.commands)
