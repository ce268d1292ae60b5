"""The feerate at which a waiting transaction is mined: of the group with which miners take it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Member(NamedTuple):
    """A transaction of a cluster: virtual bytes, satoshi with the node's own deltas, and what it spends from."""

    vsize: int
    fee: int
    parents: frozenset[str]


class _Group(NamedTuple):
    """Transactions that are taken together."""

    txids: frozenset[str]
    vsize: int
    fee: int

    def and_then(self, later: _Group) -> _Group:
        return _Group(self.txids | later.txids, self.vsize + later.vsize, self.fee + later.fee)


def mining_rate(txid: str, members: Mapping[str, Member]) -> float:
    """sat/vB of the group with which `txid` would be taken into a block, as a miner picks: the best set of
    ancestors first, again and again (Bitcoin Core's `addPackageTxs` until 30). A set that pays more than the one
    before it had to wait for that one, and counts with it, as in the mempool's picture.

    `members` are its whole cluster; parents that are not among them are taken as mined.
    """
    groups: list[_Group] = []
    left = dict(members)
    sets = {one: _sum(_above(one, left), left) for one in sorted(left)}
    while sets:
        best = max(sets.values(), key=lambda it: it.fee / it.vsize)
        groups.append(best)
        left = {one: member for one, member in left.items() if one not in best.txids}
        sets = {
            one: it if it.txids.isdisjoint(best.txids) else _sum(it.txids - best.txids, left)
            for one, it in sets.items()
            if one in left
        }
        while len(groups) > 1 and groups[-1].fee * groups[-2].vsize > groups[-2].fee * groups[-1].vsize:
            later = groups.pop()
            groups[-1] = groups[-1].and_then(later)
    return next(it.fee / it.vsize for it in groups if txid in it.txids)


def _above(txid: str, members: Mapping[str, Member]) -> frozenset[str]:
    """It and all of the members that it spends from, however far."""
    found, waiting = {txid}, [txid]
    while waiting:
        fresh = [it for it in members[waiting.pop()].parents if it in members and it not in found]
        found.update(fresh)
        waiting += fresh
    return frozenset(found)


def _sum(txids: frozenset[str], members: Mapping[str, Member]) -> _Group:
    return _Group(txids, sum(members[it].vsize for it in txids), sum(members[it].fee for it in txids))
