"""A stand-in for a node, on loopback, that has real blocks of mainnet at heights of its own choice.

It answers what the backfill asks. A regtest node cannot have these blocks, and nobody downloads mainnet for a test.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from chain_ingest.block import Block
from shared.rpc import RpcClient
from shared.settings import NodeSettings

BLOCKS: Final = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "blocks"
"""Beside the checkout, where they are there at all."""

FEE: Final = 1_000
"""Satoshi that each transaction pays where what it spent was not recorded."""

_SCRIPT: Final = b"\x00\x14" + bytes(20)


def recorded(least: int = 10_000) -> list[bytes]:
    """The recorded blocks of so many bytes at least."""
    found = (path.read_bytes() for path in sorted(BLOCKS.glob("*.raw")))
    return [raw for raw in found if len(raw) >= least]


def _size(number: int) -> bytes:
    if number < 0xFD:
        return bytes([number])
    return b"\xfd" + number.to_bytes(2, "little") if number < 1 << 16 else b"\xfe" + number.to_bytes(4, "little")


def spent_txouts(spent: Sequence[Sequence[tuple[int, bytes]]]) -> bytes:
    """`/rest/spenttxouts/HASH.bin` of transactions that spend these outputs, satoshi and script; none for the coinbase.

    In the form of Bitcoin Core's doc/REST-interface.md.
    """
    parts = [_size(len(spent))]
    for coins in spent:
        parts.append(_size(len(coins)))
        parts += [value.to_bytes(8, "little") + _size(len(script)) + script for value, script in coins]
    return b"".join(parts)


def _made_up(raw: bytes) -> bytes:
    """What a block spent, as if each transaction paid FEE: all by its first input, the others are 0."""
    txs = Block(raw).txs
    others = zip(txs.inputs[1:], txs.sums[1:], strict=True)
    return spent_txouts([[], *([(value + FEE, _SCRIPT), *[(0, _SCRIPT)] * (count - 1)] for count, value in others)])


class RecordedNode:
    """Its chain is the given blocks, over and over."""

    def __init__(self, blocks: Sequence[bytes], times: int) -> None:
        self._blocks = {sha256(sha256(raw[:80]).digest()).digest()[::-1].hex(): raw for raw in blocks}
        self._spent = {name: _made_up(raw) for name, raw in self._blocks.items()}
        self.hashes = [*self._blocks] * times
        self.rpc_url = ""
        self._client: RpcClient | None = None
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/", self._answer)
        app.router.add_get("/rest/{kind}/{hash}.bin", self._rest)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.rpc_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._client = RpcClient(NodeSettings("main", self.rpc_url, "user", "password", None, ()))
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._client is not None
        assert self._runner is not None
        await self._client.__aexit__(None, None, None)
        await self._runner.cleanup()

    def env(self) -> dict[str, str]:
        """The variables that make a service use it."""
        return {
            "BITCOIN_NETWORK": "regtest",
            "MAIN_RPC_URL": self.rpc_url,
            "MAIN_RPC_USER": "user",
            "MAIN_RPC_PASSWORD": "password",
            "MAIN_ZMQ_URLS": "",
        }

    async def rpc(self, method: str, *params: object) -> Any:
        """A call, as of RegtestNode."""
        assert self._client is not None
        return await self._client.call(method, *params)

    async def batch(self, calls: Sequence[tuple[str, Sequence[Any]]], kind: Any = Any) -> list[Any]:
        """Many calls, as of RegtestNode."""
        assert self._client is not None
        return await self._client.batch(calls, kind=kind)

    def _one(self, call: dict[str, Any]) -> dict[str, Any]:
        tip = len(self.hashes) - 1
        method, params = call["method"], call["params"]
        result: Any = None
        if method == "getblockcount":
            result = tip
        elif method == "getblockhash":
            result = self.hashes[params[0]]
        elif method == "getblockchaininfo":
            result = {
                "chain": "regtest", "blocks": tip, "headers": tip, "bestblockhash": self.hashes[tip],
                "initialblockdownload": False, "verificationprogress": 1,
            }  # fmt: skip
        elif method == "getnetworkinfo":
            result = {"version": 300_000, "subversion": "/Recorded:30.0/"}
        elif method == "getblockstats":
            result = {
                "ins": 1, "outs": 1, "total_out": 1, "totalfee": FEE, "subsidy": 0, "avgfeerate": 1,
                "feerate_percentiles": [1] * 5,
            }  # fmt: skip
        error = {"code": -32601, "message": f"{method} is not recorded"} if result is None else None
        return {"id": call["id"], "result": result, "error": error}

    async def _answer(self, request: web.Request) -> web.Response:
        calls = json.loads(await request.read())
        return web.json_response([self._one(one) for one in calls] if isinstance(calls, list) else self._one(calls))

    async def _rest(self, request: web.Request) -> web.Response:
        found = {"block": self._blocks, "spenttxouts": self._spent}.get(request.match_info["kind"], {})
        raw = found.get(request.match_info["hash"])
        return web.Response(body=raw) if raw is not None else web.Response(status=404)
