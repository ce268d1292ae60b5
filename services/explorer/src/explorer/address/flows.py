"""What transactions spend and make, of those that were read lately: one of them is often in several histories.

A transaction is the same for ever under its identifier, which was checked when it came (Electrum.transaction).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from explorer.address.raw import Flow, flow
from explorer.electrum.client import Electrum
from shared.tasks import together

KEPT: Final = 20_000
"""Inputs and outputs kept at most, some 200 bytes each."""


class Flows:
    """Asks an Electrum server for what is not known."""

    def __init__(self, electrum: Electrum) -> None:
        self._electrum = electrum
        self._kept: OrderedDict[str, Flow] = OrderedDict()
        self._size = 0

    async def of(self, txids: Sequence[str]) -> list[Flow]:
        """In the same order. Raises ElectrumError."""
        known = {txid: self._kept[txid] for txid in txids if txid in self._kept}
        for txid in known:
            self._kept.move_to_end(txid)
        missing = [txid for txid in dict.fromkeys(txids) if txid not in known]
        if missing:
            raws = await together(*map(self._electrum.transaction, missing))
            read = {txid: flow(raw) for txid, raw in zip(missing, raws, strict=True)}
            known |= read
            self._keep(read)
        return [known[txid] for txid in txids]

    def _keep(self, read: dict[str, Flow]) -> None:
        for txid, one in read.items():
            if txid not in self._kept:
                self._kept[txid] = one
                self._size += _size(one)
        while self._size > KEPT:
            self._size -= _size(self._kept.popitem(last=False)[1])


def _size(one: Flow) -> int:
    return len(one.spends) + len(one.makes)
