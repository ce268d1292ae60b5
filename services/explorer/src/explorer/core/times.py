"""Blocks of the best chain by height, many at once."""

from __future__ import annotations

from collections.abc import Iterable

from explorer.core.answers import Header
from explorer.core.node import Node
from shared.events.base import Hash
from shared.lookups.parts import Tip


async def headers_of(node: Node, heights: Iterable[int | None], tip: Tip) -> dict[int | None, Header]:
    """Of the blocks of the best chain at these heights; those that it has not are left out.

    They are remembered for as long as the chain below them is the same, and nothing is kept that was read while it
    changed. How many confirmations they had is of when they were read.
    """
    wanted = sorted({height for height in heights if height is not None and height <= tip.height})
    found: dict[int | None, Header] = {
        height: header for height in wanted if (header := node.chain.get(height, tip.hash)) is not None
    }
    missing = [height for height in wanted if height not in found]
    if not missing:
        return found
    calls = [("getblockhash", (height,)) for height in missing]
    *hashes, best = await node.rpc.batch([*calls, ("getbestblockhash", ())], kind=Hash)
    known = [(height, one) for height, one in zip(missing, hashes, strict=True) if isinstance(one, str)]
    headers = await node.rpc.batch([("getblockheader", (one,)) for _, one in known], kind=Header)
    read = {height: header for (height, _), header in zip(known, headers, strict=True) if isinstance(header, Header)}
    if best == tip.hash:
        node.chain.put(read, tip.hash)
    return found | dict(read.items())


async def times_of(node: Node, heights: Iterable[int | None], tip: Tip) -> dict[int | None, int]:
    """Unix seconds of the same blocks, by height."""
    return {height: header.time for height, header in (await headers_of(node, heights, tip)).items()}
