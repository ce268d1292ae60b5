"""A fold's second input: entries that come in no particular order and perhaps twice, from any number of senders.

The fold takes what it has a use for; the commit that carries its effect also deletes the entry. So what is in the
stream is what is still to be done, whatever happened before.
"""

from __future__ import annotations

from collections.abc import Sequence

from redis.exceptions import ResponseError

from shared import redis
from shared.commit import Commands
from shared.events.base import Event, Family


class Inbox:
    """The stream, read through a group for the sake of waiting for it together with the other one."""

    def __init__(self, client: redis.Client, stream: str, group: str, family: Family) -> None:
        self.stream = stream
        self._client = client
        self._group = group
        self._family = family

    async def align(self) -> None:
        """Have everything that is there delivered (again): what was committed is not there any more."""
        try:
            await self._client.xgroup_create(self.stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
            await self._client.xgroup_setid(self.stream, self._group, id="0")

    def decode(self, fields: dict[bytes, bytes]) -> Event | None:
        """The event; None where this version does not know its type. Raises BadEntry."""
        return self._family.decode(fields[b"type"], fields[b"data"], fields.get(b"v", b"1"))

    def done(self, commands: Commands, entries: Sequence[bytes]) -> None:
        """Commands that take these entries out."""
        if entries:
            commands.add("XACK", self.stream, self._group, *entries)
            commands.add("XDEL", self.stream, *entries)
