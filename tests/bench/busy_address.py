"""The page of a busy address: 100,000 entries of history, and 10,000 whose amounts are worked out; and who waits.

No chain with so many is built: a scripted Electrum server tells the histories, of transactions as they are serialised,
at heights of a real node's blocks. So the figures are those of the explorer, without what a real server needs.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.explorer_load import FEW, get, timed, visitors
from bench.figures import Figure, percentile
from explorer.electrum.script import Script
from shared.lookups.address import HISTORY_MOST
from shared.networks import NETWORKS
from shared.scripts.address import write
from support.electrum_script import Scripted
from support.spending import Coin, build, fan_out, mined_coins, send
from support.stack import Stack, memory

ENTRIES: Final = 100_000
OTHERS: Final = 300
"""Transactions that others look up meanwhile, and as many before."""

AT_ONCE: Final = 6
"""Busy addresses that are looked up together."""

BLOCKS: Final = 100
"""Heights that the entries are spread over."""

PAID: Final = 10_000  # satoshi of each


class _Busy:
    """A script with a history, as the server tells it: encoded once."""

    def __init__(self, name: str, entries: int, *, worked_out: bool) -> None:
        self.script = b"\x00\x14" + sha256(name.encode()).digest()[:20]
        self.raw: dict[str, str] = {}
        txids = [sha256(f"{name} {number}".encode()).hexdigest() for number in range(entries)]
        if worked_out:
            built = [build([Coin(txid, 0, 2 * PAID)], [PAID], scripts=[self.script]) for txid in txids]
            self.raw = {one.txid: one.raw for one in built}
            txids = list(self.raw)
        heights = [1 + number * BLOCKS // entries for number in range(entries)]
        history = [{"tx_hash": txid, "height": height} for txid, height in zip(txids, heights, strict=True)]
        coins = [
            {"tx_hash": txid, "tx_pos": 0, "height": height, "value": PAID}
            for txid, height in zip(txids, heights, strict=True)
        ]
        self.answers = {
            "get_history": json.dumps(history).encode(),
            "listunspent": json.dumps(coins).encode(),
            "get_balance": json.dumps({"confirmed": PAID * entries, "unconfirmed": 0}).encode(),
        }

    @property
    def path(self) -> str:
        return f"/address/{write(self.script, NETWORKS['regtest'])}"


def _answering(busy: Sequence[_Busy]) -> Callable[[dict[str, Any]], bytes | None]:
    by_hash = {Script.of(one.script).hash: one for one in busy}
    raw = {txid: text for one in busy for txid, text in one.raw.items()}

    def line(request: dict[str, Any]) -> bytes | None:
        method, params = request["method"].rpartition(".")[2], request.get("params", [])
        if request["method"] == "blockchain.transaction.get" and params[0] in raw:
            result = json.dumps(raw[params[0]]).encode()
        elif request["method"].startswith("blockchain.scripthash.") and params[0] in by_hash:
            result = by_hash[params[0]].answers.get(method, b"null")
        else:
            return None
        return b'{"jsonrpc":"2.0","id":%s,"result":%s}\n' % (json.dumps(request["id"]).encode(), result)

    return line


async def measure(folder: Path) -> list[Figure]:
    """All figures, on a stack of their own."""
    folder.mkdir()
    many = _Busy("a hundred thousand", ENTRIES, worked_out=False)
    most = _Busy("ten thousand", HISTORY_MOST, worked_out=True)
    others = [_Busy(f"beside it {number}", ENTRIES, worked_out=False) for number in range(AT_ONCE)]
    async with Stack(folder) as stack, Scripted() as server:
        coins = await fan_out(stack.node, await mined_coins(stack.node, 2), OTHERS)
        txids = await send(stack.node, [build([coin], [coin.value - 1_000]) for coin in coins[: 2 * OTHERS]])
        server.tip = await stack.node.rpc("getblockcount")
        server.line = _answering((many, most, *others))
        stack.extra_env |= {"LOG_LEVEL": "info", "MAIN_ELECTRUM_URL": f"tcp://127.0.0.1:{server.port}"}
        await stack.start(*FEW)
        await stack.synced()
        await stack.serves()
        async with visitors(stack) as session:
            figures = await _measured(stack, session, many, most, txids)
            return [*figures, *await _together(stack, session, others)]


async def _together(stack: Stack, session: aiohttp.ClientSession, busy: Sequence[_Busy]) -> list[Figure]:
    began, pages = time.perf_counter(), [asyncio.create_task(get(session, one.path)) for one in busy]
    highest = 0
    while not all(page.done() for page in pages):
        highest = max(highest, memory(stack.pid("explorer")))
        await asyncio.sleep(0.02)
    await asyncio.gather(*pages)
    name = f"{len(busy)} of {ENTRIES:,} entries at once"
    return [
        Figure(f"pages of addresses, {name}", time.perf_counter() - began, "s"),
        Figure(f"memory of explorer at most, {name}", highest / 1e6, "MB", 400.0),
    ]


async def _measured(
    stack: Stack, session: aiohttp.ClientSession, many: _Busy, most: _Busy, txids: Sequence[str]
) -> list[Figure]:
    pages = [partial(get, session, f"/tx/{txid}") for txid in txids]
    alone = await timed(pages[:OTHERS], 1)
    figures = [Figure("memory of explorer before", memory(stack.pid("explorer")) / 1e6, "MB")]
    left = iter(pages[OTHERS:])
    for name, one in (
        (f"{ENTRIES:,} entries", many),
        (f"{HISTORY_MOST:,} entries, all worked out", most),
    ):
        began = time.perf_counter()
        busy = asyncio.create_task(get(session, one.path))
        meanwhile: list[float] = []
        while not busy.done() and (page := next(left, None)) is not None:
            meanwhile += await timed([page], 1)
        await busy
        figures.append(Figure(f"page of an address, {name}", time.perf_counter() - began, "s", 10.0))
        figures += [
            Figure(
                f"another look-up meanwhile, p{percent} of {len(meanwhile)}", percentile(meanwhile, percent), "ms",
                baseline=percentile(alone, percent), baseline_name="ms without it",
            )
            for percent in (50, 100)
            if meanwhile
        ]  # fmt: skip
        figures.append(Figure(f"memory of explorer after {name}", memory(stack.pid("explorer")) / 1e6, "MB", 250.0))
    return figures
