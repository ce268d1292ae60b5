"""What a node says of itself, in words for a person: why it cannot be compared with yet, what it lacks, what is odd."""

from __future__ import annotations

from typing import Final

from chain_ingest.answers import ChainInfo, MempoolInfo, NetworkInfo
from shared.clock import SKEW_MS

VERIFIED: Final = 0.99
"""Share of the chain's transactions below which a node that knows of no more headers has only just begun to ask."""

LAG: Final = 6
"""Blocks that a node's chain may be short of its headers: those that it is about to fetch."""

DAY: Final = 86_400

AHEAD: Final = 7_200
"""Seconds that a block's time may be ahead of the clocks of those who accept it."""


def not_whole(name: str, chain: ChainInfo) -> str:
    """Why the node's chain is not the best chain yet; empty where it is whole.

    `initialblockdownload` alone does not tell: it also holds, until the next block, at a node that has everything but
    whose newest block is older than a day.
    """
    if chain.initialblockdownload and (
        chain.blocks == 0 or chain.blocks < chain.headers or chain.verificationprogress < VERIFIED
    ):
        return (
            f"node {name} is downloading the chain: {chain.blocks} of {chain.headers} blocks, "
            f"{chain.verificationprogress:.1%} verified"
        )
    if chain.headers - chain.blocks > LAG:
        return f"node {name} is catching up: {chain.blocks} of {chain.headers} blocks"
    return ""


def not_loaded(name: str, mempool: MempoolInfo) -> str:
    """Why the node's mempool is not the one that it had before it stopped."""
    return "" if mempool.loaded else f"node {name} is loading its mempool: {mempool.size} transactions so far"


def incomplete(name: str, network: NetworkInfo) -> str:
    """Why the node's mempool is not what is called the mempool."""
    if network.localrelay:
        return ""
    return f"node {name} takes no transactions from others (-blocksonly): its mempool says nothing of the network's"


def remarks(name: str, chain: ChainInfo, network: NetworkInfo, now_ms: int, node_ms: int | None) -> list[str]:
    """What is odd about it; `now_ms` is Redis' clock, `node_ms` the node's."""
    found = []
    dated = chain.time or chain.mediantime
    age = now_ms // 1000 - dated if dated else 0
    if age > DAY:
        found.append(f"no block for {_span(age)}: node {name} knows of none above {chain.blocks}")
    elif -age > AHEAD + SKEW_MS // 1000:
        found.append(f"block {chain.blocks} is dated {_span(-age)} ahead of Redis' clock")
    if not network.networkactive:
        found.append(f"node {name} has its network switched off (networkactive is false; see setnetworkactive)")
    elif not network.connections and chain.chain != "regtest":
        found.append(f"node {name} has no peers: nothing new reaches it")
    if node_ms is not None and abs(node_ms - now_ms) > SKEW_MS:
        how = "ahead of" if node_ms > now_ms else "behind"
        found.append(f"the clock of node {name} is {_span(abs(node_ms - now_ms) // 1000)} {how} Redis' clock")
    return found


def _span(seconds: int) -> str:
    for unit, length in (("day", DAY), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' * (count != 1)}"
    return f"{seconds} seconds"
