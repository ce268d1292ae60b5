"""Look-ups in Esplora's shapes (Blockstream/esplora, `API.md`): amounts in satoshi, what there is none of left out.

What an answer does not know is no zero and no gap here: Unknown says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from shared.lookups import address, block, transaction
from shared.lookups.parts import Coin, Input, Kind
from shared.scripts.asm import disassembled
from shared.scripts.opcodes import steps

NO_TXID: Final = "0" * 64
NO_VOUT: Final = 0xFFFFFFFF
"""What a coinbase spends."""

_WHOLE: Final = 2**31
_UNSIGNED: Final = 0xFFFFFFFF
_TYPES: Final[dict[Kind, str]] = {"p2a": "unknown", "witness": "unknown", "multisig": "unknown"}
"""Kinds that it has no word for."""


class Unknown(Exception):
    """Part of what would be shown is not known; the message says which."""


def status(height: int | None, block_hash: str | None, time: int | None) -> dict[str, Any]:
    """Where a transaction stands; `height` None: in no block."""
    if height is None:
        return {"confirmed": False}
    if block_hash is None or time is None:
        raise Unknown(f"The block at height {height} is not known.")
    return {"confirmed": True, "block_height": height, "block_hash": block_hash, "block_time": time}


def status_of(tx: transaction.Found) -> dict[str, Any]:
    """The same of a transaction; one of an orphaned block is in none."""
    place = tx.place
    return status(place.height, place.hash, place.time) if place and place.best else status(None, None, None)


def whole(pages: Sequence[transaction.Found]) -> dict[str, Any]:
    """A transaction, from all of its pages in order."""
    tx = pages[0]
    inputs = [one for page in pages for one in page.inputs]
    outputs = [one for page in pages for one in page.outputs]
    if len(inputs) != tx.input_count or len(outputs) != tx.output_count:
        raise Unknown("Not all of its inputs and outputs are known.")
    if tx.fee is None and not tx.coinbase:
        raise Unknown("Its fee is not known.")
    return {
        "txid": tx.txid,
        "version": tx.version & _UNSIGNED,
        "locktime": tx.locktime,
        "vin": [_input(one) for one in inputs],
        "vout": [_output(one) for one in outputs],
        "size": tx.size,
        "weight": tx.weight,
        "fee": tx.fee or 0,  # a coinbase pays none
        "status": status_of(tx),
    }


def _input(one: Input) -> dict[str, Any]:
    coinbase = one.txid is None
    if one.coin is None and not coinbase:
        raise Unknown(f"Output {one.vout} of {one.txid}, which it spends, is not known.")
    script = bytes.fromhex(one.script_sig)
    told: dict[str, Any] = {
        "txid": NO_TXID if coinbase else one.txid,
        "vout": NO_VOUT if coinbase else one.vout,
        "prevout": None if one.coin is None else _output(one.coin),
        "scriptsig": one.script_sig,
        "scriptsig_asm": _asm(script),
    }
    if one.witness:
        told["witness"] = one.witness
    told |= {"is_coinbase": coinbase, "sequence": one.sequence}
    return told | (_inner(one.coin, script, one.witness) if one.coin is not None else {})


def _inner(coin: Coin, script_sig: bytes, witness: Sequence[str]) -> dict[str, str]:
    """The scripts that stand behind a hash, which the input shows."""
    found, redeem = {}, b""
    if coin.kind == "p2sh":
        last = None
        for step in steps(script_sig):
            last = step.pushed
        redeem = last or b""
        if redeem:
            found["inner_redeemscript_asm"] = _asm(redeem)
    nested = len(redeem) == 34 and redeem.startswith(b"\x00\x20")
    if witness and (coin.kind == "v0_p2wsh" or nested):
        found["inner_witnessscript_asm"] = _asm(bytes.fromhex(witness[-1]))
    return found


def _output(coin: Coin) -> dict[str, Any]:
    told: dict[str, Any] = {
        "scriptpubkey": coin.script,
        "scriptpubkey_asm": _asm(bytes.fromhex(coin.script)),
        "scriptpubkey_type": _TYPES.get(coin.kind, coin.kind),
    }
    if coin.address is not None:
        told["scriptpubkey_address"] = coin.address
    return told | {"value": coin.value}


def _asm(script: bytes) -> str:
    return disassembled(script, _WHOLE)


def of_block(found: block.Found) -> dict[str, Any]:
    """A block."""
    return {
        "id": found.hash,
        "height": found.height,
        "version": found.version & _UNSIGNED,
        "timestamp": found.time,
        "tx_count": found.tx_count,
        "size": found.size,
        "weight": found.weight,
        "merkle_root": found.merkle_root,
        "previousblockhash": found.prev_hash,
        "mediantime": found.median_time,
        "nonce": found.nonce,
        "bits": int(found.bits, 16),
        "difficulty": found.difficulty,
    }


def stats(found: address.Found) -> dict[str, Any]:
    """What an address received and spent, in blocks and in the mempool."""
    if found.moved is None or found.waiting_moved is None or found.tx_count is None or found.waiting_count is None:
        raise Unknown(reason(found))
    return {
        "chain_stats": _moved(found.moved, found.tx_count),
        "mempool_stats": _moved(found.waiting_moved, found.waiting_count),
    }


def _moved(moved: address.Moved, count: int) -> dict[str, int]:
    return {
        "funded_txo_count": moved.funded,
        "funded_txo_sum": moved.funded_sum,
        "spent_txo_count": moved.spent,
        "spent_txo_sum": moved.spent_sum,
        "tx_count": count,
    }


def coins(pages: Sequence[address.Found]) -> list[dict[str, Any]]:
    """The unspent outputs of an address, from all pages of them; those of the mempool among them."""
    first = pages[0]
    if first.unconfirmed is None:
        raise Unknown(reason(first))
    found = {(one.txid, one.vout): one for page in pages for one in page.coins}
    if len(found) != first.coin_count or any(page.coin_count != first.coin_count for page in pages):
        raise Unknown("They changed while they were read.")
    return [
        {"txid": one.txid, "vout": one.vout, "status": status(one.height, one.block, one.time), "value": one.value}
        for one in found.values()
    ]


def reason(found: address.Found) -> str:
    """Why an answer about an address knows so little."""
    if found.truncated:
        return "This address has too many transactions."
    return "No Electrum server is configured here, and only one can tell."
