"""The one description of a block's statistics, for what is published of it and for what is measured of the past.

A further statistic is one property here, and the field of that name in the events that are to carry it.
"""

from __future__ import annotations

import heapq
import re
from bisect import bisect_left
from typing import Any, Final

import msgspec

from chain_ingest.block import Block
from chain_ingest.fees import Fees
from shared.bands import VALUE_BOUNDS
from shared.events.blocks import LargestTx

LARGEST: Final = 50

_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]{3,}")


class Statistics:
    """Each property is called as the events' field. They are worked out when asked for: not on the event loop."""

    def __init__(self, block: Block, fees: Fees) -> None:
        self._block = block
        self._txs = block.txs
        self._fees = fees

    def of(self, kind: type[msgspec.Struct]) -> dict[str, Any]:
        """Those that an event of this kind carries, by name."""
        return {name: getattr(self, name) for name in kind.__struct_fields__ if hasattr(Statistics, name)}

    @property
    def hash(self) -> str:
        """In RPC order."""
        return self._block.hash

    @property
    def time(self) -> int:
        """Unix seconds, the block's own."""
        return self._block.time

    @property
    def tx_count(self) -> int:
        """Coinbase included."""
        return len(self._txs)

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._block.raw)

    @property
    def weight(self) -> int:
        """Weight units (BIP 141)."""
        bodies = sum(self._txs.body_ends) - sum(self._txs.body_starts)
        return 3 * (self._block.begin + bodies + 8 * len(self._txs)) + len(self._block.raw)

    @property
    def inputs(self) -> int:
        """Coinbase excluded."""
        return sum(self._txs.inputs[1:])

    @property
    def outputs(self) -> int:
        """Coinbase included, as `getblockstats` counts them."""
        return len(self._txs.values)

    @property
    def output_value(self) -> int:
        """Satoshi, coinbase excluded."""
        return sum(self._txs.sums[1:])

    @property
    def fees(self) -> int:
        """Satoshi."""
        return self._fees.total

    @property
    def fee_rate_percentiles(self) -> list[int]:
        """sat/vB at 10, 25, 50, 75, 90 % of the block's weight."""
        return self._fees.percentiles

    @property
    def fee_rate_avg(self) -> int:
        """sat/vB."""
        return self._fees.average

    @property
    def coinbase_tag(self) -> str:
        """What the miner wrote, as far as it can be shown."""
        return coinbase_tag(self._block.coinbase_script)

    @property
    def output_bands(self) -> list[int]:
        """Outputs by value, coinbase excluded."""
        return bands(self._txs.values[self._txs.outputs[0] :])

    @property
    def largest(self) -> list[LargestTx]:
        """Up to LARGEST, largest first, coinbase excluded. Txids break ties, so that every rebuild gives the same.

        Only transactions that may be among them are hashed, all of those that tie at the end.
        """
        sums = self._txs.sums
        least = min(heapq.nlargest(LARGEST, sums[1:]), default=0)
        candidates = [(-value, self._txs.txid(at)) for at, value in enumerate(sums) if at and value >= least]
        return [LargestTx(txid=one, value=-value) for value, one in heapq.nsmallest(LARGEST, candidates)]


def bands(values: list[int]) -> list[int]:
    """How many of these output values (satoshi) lie in each band of VALUE_BOUNDS."""
    ordered = sorted(values)
    below = [bisect_left(ordered, bound) for bound in VALUE_BOUNDS]
    return [upper - lower for lower, upper in zip(below, [*below[1:], len(ordered)], strict=True)]


def coinbase_tag(script: bytes) -> str:
    """Printable ASCII of a coinbase script: runs of three characters and more, joined by a space.

    The first push is the block's height (BIP 34) and never text.
    """
    start = 1 + script[0] if script and script[0] <= 8 else 0
    return " ".join(run.decode() for run in _PRINTABLE.findall(script[start:])).strip()[:100]
