"""A transaction's place in the node's mempool."""

from __future__ import annotations

from typing import Final

from explorer.core.answers import MempoolEntry
from explorer.core.cluster import Member, mining_rate
from explorer.core.node import Node, unknown
from shared.errors import RpcRefused
from shared.lookups.transaction import PAGE, Relative, Waiting
from shared.rpc import satoshi
from shared.tasks import together

CLUSTER_MOST: Final = 500
"""Transactions of a cluster that are looked at; in a larger one no feerate is worked out."""

_Entries = dict[str, MempoolEntry]


async def waiting(node: Node, txid: str) -> Waiting | None:
    """What the mempool knows of it; None where it is not there."""
    try:
        entry, ancestors, descendants = await together(
            node.rpc.call("getmempoolentry", txid, kind=MempoolEntry),
            node.rpc.call("getmempoolancestors", txid, True, kind=_Entries),
            node.rpc.call("getmempooldescendants", txid, True, kind=_Entries),
        )
    except RpcRefused as error:
        if unknown(error):
            return None
        raise
    cluster = await _cluster(node, {**ancestors, **descendants, txid: entry})
    members = {one: Member(it.vsize, satoshi(it.fees.modified), frozenset(it.depends)) for one, it in cluster.items()}
    return Waiting(
        time=entry.time,
        replaceable=entry.bip125_replaceable,
        ancestors=_relatives(ancestors),
        descendants=_relatives(descendants),
        ancestor_count=len(ancestors),
        descendant_count=len(descendants),
        ancestor_vsize=entry.ancestorsize,
        ancestor_fee=satoshi(entry.fees.ancestor),
        descendant_vsize=entry.descendantsize,
        descendant_fee=satoshi(entry.fees.descendant),
        rate=mining_rate(txid, members) if members else None,
    )


def _relatives(entries: _Entries) -> list[Relative]:
    """The best-paying ones first."""
    found = [Relative(txid=one, vsize=it.vsize, fee=satoshi(it.fees.base)) for one, it in entries.items()]
    return sorted(found, key=lambda it: (-it.fee / it.vsize, it.txid))[:PAGE]


async def _cluster(node: Node, known: _Entries) -> _Entries:
    """Everything that hangs together with these; nothing where that is more than CLUSTER_MOST, or changes meanwhile."""
    while True:
        beside = {one for entry in known.values() for one in (*entry.depends, *entry.spentby)} - known.keys()
        if not beside:
            return known
        if len(known) + len(beside) > CLUSTER_MOST:
            return {}
        names = sorted(beside)
        answers = await node.rpc.batch([("getmempoolentry", (one,)) for one in names], kind=MempoolEntry)
        found = {one: it for one, it in zip(names, answers, strict=True) if isinstance(it, MempoolEntry)}
        if len(found) < len(names):
            return {}
        known = {**known, **found}
