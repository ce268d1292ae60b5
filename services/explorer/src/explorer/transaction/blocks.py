"""The block of a transaction that the node cannot name without an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from explorer.address.raw import flow
from explorer.core.coins import UNSPENDABLE
from explorer.core.node import Node
from explorer.electrum.client import Electrum
from explorer.electrum.script import Script
from shared.errors import ElectrumError
from shared.lookups.transaction import Step
from shared.scripts.kinds import kind_of

SCRIPTS_TRIED: Final = 3
"""Scripts of its outputs whose histories are looked through; each has the transaction."""


def in_block(steps: Sequence[Step]) -> str | None:
    """The block that it was mined into, as far as recorded, and has not left since."""
    last = next((step for step in reversed(steps) if step.what in ("mined", "disconnected")), None)
    return last.block if last is not None and last.what == "mined" else None


async def block_of(electrum: Electrum, node: Node, txid: str) -> str | None:
    """The block at the height that an Electrum server's history tells; None where none does."""
    try:
        makes = flow(await electrum.transaction(txid)).makes
        scripts = dict.fromkeys(script for _, script in makes if script and kind_of(script) not in UNSPENDABLE)
        for script in list(scripts)[:SCRIPTS_TRIED]:
            for one in await electrum.history(Script.of(script)):
                if one.txid == txid and not one.waits:
                    return await node.hash_at(one.height)
    except (ElectrumError, ValueError):  # it helps where it can, and is not needed
        return None
    return None
