"""What the timeline knows beside the transactions."""

from __future__ import annotations

import msgspec


class Meta(msgspec.Struct):
    """What is known beside the transactions; as it is stored."""

    since_ms: int = 0  # since when it is recorded
    newest_ms: int = 0  # the newest entry
    agreed_ms: int = 0  # when what waits was last seen to be what waits at the node
    node_ahead_ms: int = 0  # how far the node's clock is ahead of Redis'
    generation: int = 0  # new beginnings of the mempool's stream
    settled: int = 0  # the generation that everything that waits belongs to, or is gone
    gone_ms: int = 0  # when that was seen
    gone_after_ms: int = 0  # and what was gone by then was still there at this moment
    count: int = 0  # transactions that wait
