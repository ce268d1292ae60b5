"""What lies ahead of a transaction that waits: read from the mempool's views."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog

from explorer.timeline.odds import ahead
from shared import redis
from shared.domains import MEMPOOL
from shared.keys import Keys
from shared.lookups.transaction import Ahead
from shared.views import FeesView

_log: Any = structlog.get_logger()


async def queue(client: redis.Client, keys: Keys, rate: float, vsize: int) -> Ahead | None:
    """At `rate` (sat/vB, as miners look at it); None where it is not known what waits. Raises one of redis.TROUBLE."""
    raw: bytes | None = await client.hget(keys.views(MEMPOOL), "fees")
    if raw is None:
        return None
    try:
        view = msgspec.json.decode(raw, type=FeesView)
    except msgspec.MsgspecError as error:  # of another version, for a moment
        _log.warning("queue_unknown", error=repr(error)[:200])
        return None
    return placed(view, rate, vsize)


def placed(view: FeesView, rate: float, vsize: int) -> Ahead:
    """The first projected block that takes less than `rate`; what pays less than all of them falls into the last."""
    projected = view.projected_blocks
    waits = ahead(view.histogram, rate, vsize)
    if not projected:
        return Ahead(vsize=waits)
    last = len(projected)
    block = next((at for at, one in enumerate(projected, 1) if one.fee_range[0] <= rate), last)
    return Ahead(vsize=waits, block=block, last=block == last > 1)
