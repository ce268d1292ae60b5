"""By what confirmed outputs were spent: found in the Electrum history of their scripts, where that is short.

Bitcoin Core does not tell it. Whatever an Electrum server names is read from the node where that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace as _with

from explorer.address.raw import flow
from explorer.core.answers import Transaction
from explorer.core.node import Node
from explorer.electrum.answers import Used
from explorer.electrum.client import Electrum
from explorer.electrum.script import Script
from shared.errors import ElectrumError, RpcError
from shared.events.base import Hash
from shared.lookups.parts import Output, Spender
from shared.lookups.transaction import PAGE, Found
from shared.tasks import together

OUTPUTS: Final = 20
"""Outputs of a page that are looked for."""

LONGEST: Final = 200
"""Transactions of a history that is looked through."""

CANDIDATES: Final = 200
"""Transactions that are read for one page."""

AT_ONCE: Final = 20

_Point = tuple[str, int]


async def with_spenders(electrum: Electrum, node: Node, found: Found) -> Found:
    """With the spenders that could be found; where nobody tells, as it was."""
    first, height = found.page * PAGE, found.place.height if found.place else 0
    wanted = [(vout, one) for vout, one in enumerate(found.outputs, first) if one.spent and one.spender is None]
    wanted = wanted[:OUTPUTS]
    if not wanted:
        return found
    scripts = list(dict.fromkeys(one.script for _, one in wanted))
    histories = await together(*(_history(electrum, script) for script in scripts))
    candidates: dict[str, int] = {}
    for one in _nearest(histories, height):
        if one.txid != found.txid and len(candidates) < CANDIDATES:
            candidates[one.txid] = one.height
    open_points = {(found.txid, vout) for vout, _ in wanted}
    spenders: dict[_Point, Spender] = {}
    names = list(candidates)
    for start in range(0, len(names), AT_ONCE):
        if open_points <= spenders.keys():
            break
        part = {txid: candidates[txid] for txid in names[start : start + AT_ONCE]}
        for txid, spends in (await _spends(electrum, node, part)).items():
            for vin, point in enumerate(spends):
                if point in open_points:
                    spenders[point] = Spender(txid=txid, vin=vin, height=part[txid])
    if not spenders:
        return found
    outputs = [_told(one, spenders.get((found.txid, vout))) for vout, one in enumerate(found.outputs, first)]
    return _with(found, outputs=outputs, sources={**found.sources, "spenders": "electrum"})


def _told(output: Output, spender: Spender | None) -> Output:
    return output if spender is None else _with(output, spender=spender)


async def _history(electrum: Electrum, script: str) -> list[Used]:
    """Short ones alone; none where nobody tells."""
    try:
        found = await electrum.history(Script.of(script))
    except ElectrumError:
        return []
    return found if len(found) <= LONGEST else []


def _nearest(histories: Iterable[Sequence[Used]], height: int) -> list[Used]:
    """Those that can have spent an output of this height, the soonest first."""
    later = {one.txid: one for history in histories for one in history if not one.waits and one.height >= height}
    return sorted(later.values(), key=lambda one: (one.height, one.txid))


async def _spends(electrum: Electrum, node: Node, wanted: dict[str, int]) -> dict[str, list[_Point]]:
    """What each of these spends, of those that anybody has."""
    heights = sorted(set(wanted.values()))
    hashes = await node.rpc.batch([("getblockhash", (height,)) for height in heights], kind=Hash)
    at = {height: one for height, one in zip(heights, hashes, strict=True) if isinstance(one, str)}
    asked = [txid for txid, height in wanted.items() if height in at]
    answers = await node.rpc.batch(
        [("getrawtransaction", (txid, 1, at[wanted[txid]])) for txid in asked], kind=Transaction
    )
    found: dict[str, list[_Point]] = {}
    for txid, answer in zip(asked, answers, strict=True):
        if not isinstance(answer, RpcError):
            found[txid] = [(one.txid or "", one.vout or 0) for one in answer.vin]
    missing = [txid for txid in asked if txid not in found]  # in blocks that the node has pruned
    for txid, raw in zip(missing, await together(*(_raw(electrum, txid) for txid in missing)), strict=True):
        if raw is not None:
            found[txid] = flow(raw).spends
    return found


async def _raw(electrum: Electrum, txid: str) -> bytes | None:
    try:
        return await electrum.transaction(txid)
    except ElectrumError:
        return None
