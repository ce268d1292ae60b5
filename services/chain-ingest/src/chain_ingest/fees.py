"""What a block's transactions paid: from the outputs that they spent, or as the node works it out itself."""

from __future__ import annotations

import operator
import struct
from collections import defaultdict
from collections.abc import Mapping
from typing import Final, NamedTuple, Self

from chain_ingest.answers import BlockStats
from chain_ingest.block import Block
from chain_ingest.transaction import Walked, compact, read_outputs

WITNESS_SCALE_FACTOR: Final = 4
"""Weight units in a virtual byte (BIP 141)."""


class Fees(NamedTuple):
    """Of one block; feerates are whole sat/vB, as `getblockstats` rounds them."""

    total: int  # satoshi
    percentiles: list[int]  # at 10, 25, 50, 75, 90 % of the weight
    average: int

    @classmethod
    def told(cls, stats: BlockStats) -> Self:
        """As the node says."""
        return cls(stats.totalfee, stats.feerate_percentiles, stats.avgfeerate)


NONE: Final = Fees(0, [0, 0, 0, 0, 0], 0)
"""Of a block that has nothing but its coinbase."""


def fees_paid(block: Block, spent_outputs: bytes) -> Fees | None:
    """What was paid, from `/rest/spenttxouts` of the block; None where these are not the outputs that it spends."""
    txs = block.txs
    try:
        spent = spent_values(spent_outputs, txs)
    except (IndexError, ValueError, struct.error):
        return None
    fees = list(map(operator.sub, spent[1:], txs.sums[1:]))  # the coinbase pays nothing
    if not fees:
        return NONE
    if min(fees) < 0:
        return None
    weights = txs.weights()[1:]
    total, total_weight = sum(fees), sum(weights)
    by_rate: defaultdict[int, int] = defaultdict(int)
    for fee, weight in zip(fees, weights, strict=True):
        by_rate[fee * WITNESS_SCALE_FACTOR // weight] += weight
    return Fees(total, _percentiles(by_rate, total_weight), total * WITNESS_SCALE_FACTOR // total_weight)


def spent_values(raw: bytes, txs: Walked) -> list[int]:
    """Satoshi that each transaction of a block spends, from the outputs that the node keeps of it.

    A CompactSize of transactions, for each a CompactSize of outputs, none for the coinbase, each output as serialised
    (Bitcoin Core 30, doc/REST-interface.md). Raises ValueError where they are not those of these transactions.
    """
    count, at = compact(raw, 0)
    if count != len(txs):
        raise ValueError(f"outputs that {count} transactions spend: expected {len(txs)}")
    if raw[at] != 0:
        raise ValueError("outputs that a coinbase spends")
    at += 1
    sums = [0]
    for inputs in txs.inputs[1:]:
        if inputs == raw[at] == 1 and raw[at + 9] < 0xFD:  # as most are, so in place
            sums.append(int.from_bytes(raw[at + 1 : at + 9], "little"))
            at += 10 + raw[at + 9]
            continue
        values: list[int] = []
        at = read_outputs(raw, at, values)
        if len(values) != inputs:
            raise ValueError(f"{len(values)} outputs are spent by {inputs} inputs")
        sums.append(sum(values))
    if at != len(raw):
        raise ValueError(f"{len(raw) - at} bytes follow the last output")
    return sums


def _percentiles(by_rate: Mapping[int, int], total_weight: int) -> list[int]:
    """As `getblockstats`: the feerates at which so much of the weight is reached (CalculatePercentilesByWeight).

    That walks single transactions, those of one feerate one after the other: the same as all of their weight at once.
    """
    bounds = [
        total_weight / 10.0, total_weight / 4.0, total_weight / 2.0, total_weight * 3.0 / 4.0, total_weight * 9.0 / 10.0
    ]  # fmt: skip
    found: list[int] = []
    reached = 0
    for rate in sorted(by_rate):
        reached += by_rate[rate]
        while len(found) < len(bounds) and reached >= bounds[len(found)]:
            found.append(rate)
    return found + [max(by_rate)] * (len(bounds) - len(found))
