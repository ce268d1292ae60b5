"""The feerate at which a waiting transaction is mined: of the group with which miners take it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Member(NamedTuple):
    """A transaction of a cluster: virtual bytes, satoshi with the node's own deltas, and what it spends from."""

    vsize: int
    fee: int
    parents: frozenset[str]


def mining_rate(txid: str, members: Mapping[str, Member]) -> float:
    """sat/vB of the group with which `txid` would be taken into a block, as a miner picks: the best set of
    ancestors first, again and again (Bitcoin Core's `addPackageTxs` until 30).

    `members` are its whole cluster; parents that are not among them are taken as mined.
    """
    left = dict(members)
    ancestors: dict[str, set[str]] = {}

    def above(one: str) -> set[str]:
        if one not in ancestors:
            found = {one}
            waiting = [one]
            while waiting:
                for parent in left[waiting.pop()].parents:
                    if parent in left and parent not in found:
                        found.add(parent)
                        waiting.append(parent)
            ancestors[one] = found
        return ancestors[one]

    while True:
        rates = {}
        for one in left:
            group = above(one)
            rates[one] = sum(left[it].fee for it in group) / sum(left[it].vsize for it in group)
        best = max(rates, key=lambda one: (rates[one], one))
        group = above(best)
        if txid in group:
            return rates[best]
        left = {one: member for one, member in left.items() if one not in group}
        ancestors = {one: set_ - group for one, set_ in ancestors.items() if one in left}
