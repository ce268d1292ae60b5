"""Look-ups of transactions at the node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from explorer.core.answers import Transaction, Txout, Vin
from explorer.core.coins import UNSPENDABLE, Spent, coins, paid, spent, total
from explorer.core.node import Node, unknown
from explorer.core.waiting import waiting
from shared.errors import RpcError, RpcRefused
from shared.events.lookups import TxWanted
from shared.lookups.parts import BYTES_MOST, WITNESS_MOST, Coin, Input, Missing, Output, Place, Source
from shared.lookups.transaction import PAGE, Answer, Found
from shared.tasks import together

OUTPUTS_TRIED: Final = 20
"""Outputs that are looked for among the unspent ones, to find the block of a transaction without an index."""

SIZES_MOST: Final = 1_000
"""Witnesses of an input whose sizes are told, where not all of them are."""


class _Block(msgspec.Struct):
    tx: list[Transaction]


Hint = Callable[[str], Awaitable[str | None]]
"""The block that some record of ours or another source says a transaction is in; None where it knows none."""


async def look_up(node: Node, wanted: TxWanted, now_ms: Callable[[], int], hints: Sequence[Hint] = ()) -> Answer:
    """The transaction as this node sees it now. Raises RpcError where the node does not answer."""
    tip = await node.tip(wanted.tip)
    tx = await _found(node, wanted, hints)
    if tx is None:
        return Missing(why="no-index" if not await _has_index(node) else "unknown", tip=tip, hint="txindex")
    place, waits = await together(_place(node, tx), waiting(node, tx.txid))
    first = wanted.page * PAGE
    shown_in, shown_out = tx.vin[first : first + PAGE], tx.vout[first : first + PAGE]
    coinbase = tx.vin[0].coinbase is not None
    everything = coins(node, tx.vin)  # all of them: what it paid follows from them
    outpoints = [one.n for one in shown_out if one.coin().kind not in UNSPENDABLE]
    # Outputs of an orphaned block, and of the first one, are not among the unspent ones: that is not spent.
    stands = place is not None and place.best and place.height > 0
    spends, fates = await together(everything, spent(node, tx.txid, outpoints, confirmed=stands))
    fate_of = dict(zip(outpoints, fates, strict=True))
    input_value = None if coinbase else total(spends)
    sources: dict[str, Source] = {"transaction": "node"}
    if waits is not None:
        sources["waiting"] = "mempool"
    return Found(
        txid=tx.txid,
        wtxid=tx.hash,
        version=tx.version,
        locktime=tx.locktime,
        size=tx.size,
        vsize=tx.vsize,
        weight=tx.weight,
        fee=None if coinbase else paid(tx, input_value),
        coinbase=coinbase,
        inputs=[
            _input(one, coin, wanted.whole) for one, coin in zip(shown_in, spends[first : first + PAGE], strict=True)
        ],
        outputs=[_output(one.coin(), fate_of.get(one.n), wanted.whole) for one in shown_out],
        input_count=len(tx.vin),
        output_count=len(tx.vout),
        input_value=input_value,
        output_value=sum(one.coin().value for one in tx.vout),
        page=wanted.page,
        place=place,
        waiting=waits if place is None else None,
        tip=tip,
        sources=sources,
        as_of_ms=now_ms(),
    )


async def _found(node: Node, wanted: TxWanted, hints: Sequence[Hint]) -> Transaction | None:
    """From the mempool or the node's index, else in the block that somebody believes it to be in."""
    found = await _raw(node, wanted.txid, wanted.block or None)
    if found is None and wanted.block:
        found = await _raw(node, wanted.txid, None)
    if found is not None:
        return found

    async def unspent(txid: str) -> str | None:
        return await _block_of_unspent(node, txid)

    for hint in (*hints, unspent):
        block = await hint(wanted.txid)
        if block and (found := await _raw(node, wanted.txid, block)) is not None:
            return found
    return None


async def _raw(node: Node, txid: str, block: str | None) -> Transaction | None:
    try:
        found: Transaction = await node.rpc.call(
            "getrawtransaction", txid, 2, *([block] if block else []), kind=Transaction
        )
    except RpcRefused as error:
        if "genesis block coinbase" in str(error):
            return await _first_coinbase(node)
        if unknown(error) or block:  # a pruned block, or no block of this node
            return None
        raise
    return found


async def _first_coinbase(node: Node) -> Transaction:
    """The one transaction that the node tells with its block alone."""
    first = await node.hash_at(0)
    block: _Block = await node.rpc.call("getblock", first, 2, kind=_Block)
    return msgspec.structs.replace(block.tx[0], blockhash=first)


async def _block_of_unspent(node: Node, txid: str) -> str | None:
    """The block of a transaction of which an output is still unspent."""
    answers = await node.rpc.batch(
        [("gettxout", (txid, vout, False)) for vout in range(OUTPUTS_TRIED)], kind=Txout | None
    )
    for one in answers:
        if isinstance(one, Txout) and one.confirmations > 0:
            best = await node.header(one.bestblock)
            return await node.hash_at(best.height - one.confirmations + 1)
    return None


async def _has_index(node: Node) -> bool:
    """Whether the node knows the block of every transaction; as if it did where it does not say."""
    try:
        told = await node.rpc.call("getindexinfo", "txindex")
    except RpcError:
        return True
    return bool(told)


async def _place(node: Node, tx: Transaction) -> Place | None:
    if tx.blockhash is None:
        return None
    header, txids = await together(node.header(tx.blockhash), node.txids(tx.blockhash))
    return Place(
        height=header.height,
        hash=header.hash,
        time=header.time,
        position=txids.index(tx.txid) if tx.txid in txids else None,
        best=header.confirmations > 0,
    )


def _input(one: Vin, coin: Coin | None, whole: bool) -> Input:
    script = one.scriptSig.hex if one.scriptSig is not None else one.coinbase or ""
    sizes = [len(it) // 2 for it in one.txinwitness]
    cut = not whole and (len(sizes) > WITNESS_MOST or any(size > BYTES_MOST for size in sizes))
    digits, count = (None, None) if whole else (2 * BYTES_MOST, WITNESS_MOST)
    return Input(
        txid=one.txid,
        vout=one.vout,
        coin=coin,
        script_sig=script[:digits],
        script_sig_size=None if whole else _cut(script),
        witness=[it[:digits] for it in one.txinwitness[:count]],
        witness_sizes=sizes[:SIZES_MOST] if cut else [],
        sequence=one.sequence,
    )


def _output(coin: Coin, fate: Spent | None, whole: bool) -> Output:
    cut = not whole and coin.kind in UNSPENDABLE  # what can be spent is no longer than that
    return Output(
        value=coin.value,
        script=coin.script[: 2 * BYTES_MOST] if cut else coin.script,
        script_size=_cut(coin.script) if cut else None,
        kind=coin.kind,
        address=coin.address,
        spent=None if fate is None else fate.spent,
        spender=None if fate is None else fate.spender,
    )


def _cut(script: str) -> int | None:
    """Bytes of what is cut; None of what is not."""
    size = len(script) // 2
    return size if size > BYTES_MOST else None
