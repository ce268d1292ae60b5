"""Which block an Electrum server's figures are of: its own newest one, which is the node's a moment later."""

from __future__ import annotations

import asyncio
from typing import Final

from explorer.electrum.client import Electrum
from shared.lookups.parts import Tip

LEVEL_SECONDS: Final = 2.0
"""How long a server that is behind the node is given: it reads a block in less, and asks for one every few seconds."""

AGAIN_SECONDS: Final = 0.05
"""Between two looks at what the server told."""


async def level(electrum: Electrum, tip: Tip, seconds: float = LEVEL_SECONDS) -> Tip:
    """The server's newest block, once it is not below the node's `tip`, or after so long whichever it is.

    Raises ElectrumError without a server: so it is one that is well, and what was heard of it holds.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while True:
        told = await newest(electrum, tip)
        if told.height >= tip.height or loop.time() >= until:
            return told
        await asyncio.sleep(AGAIN_SECONDS)


async def newest(electrum: Electrum, tip: Tip) -> Tip:
    """The server's newest block as it told it last; `tip` itself where it is the same."""
    told = await electrum.tip()
    return tip if told.hash == tip.hash else Tip(height=told.height, hash=told.hash, time=told.time)
