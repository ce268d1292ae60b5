"""What look-ups leave for the watch: the script behind a hash, and which history was shown of it.

Pages name a script by its hash alone, and from protocol 1.7 on an Electrum server wants the script itself. The status
is that of the oldest answer of the last while: a page that was made of it and is watched only now is told of what came
between, whoever else has looked meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from explorer.aside import parts, quickly
from explorer.electrum.answers import Used
from explorer.electrum.script import Script
from shared import redis
from shared.keys import Keys

SCRIPT_MS: Final = 1_800_000
"""How long the script behind a hash is remembered after it was looked up, or watched."""

SEEN_MS: Final = 120_000
"""Within this time of its answer a page is watched, or asks for itself anew."""

TOLD_MS: Final = 60_000
"""How long it is known what was told after whoever told it went; another takes over within ten seconds."""

AT_ONCE: Final = 500


class Known(NamedTuple):
    """What is known of a script; `status` is the last one told, else the oldest one shown; None: neither."""

    script: Script
    status: str | None
    told: bool


def status_of(history: Sequence[Used]) -> str:
    """The status of a history as the Electrum protocol defines it; empty: no transaction."""
    said = hashlib.sha256()
    for part in parts(history):
        said.update("".join(f"{one.txid}:{one.height}:" for one in part).encode())
    return said.hexdigest() if history else ""


class Seen:
    """The record of it in Redis."""

    def __init__(self, client: redis.Client, keys: Keys) -> None:
        self._redis = client
        self._keys = keys

    async def note(self, script: Script, history: Sequence[Used] | None) -> None:
        """An answer is being made of this history; None where it is too long for anybody to tell. Raises TROUBLE."""
        status = None if history is None else await quickly(len(history), status_of, history)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(self._keys.script(script.hash), script.script or "", px=SCRIPT_MS)
            if status is not None:
                pipe.set(self._keys.status_seen(script.hash), status, px=SEEN_MS, nx=True)
            await pipe.execute()

    async def known(self, names: Sequence[str]) -> dict[str, Known]:
        """What is known of these script hashes; of which no script is known is left out. Raises TROUBLE."""
        found = {}
        for start in range(0, len(names), AT_ONCE):
            part = names[start : start + AT_ONCE]
            async with self._redis.pipeline(transaction=False) as pipe:
                for key in (self._keys.script, self._keys.status_seen, self._keys.status_told):
                    pipe.mget([key(name) for name in part])
                answers = await pipe.execute()
            for name, script, seen, told in zip(part, *answers, strict=True):
                if script is not None:
                    status = seen if told is None else told
                    known = Script(name, script.decode())
                    found[name] = Known(known, None if status is None else status.decode(), told is not None)
        return found

    async def renew(self, names: Iterable[str]) -> None:
        """These are watched still. Raises TROUBLE."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.pexpire(self._keys.script(name), SCRIPT_MS)
                pipe.pexpire(self._keys.status_told(name), TOLD_MS)
            await pipe.execute()
