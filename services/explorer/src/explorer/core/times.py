"""When blocks of the best chain were found."""

from __future__ import annotations

from collections.abc import Iterable

from explorer.core.answers import Header
from explorer.core.node import Node
from shared.events.base import Hash
from shared.lookups.parts import Tip


async def times_of(node: Node, heights: Iterable[int | None], tip: Tip) -> dict[int | None, int]:
    """Height -> Unix seconds of the block there; those that the best chain has not are left out."""
    wanted = sorted({height for height in heights if height is not None and height <= tip.height})
    hashes = await node.rpc.batch([("getblockhash", (height,)) for height in wanted], kind=Hash)
    known = [(height, one) for height, one in zip(wanted, hashes, strict=True) if isinstance(one, str)]
    headers = await node.rpc.batch([("getblockheader", (one,)) for _, one in known], kind=Header)
    return {
        height: header.time for (height, _), header in zip(known, headers, strict=True) if isinstance(header, Header)
    }
