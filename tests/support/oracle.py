"""What views and statistics should say, worked out from the node's own words by other code than ours."""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from typing import Any

import msgspec

from local_run.node import RegtestNode
from shared.bands import VALUE_BOUNDS
from shared.rpc import satoshi


class _Fees(msgspec.Struct):
    base: Decimal


class _Entry(msgspec.Struct):
    vsize: int
    fees: _Fees
    depends: list[str]


def value_band(value: int) -> int:
    """Index in VALUE_BOUNDS of an output of `value` satoshi: the last bound that it reaches."""
    return max(place for place, bound in enumerate(VALUE_BOUNDS) if value >= bound)


async def effective_rates(node: RegtestNode) -> dict[str, tuple[int, int, float]]:
    """txid -> (fee, vsize, effective feerate) of everything in the node's mempool.

    Greedy over the whole mempool: take the transaction with the best ancestor feerate, with what it still needs, and
    merge a package into the one before of its own cluster where it pays more.
    """
    entries: dict[str, _Entry] = await node.rpc("getrawmempool", True, kind=dict[str, _Entry])
    rates: dict[str, tuple[int, int, float]] = {}
    for cluster in _clusters(entries):
        packages: list[list[str]] = []
        left = set(cluster)
        while left:
            packages.append(
                max((_needed(txid, left, entries) for txid in sorted(left)), key=lambda p: _rate(p, entries))
            )
            left.difference_update(packages[-1])
            while len(packages) > 1 and _rate(packages[-1], entries) > _rate(packages[-2], entries):
                last = packages.pop()
                packages[-1] = packages[-1] + last
        for package in packages:
            for txid in package:
                entry = entries[txid]
                rates[txid] = (satoshi(entry.fees.base), entry.vsize, _rate(package, entries))
    return rates


def _rate(package: list[str], entries: dict[str, _Entry]) -> float:
    return sum(satoshi(entries[txid].fees.base) for txid in package) / sum(entries[txid].vsize for txid in package)


def _needed(txid: str, left: set[str], entries: dict[str, _Entry]) -> list[str]:
    found, waiting = set(), [txid]
    while waiting:
        one = waiting.pop()
        if one in left and one not in found:
            found.add(one)
            waiting += entries[one].depends
    return sorted(found)


def _clusters(entries: dict[str, _Entry]) -> list[set[str]]:
    group = {txid: {txid} for txid in entries}
    for txid, entry in entries.items():
        for parent in entry.depends:
            if group[txid] is not group[parent]:
                small, large = sorted((group[txid], group[parent]), key=len)
                large |= small
                for member in small:
                    group[member] = large
    return list({id(cluster): cluster for cluster in group.values()}.values())


def histogram(rates: dict[str, tuple[int, int, float]], bounds: list[float]) -> list[tuple[int, int, int]]:
    """(count, vsize, fee) by band."""
    bands = [[0, 0, 0] for _ in bounds]
    for fee, vsize, rate in rates.values():
        band = bands[bisect_right(bounds, rate) - 1]
        band[0] += 1
        band[1] += vsize
        band[2] += fee
    return [(count, vsize, fee) for count, vsize, fee in bands]


def replay_transactions(entries: list[tuple[str, int, str, dict[str, Any]]]) -> set[str]:
    """The mempool that a stream of `{net:mempool}:txs` adds up to; fails where an event is missing or repeated."""
    present: set[str] = set()
    _contiguous(entries)
    for entry_id, _, kind, data in entries:
        if kind == "mempool.reset":
            present.clear()
        elif kind == "tx.added":
            assert data["txid"] not in present, f"{data['txid']} was added twice, again at {entry_id}"
            present.add(data["txid"])
        elif kind == "tx.removed":
            assert data["txid"] in present, f"{data['txid']} was removed without being there at {entry_id}"
            present.remove(data["txid"])
        elif kind == "mempool.synced":
            assert data["tx_count"] == len(present), f"synced at {entry_id} with another count"
    return present


def replay_blocks(entries: list[tuple[str, int, str, dict[str, Any]]]) -> tuple[int, str]:
    """Height and hash of the tip that a stream of `{net:chain}:blocks` adds up to; fails where one does not fit."""
    height, tip = -1, ""
    _contiguous(entries)
    for entry_id, _, kind, data in entries:
        if kind == "headers.loaded":
            height, tip = data["height"] + len(data["headers"]) - 1, data["tip_hash"]
        elif kind == "block.connected":
            assert (data["height"], data["prev_hash"]) == (height + 1, tip), f"does not fit at {entry_id}"
            height, tip = data["height"], data["hash"]
        elif kind == "block.disconnected":
            assert (data["height"], data["hash"]) == (height, tip), f"does not fit at {entry_id}"
            height, tip = height - 1, data["prev_hash"]
    return height, tip


def _contiguous(entries: list[tuple[str, int, str, dict[str, Any]]]) -> None:
    sequences = [seq for _, seq, _, _ in entries]
    assert sequences == list(range(1, len(entries) + 1)), "the stream has a hole or a repetition"
