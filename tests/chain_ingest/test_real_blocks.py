"""Real blocks of mainnet, recorded beside the checkout: every fact that is read or computed from their bytes.

The same facts of regtest blocks, which need no recording: test_backfill_statistics.py.
"""

from __future__ import annotations

import csv
import heapq
import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from chain_ingest.block import Block
from chain_ingest.fees import NONE, fees_paid
from chain_ingest.statistics import LARGEST, Statistics, coinbase_tag
from chain_ingest.transaction import fingerprint
from shared.bands import VALUE_BOUNDS
from shared.pool_tags import Pools
from support.oracle import value_band
from support.recorded_node import spent_txouts

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
BLOCKS = DATA / "blocks"
POOLS = DATA / "mining_pools" / "pools-v2.json"

pytestmark = pytest.mark.skipif(
    not (BLOCKS / "index.csv").exists(), reason="no recorded blocks of mainnet beside the checkout (shared/data/blocks)"
)
BIP34_HEIGHT = 227_931
"""From here on the coinbase script begins with the height."""


def recorded() -> list[dict[str, str]]:
    """Rows of the index whose block is there."""
    if not (BLOCKS / "index.csv").exists():
        return []
    with (BLOCKS / "index.csv").open() as file:
        return [row for row in csv.DictReader(file) if (BLOCKS / row["file"]).exists()]


EACH = pytest.mark.parametrize("row", recorded(), ids=lambda row: row["height"])


def block_of(row: dict[str, str]) -> Block:
    return Block((BLOCKS / row["file"]).read_bytes())


def merkle_root(txids: list[str]) -> bytes:
    level = [bytes.fromhex(one)[::-1] for one in txids]
    while len(level) > 1:
        level += level[-1:] if len(level) % 2 else []
        level = [sha256(sha256(a + b).digest()).digest() for a, b in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def computed(height: str) -> dict[str, Any] | None:
    path = BLOCKS / f"getblockstats_{height}_computed.json"
    return json.loads(path.read_text()) if path.exists() else None


def test_there_are_blocks_to_look_at() -> None:
    assert len(recorded()) >= 5


@EACH
def test_each_transaction_is_found(row: dict[str, str]) -> None:
    block = block_of(row)
    txs, raw = block.txs, block.raw
    applied = block.applied()
    assert (len(txs), txs.starts[-1]) == (int(row["ntx"]), len(raw))
    assert merkle_root(applied.txids) == raw[36:68]  # so every txid is right
    segwit = [txs.size(place) != txs.stripped_size(place) for place in range(len(txs))]
    assert sum(segwit) - int(row["segwit_txs"]) in {0, segwit[0]}  # the index counts the coinbase now and then
    assert txs.sums[0] == int(row["coinbase_out_sats"])
    assert applied.spent.keys() == {fingerprint(outpoint) for outpoint in txs.outpoints(1)}


@EACH
def test_statistics(row: dict[str, str]) -> None:
    block = block_of(row)
    found, txs = Statistics(block, NONE), block.txs
    assert (found.hash, found.time) == (row["hash"], int(row["time"]))
    assert (found.tx_count, found.size) == (int(row["ntx"]), int(row["size"]))
    assert found.weight == int(row["weight"])
    values = [(-txs.sums[place], txs.txid(place)) for place in range(1, len(txs))]
    assert [(-one.value, one.txid) for one in found.largest] == heapq.nsmallest(LARGEST, values)
    banded = [0] * len(VALUE_BOUNDS)
    for value in txs.values[txs.outputs[0] :]:
        banded[value_band(value)] += 1
    assert found.output_bands == banded
    if (stats := computed(row["height"])) is not None:
        assert (found.inputs, found.outputs, found.output_value) == (stats["ins"], stats["outs"], stats["total_out"])
        assert (found.tx_count, found.time) == (stats["txs"], stats["time"])


def test_what_a_real_block_paid() -> None:
    """From the outputs that were recorded of what it spent."""
    packed = BLOCKS / "866342_spent_utxos.json.zst"
    if not packed.exists() or (zstd := shutil.which("zstdcat")) is None:
        pytest.skip("no recorded outputs that block 866342 spent, or no zstdcat to read them with")
    unpacked = subprocess.run([zstd, str(packed)], capture_output=True, check=True).stdout
    coins = iter(
        [(one["txout"]["value"], bytes.fromhex(one["txout"]["script_pubkey"])) for one in json.loads(unpacked)]
    )
    block, stats = Block((BLOCKS / "866342.raw").read_bytes()), computed("866342")
    assert stats is not None
    spent = spent_txouts([[], *([next(coins) for _ in range(number)] for number in block.txs.inputs[1:])])
    assert next(coins, None) is None
    fees = fees_paid(block, spent)
    assert fees == (stats["totalfee"], stats["feerate_percentiles"], stats["avgfeerate"])


@EACH
def test_the_height_stands_in_the_coinbase(row: dict[str, str]) -> None:
    height = int(row["height"])
    if height < BIP34_HEIGHT:
        pytest.skip("older than BIP 34")
    script = block_of(row).coinbase_script
    assert int.from_bytes(script[1 : 1 + script[0]], "little") == height


KNOWN = {
    # height: (part of the tag, pool by the built-in table, pool by mempool/mining-pools)
    "0": ("EThe Times 03/Jan/2009 Chancellor on brink of second bailout for banks", None, None),
    "1": ("", None, None),
    "277647": ("Mined by BTC Guild", None, "BTC Guild"),
    "482683": ("AntPool", "AntPool", "AntPool"),
    "540107": ("/BTC.COM/", "BTC.com", "BTC.com"),
    "702861": ("binance", None, "Binance Pool"),
    "866342": ("MARA Made in USA", "MARA Pool", "MARA Pool"),
    "951658": ("/SBICrypto.com Pool/", "SBI Crypto", "SBI Crypto"),
}


@EACH
def test_tags_and_pools(row: dict[str, str]) -> None:
    script = block_of(row).coinbase_script
    tag = coinbase_tag(script)
    assert tag.isascii()
    assert tag == "" or tag.isprintable()
    if row["height"] not in KNOWN:
        pytest.skip("nobody has looked at who mined this one")
    part, built_in, listed = KNOWN[row["height"]]
    assert part in tag
    assert Pools().find(script, []) == built_in
    if POOLS.exists():
        assert Pools(POOLS).find(script, []) == listed
