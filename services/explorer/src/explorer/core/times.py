"""Blocks of the best chain by height, many at once."""

from __future__ import annotations

from collections.abc import Iterable

from explorer.core.answers import Header
from explorer.core.node import Node
from shared.events.base import Hash
from shared.lookups.parts import Tip


async def headers_of(node: Node, heights: Iterable[int | None], tip: Tip) -> dict[int | None, Header]:
    """Of the blocks of the best chain at these heights; those that it has not are left out."""
    wanted = sorted({height for height in heights if height is not None and height <= tip.height})
    hashes = await node.rpc.batch([("getblockhash", (height,)) for height in wanted], kind=Hash)
    known = [(height, one) for height, one in zip(wanted, hashes, strict=True) if isinstance(one, str)]
    headers = await node.rpc.batch([("getblockheader", (one,)) for _, one in known], kind=Header)
    return {height: header for (height, _), header in zip(known, headers, strict=True) if isinstance(header, Header)}


async def times_of(node: Node, heights: Iterable[int | None], tip: Tip) -> dict[int | None, int]:
    """Unix seconds of the same blocks, by height."""
    return {height: header.time for height, header in (await headers_of(node, heights, tip)).items()}
