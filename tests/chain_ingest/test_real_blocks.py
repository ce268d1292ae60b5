"""Real blocks of mainnet, recorded beside the checkout: every fact that is read or computed from their bytes.

The same facts of regtest blocks, which need no recording: test_backfill_statistics.py.
"""

from __future__ import annotations

import csv
import heapq
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from chain_ingest.block import LARGEST, coinbase_tag, measure, read
from chain_ingest.pools import Pools
from chain_ingest.transaction import Span, compact, fingerprint, span, txid
from shared.bands import VALUE_BOUNDS
from support.oracle import value_band

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


def transactions(raw: bytes) -> list[Span]:
    count, at = compact(raw, 80)
    spans = []
    for _ in range(count):
        spans.append(span(raw, at))
        at = spans[-1].end
    return spans


def merkle_root(txids: list[str]) -> bytes:
    level = [bytes.fromhex(one)[::-1] for one in txids]
    while len(level) > 1:
        level += level[-1:] if len(level) % 2 else []
        level = [sha256(sha256(a + b).digest()).digest() for a, b in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def statistics(height: str) -> dict[str, Any] | None:
    path = BLOCKS / f"getblockstats_{height}_computed.json"
    return json.loads(path.read_text()) if path.exists() else None


def test_there_are_blocks_to_look_at() -> None:
    assert len(recorded()) >= 5


@EACH
def test_each_transaction_is_found(row: dict[str, str]) -> None:
    raw = (BLOCKS / row["file"]).read_bytes()
    spans = transactions(raw)
    assert (len(spans), spans[-1].end) == (int(row["ntx"]), len(raw))
    assert merkle_root([txid(raw, where) for where in spans]) == raw[36:68]  # so every txid is right
    segwit = sum(where.segwit for where in spans)
    assert segwit - int(row["segwit_txs"]) in {0, spans[0].segwit}  # the index counts the coinbase now and then
    assert spans[0].value == int(row["coinbase_out_sats"])


@EACH
def test_measures(row: dict[str, str]) -> None:
    raw = (BLOCKS / row["file"]).read_bytes()
    measures = measure(raw)
    assert (measures.hash, measures.time) == (row["hash"], int(row["time"]))
    assert (measures.tx_count, measures.size) == (int(row["ntx"]), int(row["size"]))
    assert measures.weight == int(row["weight"])
    spans = transactions(raw)
    values = [(where.value, txid(raw, where)) for where in spans[1:]]
    expected = heapq.nsmallest(LARGEST, ((-value, one) for value, one in values))
    assert [(-one.value, one.txid) for one in measures.largest] == expected
    banded = [0] * len(VALUE_BOUNDS)
    for where in spans[1:]:
        for value in where.values:
            banded[value_band(value)] += 1
    assert measures.output_bands == banded
    if (stats := statistics(row["height"])) is not None:
        assert sum(value for value, _ in values) == stats["total_out"]
        assert sum(measures.output_bands) + len(spans[0].values) == stats["outs"]
        assert (measures.tx_count, measures.time) == (stats["txs"], stats["time"])


@EACH
def test_the_live_path_and_the_backfill_read_the_same(row: dict[str, str]) -> None:
    raw = (BLOCKS / row["file"]).read_bytes()
    spans = transactions(raw)
    contents, measures = read(raw, [txid(raw, where) for where in spans]), measure(raw)
    assert contents.largest == measures.largest
    assert contents.output_bands == measures.output_bands
    assert contents.coinbase_script == measures.coinbase_script
    assert contents.coinbase_outputs == measures.coinbase_outputs
    assert contents.spent == {fingerprint(outpoint) for where in spans[1:] for outpoint in where.outpoints}


@EACH
def test_the_height_stands_in_the_coinbase(row: dict[str, str]) -> None:
    height = int(row["height"])
    if height < BIP34_HEIGHT:
        pytest.skip("older than BIP 34")
    script = measure((BLOCKS / row["file"]).read_bytes()).coinbase_script
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
    measures = measure((BLOCKS / row["file"]).read_bytes())
    tag = coinbase_tag(measures.coinbase_script)
    assert tag.isascii()
    assert tag == "" or tag.isprintable()
    if row["height"] not in KNOWN:
        pytest.skip("nobody has looked at who mined this one")
    part, built_in, listed = KNOWN[row["height"]]
    assert part in tag
    assert Pools().find(measures.coinbase_script, []) == built_in
    if POOLS.exists():
        assert Pools(POOLS).find(measures.coinbase_script, []) == listed
