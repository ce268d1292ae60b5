"""The wish that whoever asks sources outside asks them all again, left by `python -m shared.rebuild`.

The active replica carries it out and takes it away in one commit. What cannot be asked again is not part of it, unless
the wish names it.
"""

from __future__ import annotations

from typing import Final

from shared.service import Service

AGAIN: Final = "asked for by rebuild"
FORGET: Final = "asked for by rebuild, with its own history"
"""What stands in `Keys.resync`: the second where what was seen here alone is to be forgotten, too."""

OFF: Final = "OUTSIDE is off: nobody can be asked again"


async def wish(service: Service, key: str) -> str:
    """The wish that stands there; empty where there is none. One that nobody could be asked for is taken away."""
    raw: bytes | None = await service.redis.get(key)
    if raw is None:
        return ""
    if not service.settings.outside:
        service.log.warning("rebuild_refused", why=OFF)
        await service.redis.delete(key)
        return ""
    return raw.decode(errors="replace")
