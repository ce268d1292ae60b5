"""What a stream may say: numbers that no chain knows are refused, what some chain really has is taken, and packs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mempool.graph import Tx
from mempool.records import pack
from shared import pools, records
from shared.bands import VALUE_BOUNDS
from shared.errors import BadEntry
from shared.events.backfill import BACKFILL, BlocksMeasured, HeadersCollected
from shared.events.base import Event, Family
from shared.events.blocks import BLOCKS, BlockConnected, HeadersLoaded, LargestTx
from shared.events.mempool import MEMPOOL, MempoolSynced, TxAdded

HASH = "0f" * 32
TXID = "ab" * 32

MEASURED: dict[str, Any] = {
    "height": 900_000,
    "hash": HASH,
    "time": 1_750_000_000,
    "tx_count": 3_000,
    "size": 1_600_000,
    "weight": 3_993_000,
    "inputs": 7_000,
    "outputs": 8_000,
    "output_value": 10**13,
    "fees": 10**7,
    "fee_rate_percentiles": [1, 2, 3, 4, 5],
    "fee_rate_avg": 3,
    "output_bands": [1] * len(VALUE_BOUNDS),
    "pool": None,
    "largest": [LargestTx(txid=TXID, value=10**12)],
}
CONNECTED: dict[str, Any] = {
    **MEASURED,
    "prev_hash": HASH,
    "median_time": 1_750_000_000,
    "bits": "17021369",
    "difficulty": 1.2e14,
    "chainwork": "0" * 40 + "f" * 24,
    "subsidy": 312_500_000,
    "coinbase_tag": "/x/",
    "node": "main",
}
ADDED: dict[str, Any] = {
    "txid": TXID,
    "vsize": 141,
    "weight": 561,
    "size": 222,
    "fee": 1_410,
    "value": 10**8,
    "time": 1_750_000_000,
    "parents": [],
    "children": [],
    "ancestor_fee": 1_410,
    "ancestor_vsize": 141,
    "replaceable": True,
}
SYNCED: dict[str, Any] = {
    "mempool_sequence": 1,
    "tx_count": 1,
    "vsize": 141,
    "total_fee": 1_410,
    "min_fee_rate": 0.1,
    "usage": 10**6,
    "max_usage": 3 * 10**8,
    "time_ms": 1_750_000_000_000,
}
LOADED: dict[str, Any] = {
    "height": 0,
    "headers": [(1_231_006_505, 0x1D00FFFF)],
    "hashes": [HASH],
    "tip_hash": HASH,
    "chainwork": "100010001",
    "median_time": 1_231_006_505,
    "node": "main",
}
COLLECTED: dict[str, Any] = {
    "height": 0,
    "prev_hash": "",
    "tip_hash": HASH,
    "headers": [(1_231_006_505, 0x1D00FFFF, HASH[-16:])],
}

ABSURD = [
    (MEMPOOL, TxAdded, ADDED, "fee", 10**18),
    (MEMPOOL, TxAdded, ADDED, "fee", -1),
    (MEMPOOL, TxAdded, ADDED, "value", 10**18),
    (MEMPOOL, TxAdded, ADDED, "vsize", 2**32),
    (MEMPOOL, TxAdded, ADDED, "weight", 10**18),
    (MEMPOOL, TxAdded, ADDED, "time", 2**32),
    (MEMPOOL, TxAdded, ADDED, "ancestor_fee", -(10**18)),
    (MEMPOOL, TxAdded, ADDED, "txid", "ab"),
    (MEMPOOL, TxAdded, ADDED, "parents", ["ab"]),
    (MEMPOOL, MempoolSynced, SYNCED, "time_ms", 10**18),
    (MEMPOOL, MempoolSynced, SYNCED, "min_fee_rate", -0.1),
    (MEMPOOL, MempoolSynced, SYNCED, "total_fee", 10**18),
    (BLOCKS, BlockConnected, CONNECTED, "height", 10**18),
    (BLOCKS, BlockConnected, CONNECTED, "time", 10**18),
    (BLOCKS, BlockConnected, CONNECTED, "median_time", -1),
    (BLOCKS, BlockConnected, CONNECTED, "size", 10**18),
    (BLOCKS, BlockConnected, CONNECTED, "difficulty", 1e300),
    (BLOCKS, BlockConnected, CONNECTED, "fees", 10**18),
    (BLOCKS, BlockConnected, CONNECTED, "output_value", 10**18),
    (BLOCKS, BlockConnected, CONNECTED, "fee_rate_percentiles", [1, 2, 3]),
    (BLOCKS, BlockConnected, CONNECTED, "fee_rate_percentiles", [1, 2, 3, 4, 2**32]),
    (BLOCKS, BlockConnected, CONNECTED, "output_bands", [10**18] * len(VALUE_BOUNDS)),
    (BLOCKS, BlockConnected, CONNECTED, "hash", "0f"),
    (BLOCKS, HeadersLoaded, LOADED, "headers", [(10**18, 1)]),
    (BLOCKS, HeadersLoaded, LOADED, "height", 10**9),
    (BACKFILL, HeadersCollected, COLLECTED, "headers", [(1, 2**32, HASH[-16:])]),
    (BACKFILL, HeadersCollected, COLLECTED, "headers", [(1, 1, "0f")]),
    (BACKFILL, BlocksMeasured, {"blocks": [MEASURED]}, "blocks", [{**MEASURED, "tx_count": 2**32}]),
]


@pytest.mark.parametrize(("family", "event", "fields", "name", "value"), ABSURD, ids=lambda it: str(it)[:20])
def test_numbers_that_no_chain_knows_are_refused_by_name(
    family: Family, event: type[Event], fields: dict[str, Any], name: str, value: Any
) -> None:
    kind = event.TYPE.encode()
    assert family.decode(kind, msgspec.json.encode(fields)) is not None
    with pytest.raises(BadEntry, match=rf"(?s){event.TYPE}: .*{name}"):
        family.decode(kind, msgspec.json.encode({**fields, name: value}))


def taken(family: Family, event: type[Event], fields: dict[str, Any]) -> Any:
    return family.decode(event.TYPE.encode(), msgspec.json.encode(fields))


@pytest.mark.parametrize(
    "genuine",
    [
        {"difficulty": 4.6565423739069247e-10, "bits": "207fffff", "time": 0},  # regtest, mocktime
        {"difficulty": 2.7e67, "bits": "03000001"},  # the lowest target
        {"time": 2**32 - 1, "median_time": 2**32 - 1},  # testnet4's headers run ahead
        {"fees": 50 * 10**8 * 21_000, "fee_rate_percentiles": [0, 0, 0, 0, 2**32 - 1]},
        {"output_value": 4 * 10**15},  # coins that move several times within the block
        {"prev_hash": "", "output_bands": [], "largest": []},  # the genesis block; chain-ingest of before
        {"size": 4_000_000, "weight": 4_000_000, "tx_count": 1},
    ],
    ids=str,
)
def test_what_some_chain_really_has_is_taken(genuine: dict[str, Any]) -> None:
    assert taken(BLOCKS, BlockConnected, {**CONNECTED, **genuine}) is not None


def test_a_fee_that_somebody_prioritised_away_is_taken() -> None:
    assert taken(MEMPOOL, TxAdded, {**ADDED, "ancestor_fee": -(10**8)}).ancestor_fee == -(10**8)


def test_the_largest_that_is_taken_can_be_packed() -> None:
    """The records' widths and the events' ranges fit: what decodes never fails later for its size."""
    most = 2**32 - 1
    money = 21 * 10**14
    sizes = dict.fromkeys(("vsize", "weight", "size", "time"), most)
    added = taken(MEMPOOL, TxAdded, {**ADDED, **sizes, "fee": money, "value": money})
    pack(Tx(added.fee, added.vsize, added.weight, added.size, added.value, added.time))
    flow = records.Flow(most, added.vsize, added.value, added.fee)
    records.FLOW.pack(flow)
    counts = dict.fromkeys(("time", "tx_count", "size", "weight", "inputs", "outputs", "fee_rate_avg"), most)
    rates = {"fee_rate_percentiles": [most] * 5, "output_bands": [most] * len(VALUE_BOUNDS)}
    block = {**MEASURED, **counts, **rates, "output_value": 10**16, "fees": money}
    [measured] = taken(BACKFILL, BlocksMeasured, {"blocks": [block]}).blocks
    packed = records.BLOCK.pack(
        records.Block(
            time=measured.time,
            tx_count=measured.tx_count,
            size=measured.size,
            weight=measured.weight,
            inputs=measured.inputs,
            outputs=measured.outputs,
            output_value=measured.output_value,
            fees=measured.fees,
            percentiles=tuple(measured.fee_rate_percentiles),
            feerate=measured.fee_rate_avg,
            pool=pools.pool_id("x"),
            output_bands=tuple(measured.output_bands),
        )
    )
    assert records.BLOCK.unpack(packed, 0) is not None
    collected = taken(BACKFILL, HeadersCollected, {**COLLECTED, "headers": [(most, most, "f" * 16)]})
    [(time, bits, end)] = collected.headers
    assert records.HEADER.unpack(records.HEADER.pack(records.Header(time, bits, bytes.fromhex(end))), 0) is not None
