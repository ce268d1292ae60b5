"""Regtest coins that anyone can spend, and transactions built by hand: thousands a second, without a wallet.

Every output pays P2WSH of OP_TRUE, so a witness of that one byte spends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from local_run.node import RegtestNode

_WITNESS_SCRIPT = b"\x51"
SCRIPT = b"\x00\x20" + sha256(_WITNESS_SCRIPT).digest()
OTHER_SCRIPT = b"\x51"
"""Where blocks of a competing branch pay to, so that they differ from those that they replace."""

_VSIZE = 96
"""Virtual bytes of one input and one output of ours."""


@dataclass(frozen=True, slots=True)
class Coin:
    """An output: txid in RPC order, index, satoshi."""

    txid: str
    index: int
    value: int


@dataclass(frozen=True, slots=True)
class Built:
    """A transaction ready to be sent."""

    txid: str
    raw: str
    vsize: int
    outputs: tuple[Coin, ...]


def _compact(number: int) -> bytes:
    return bytes([number]) if number < 0xFD else b"\xfd" + number.to_bytes(2, "little")


def build(
    coins: Sequence[Coin], values: Sequence[int], *, sequence: int = 0xFFFFFFFD, scripts: Sequence[bytes] = ()
) -> Built:
    """Spend the coins into outputs of these values, to `scripts` where they are told; what is left is the fee."""
    inputs = b"".join(
        bytes.fromhex(coin.txid)[::-1] + coin.index.to_bytes(4, "little") + b"\x00" + sequence.to_bytes(4, "little")
        for coin in coins
    )
    outputs = b"".join(
        value.to_bytes(8, "little") + bytes([len(script)]) + script
        for value, script in zip(values, scripts or [SCRIPT] * len(values), strict=True)
    )
    body = _compact(len(coins)) + inputs + _compact(len(values)) + outputs
    version, lock_time = (2).to_bytes(4, "little"), bytes(4)
    witness = (b"\x01" + bytes([len(_WITNESS_SCRIPT)]) + _WITNESS_SCRIPT) * len(coins)
    stripped = version + body + lock_time
    raw = version + b"\x00\x01" + body + witness + lock_time
    txid = sha256(sha256(stripped).digest()).digest()[::-1].hex()
    vsize = (len(stripped) * 3 + len(raw) + 3) // 4
    return Built(txid, raw.hex(), vsize, tuple(Coin(txid, index, value) for index, value in enumerate(values)))


async def mine(node: RegtestNode, blocks: int = 1, *, script: bytes = SCRIPT) -> list[str]:
    """Mine to a script, ours if not told otherwise; returns the hashes."""
    info = await node.rpc("getdescriptorinfo", f"raw({script.hex()})")
    hashes: list[str] = await node.rpc("generatetodescriptor", blocks, info["descriptor"])
    return hashes


async def give(hashes: Sequence[str], source: RegtestNode, to: RegtestNode) -> None:
    """Hand the blocks of one node to another."""
    for block_hash in hashes:
        await to.rpc("submitblock", await source.rpc("getblock", block_hash, 0))


async def mined_coins(node: RegtestNode, count: int) -> list[Coin]:
    """Mine until `count` coinbases can be spent; returns them."""
    hashes = await mine(node, count)
    await mine(node, 100)
    coins = []
    for block_hash in hashes:
        block = await node.rpc("getblock", block_hash, 2)
        coinbase = block["tx"][0]
        coins.append(Coin(coinbase["txid"], 0, round(coinbase["vout"][0]["value"] * 1e8)))
    return coins


async def fan_out(node: RegtestNode, coins: Sequence[Coin], outputs_each: int) -> list[Coin]:
    """Split each coin into many and confirm them."""
    result: list[Coin] = []
    for coin in coins:
        fee = 50 * outputs_each * 50
        built = build([coin], [(coin.value - fee) // outputs_each] * outputs_each)
        await node.rpc("sendrawtransaction", built.raw, 0)
        result += built.outputs
    await mine(node)
    return result


def chain(coin: Coin, length: int, fee_rates: Sequence[float]) -> list[Built]:
    """A chain of transactions, each spending the one before; at most 25 by policy."""
    made: list[Built] = []
    for place in range(length):
        fee = int(fee_rates[place % len(fee_rates)] * _VSIZE)
        built = build([coin], [coin.value - fee])
        made.append(built)
        coin = built.outputs[0]
    return made


async def send(node: RegtestNode, transactions: Sequence[Built]) -> list[str]:
    """Send in batches of 100; returns the txids, raising where one is refused."""
    txids: list[str] = []
    for start in range(0, len(transactions), 100):
        calls = [("sendrawtransaction", (built.raw, 0)) for built in transactions[start : start + 100]]
        for result in await node.batch(calls, kind=str):
            if isinstance(result, Exception):
                raise result
            txids.append(result)
    return txids
