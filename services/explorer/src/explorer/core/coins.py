"""What the inputs of a transaction spend, and whether its outputs are spent, as far as the node can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from explorer.core.answers import SpendingPrevout, Transaction, Txout, Vin
from explorer.core.node import Node
from shared.errors import RpcError, RpcRefused
from shared.lookups.parts import Coin, Spender
from shared.rpc import satoshi
from shared.tasks import together

UNSPENDABLE: Final = ("op_return",)


@dataclass(frozen=True, slots=True)
class Spent:
    """Whether an output is spent (None: the node cannot tell), and by what."""

    spent: bool | None
    spender: Spender | None = None


async def coins(node: Node, inputs: Sequence[Vin]) -> list[Coin | None]:
    """The coin of each input, None where it is not known: told with it, else still unspent in the chain, else found in
    the transaction that made it.
    """
    found: dict[int, Coin] = {at: one.prevout.coin() for at, one in enumerate(inputs) if one.prevout is not None}
    left = [at for at, one in enumerate(inputs) if at not in found and one.txid is not None]
    if left:
        calls = [("gettxout", (inputs[at].txid, inputs[at].vout, False)) for at in left]
        answers = await node.rpc.batch(calls, kind=Txout | None)
        found |= {at: one.coin() for at, one in zip(left, answers, strict=True) if isinstance(one, Txout)}
        left = [at for at in left if at not in found]
    if left:
        made = sorted({inputs[at].txid or "" for at in left})
        answers = await node.rpc.batch([("getrawtransaction", (txid, 1)) for txid in made], kind=Transaction)
        by_txid = {txid: it for txid, it in zip(made, answers, strict=True) if isinstance(it, Transaction)}
        for at in left:
            maker, vout = by_txid.get(inputs[at].txid or ""), inputs[at].vout
            if maker is not None and vout is not None and vout < len(maker.vout):
                found[at] = maker.vout[vout].coin()
    return [found.get(at) for at in range(len(inputs))]


async def spent(node: Node, txid: str, outputs: Sequence[int], *, confirmed: bool) -> list[Spent]:
    """What became of these outputs. Of one that is spent in a block the node does not tell by what."""
    if not outputs:
        return []
    unspent, spenders = await together(
        node.rpc.batch([("gettxout", (txid, vout, True)) for vout in outputs], kind=Txout | None),
        _spenders(node, txid, outputs),
    )
    return [
        Spent(True, spenders[vout])
        if vout in spenders
        else Spent(False)
        if isinstance(it, Txout)
        else Spent(True if confirmed and not isinstance(it, RpcError) else None)
        for vout, it in zip(outputs, unspent, strict=True)
    ]


async def _spenders(node: Node, txid: str, outputs: Sequence[int]) -> dict[int, Spender]:
    """Those that wait in the mempool; none of a node that is older than Bitcoin Core 24."""
    points = [{"txid": txid, "vout": vout} for vout in outputs]
    try:
        told: list[SpendingPrevout] = await node.rpc.call("gettxspendingprevout", points, kind=list[SpendingPrevout])
    except RpcRefused:
        return {}
    by = {one.vout: one.spendingtxid for one in told if one.spendingtxid}
    names = sorted(set(by.values()))
    answers = await node.rpc.batch([("getrawtransaction", (one, 1)) for one in names], kind=Transaction)
    spending = {one: it for one, it in zip(names, answers, strict=True) if isinstance(it, Transaction)}
    return {
        vout: Spender(txid=one, vin=vin)
        for vout, one in by.items()
        if one in spending
        for vin, it in enumerate(spending[one].vin)
        if (it.txid, it.vout) == (txid, vout)
    }


def total(found: Sequence[Coin | None]) -> int | None:
    """Satoshi; None where one of them is not known."""
    return sum(one.value for one in found if one is not None) if None not in found else None


def paid(tx: Transaction, spends: int | None) -> int | None:
    """Satoshi of fee: as the node tells it, else what its inputs spend above its outputs; None where unknown."""
    if tx.fee is not None:
        return satoshi(tx.fee)
    return None if spends is None else spends - sum(satoshi(one.value) for one in tx.vout)
