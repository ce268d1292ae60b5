"""All that a regtest node has, as its own words add up: by other code than the explorer's, to compare with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from local_run.node import RegtestNode

KINDS: Final = {
    "pubkey": "p2pk",
    "pubkeyhash": "p2pkh",
    "scripthash": "p2sh",
    "witness_v0_keyhash": "v0_p2wpkh",
    "witness_v0_scripthash": "v0_p2wsh",
    "witness_v1_taproot": "v1_p2tr",
    "anchor": "p2a",
    "witness_unknown": "witness",
    "multisig": "multisig",
    "nulldata": "op_return",
    "nonstandard": "unknown",
}
"""The node's names of script types, and ours."""


def satoshi(amount: float) -> int:
    """Of an amount as JSON has it: a float holds every satoshi of 21 million bitcoin."""
    return round(amount * 10**8)


@dataclass(frozen=True, slots=True)
class Where:
    """The place of a transaction in the best chain."""

    height: int
    hash: str
    time: int
    position: int


@dataclass(frozen=True, slots=True)
class Move:
    """What a transaction did to one script."""

    txid: str
    where: Where | None  # None: it waits
    paid: tuple[int, ...]  # satoshi of each output to the script
    took: tuple[int, ...]  # satoshi of each of its outputs that is spent

    @property
    def change(self) -> int:
        return sum(self.paid) - sum(self.took)


@dataclass(slots=True)
class Books:
    """The best chain and the mempool at one moment."""

    tip: dict[str, Any]
    transactions: dict[str, dict[str, Any]] = field(default_factory=dict)
    where: dict[str, Where] = field(default_factory=dict)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    """txid -> what `getmempoolentry` says."""
    spender: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    """Outpoint -> txid and input of what spends it."""
    _touching: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def coin(self, txid: str, vout: int) -> dict[str, Any]:
        """An output, as the node shows it."""
        found: dict[str, Any] = self.transactions[txid]["vout"][vout]
        return found

    def moves(self, script: str) -> list[Move]:
        """The history of a script: in blocks, oldest first, then what waits, in no order."""
        found = []
        for txid in dict.fromkeys(self._touching[script]):
            raw = self.transactions[txid]
            spends = [self.coin(one["txid"], one["vout"]) for one in raw["vin"] if "txid" in one]
            found.append(Move(txid, self.where.get(txid), _values(raw["vout"], script), _values(spends, script)))
        waits = [move for move in found if move.where is None]
        mined = [(move.where.height, move.where.position, move) for move in found if move.where is not None]
        return [*(move for _, _, move in sorted(mined, key=lambda one: one[:2])), *waits]

    def unspent(self, script: str) -> set[tuple[str, int, int, int | None]]:
        """(txid, vout, satoshi, height) of what is unspent in chain and mempool."""
        found = set()
        for txid in self._touching[script]:
            for one in self.transactions[txid]["vout"]:
                if one["scriptPubKey"]["hex"] == script and (txid, one["n"]) not in self.spender:
                    where = self.where.get(txid)
                    found.add((txid, one["n"], satoshi(one["value"]), where.height if where is not None else None))
        return found

    def scripts(self) -> set[str]:
        """Every script that was ever paid."""
        return set(self._touching)

    def _enter(self, raw: dict[str, Any], where: Where | None) -> None:
        txid = raw["txid"]
        self.transactions[txid] = raw
        if where is not None:
            self.where[txid] = where
        for vin, one in enumerate(raw["vin"]):
            if "txid" in one:
                self.spender[one["txid"], one["vout"]] = txid, vin
                self._touching[self.coin(one["txid"], one["vout"])["scriptPubKey"]["hex"]].append(txid)
        for one in raw["vout"]:
            self._touching[one["scriptPubKey"]["hex"]].append(txid)


def _values(coins: list[dict[str, Any]], script: str) -> tuple[int, ...]:
    return tuple(satoshi(one["value"]) for one in coins if one["scriptPubKey"]["hex"] == script)


async def read(node: RegtestNode, known: dict[str, dict[str, Any]]) -> Books:
    """What the node has now; `known` keeps the blocks that were read."""
    height = await node.rpc("getblockcount")
    hashes = await node.batch([("getblockhash", (at,)) for at in range(height + 1)])
    missing = [one for one in hashes if one not in known]
    known |= zip(missing, await node.batch([("getblock", (one, 2)) for one in missing]), strict=True)
    books = Books(await node.rpc("getblockheader", hashes[-1]))
    for at, block_hash in enumerate(hashes):
        block = known[block_hash]
        for position, raw in enumerate(block["tx"]):
            books._enter(raw, Where(at, block_hash, block["time"], position))
    books.entries = await node.rpc("getrawmempool", True)
    raws = await node.batch([("getrawtransaction", (txid, 1)) for txid in books.entries])
    left = dict(zip(books.entries, raws, strict=True))
    while left:  # parents before their children
        for txid in [one for one in left if not books.entries[one]["depends"] or not left.keys() & {
            *books.entries[one]["depends"]
        }]:  # fmt: skip
            books._enter(left.pop(txid), None)
    return books
