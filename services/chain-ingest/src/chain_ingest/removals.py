"""Why transactions left the mempool: the node's `R` does not say, the messages around it do.

A replacement is a run of `R` and then the `A` that spends one of the same coins. A conflict with a block is a run of
`R` and then its `C`. What is evicted or expired comes right before the `A` that made the node look for room: it trims
as it accepts (MemPoolAccept::AcceptSingleTransaction). After a reorganisation it trims behind the `A`s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from chain_ingest.block import AppliedBlock
from chain_ingest.transaction import FINGERPRINT
from shared.events.mempool import RemovalReason, TxRemoved

SHORTEST_EXPIRY: Final = 3_600
"""Seconds: nothing younger can have expired (`-mempoolexpiry` counts in hours; 336 by default)."""


class RemovalRun:
    """Consecutive removals whose reason is still open."""

    def __init__(self) -> None:
        self._run: dict[str, bytes] = {}
        self._times: list[int] = []
        self.beside_acceptance = False  # whether an `A` came right before the first, or right behind the last

    def __bool__(self) -> bool:
        return bool(self._run)

    def add(self, txid: str, inputs: bytes, time: int) -> None:
        """One more removed transaction, with the fingerprints of its inputs and when the node accepted it."""
        self._run[txid] = inputs
        self._times.append(time)

    def replaced(self, txid: str, inputs: bytes) -> list[TxRemoved]:
        """Close the run if `txid` replaced it: it spends a coin of one of them; the others were descendants."""
        spent = set(_split(inputs))
        if not any(spent.intersection(_split(removed)) for removed in self._run.values()):
            return []
        return self._close(lambda gone: TxRemoved(txid=gone, reason="replaced", replaced_by=txid))

    def conflicted(self, block: AppliedBlock) -> list[TxRemoved]:
        """Close the run if a block spent a coin of one of them.

        Who spent it is named; of a descendant that lost its parent where all of them lost to the same.
        """
        spent = block.spent
        takers = {
            gone: block.txids[place]
            for gone, removed in self._run.items()
            if (place := next((spent[one] for one in _split(removed) if one in spent), None)) is not None
        }
        if not takers:
            return []
        several = set(takers.values())
        only = several.pop() if len(several) == 1 else None
        return self._close(
            lambda gone: TxRemoved(
                txid=gone, reason="conflict", block=block.hash, conflicts_with=takers.get(gone, only)
            )
        )

    def trimmed(self, mempool_is_full: bool, now: int) -> list[TxRemoved]:
        """Close the run when nothing that follows explains it; `now` is the node's clock, Unix seconds."""
        reason: RemovalReason = "unknown"
        if self.beside_acceptance:
            if mempool_is_full:
                reason = "evicted"
            elif now - min(self._times, default=now) >= SHORTEST_EXPIRY:
                reason = "expired"
        return self._close(lambda gone: TxRemoved(txid=gone, reason=reason))

    def _close(self, event: Callable[[str], TxRemoved]) -> list[TxRemoved]:
        events = [event(txid) for txid in self._run]
        self._run, self._times = {}, []
        return events


def _split(inputs: bytes) -> Iterable[bytes]:
    return (inputs[at : at + FINGERPRINT] for at in range(0, len(inputs), FINGERPRINT))
