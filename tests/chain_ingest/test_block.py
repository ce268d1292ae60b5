"""What a block's bytes say: tags, largest transactions, outputs by value, pools. Real ones: test_real_blocks.py."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_ingest.block import Block
from chain_ingest.fees import NONE
from chain_ingest.statistics import LARGEST, Statistics, bands, coinbase_tag
from shared.bands import VALUE_BOUNDS
from shared.errors import ConfigError
from shared.events.backfill import MeasuredBlock
from shared.events.blocks import BlockConnected
from shared.pool_tags import Pools
from support import spending
from support.oracle import value_band

# --- tags --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "tag"),
    [
        (b"", ""),
        (b"\x03\x41\x42\x43", ""),  # the height is never text
        (b"\x03\x41\x42\x43/ViaBTC/", "/ViaBTC/"),
        (b"\x04\xff\xff\x00\x1d\x01\x04EThe Times", "EThe Times"),
        (b"\x03abc\x00ab\x00Foundry USA Pool\x01#dropgold\xff/x", "Foundry USA Pool #dropgold"),
        (b"\x51\x00", ""),
        (b"\x03abc" + b"x" * 300, "x" * 100),
        (b"\x03abc   \x00", ""),
        ("\x03abc七彩神仙鱼".encode(), ""),
        (b"\x05", ""),
    ],
)
def test_a_tag_is_the_printable_part(script: bytes, tag: str) -> None:
    assert coinbase_tag(script) == tag


@given(st.binary(max_size=100))
def test_a_tag_is_always_fit_to_be_shown(script: bytes) -> None:
    tag = coinbase_tag(script)
    assert tag.isascii()
    assert tag == "" or tag.isprintable()
    assert len(tag) <= 100


# --- pools -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "name"),
    [
        (b"\x03abc/ViaBTC/Mined by x/", "ViaBTC"),
        (b"...Foundry USA Pool #dropgold", "Foundry USA"),
        (b"Mined by AntPool803", "AntPool"),
        ("七彩神仙鱼".encode(), "F2Pool"),
        (b"< OCEAN.XYZ >", "OCEAN"),
        (b"/nobody knows/", None),
        (b"", None),
    ],
)
def test_the_built_in_table(script: bytes, name: str | None) -> None:
    pools = Pools()
    assert pools.find(script, ["some address"]) == name
    assert not pools.needs_addresses


def test_a_file_replaces_the_table_and_an_address_wins(tmp_path: Path) -> None:
    file = tmp_path / "pools.json"
    pools = [
        {"id": 1, "name": "One", "tags": ["/one/", ""], "addresses": ["a1"], "link": "x"},
        {"id": 2, "name": "Two", "tags": [], "addresses": ["a2", "a3"]},
    ]
    file.write_text(json.dumps(pools))
    found = Pools(file)
    assert found.needs_addresses
    assert found.find(b"/one/", []) == "One"
    assert found.find(b"/one/", ["other", "a3"]) == "Two"
    assert found.find(b"/ViaBTC/", []) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        ("[", "expected a list of objects with name, tags and addresses"),
        ('{"name": "x"}', "expected a list of objects"),
        ('[{"tags": []}]', "missing required field `name`"),
        ('[{"name": "x", "tags": "x"}]', "Expected `array`"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_expected(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "pools.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError) as raised:
        Pools(file)
    assert str(raised.value).startswith(f"POOLS_FILE='{file}'")
    assert said in str(raised.value)


# --- blocks ------------------------------------------------------------------------------------------------


TIME = 1_700_000_000


def made_block(values: list[list[int]]) -> tuple[bytes, list[str]]:
    """A block whose transactions behind the coinbase pay these values."""
    coinbase = spending.build([spending.Coin("00" * 32, 0xFFFFFFFF, 0)], [50])
    others = [spending.build([spending.Coin(f"{at:064x}", at, 0)], paid) for at, paid in enumerate(values)]
    number = len(others) + 1
    size = bytes([number]) if number < 0xFD else b"\xfd" + number.to_bytes(2, "little")
    header = bytes(68) + struct.pack("<III", TIME, 0, 0)
    raw = header + size + b"".join(bytes.fromhex(built.raw) for built in (coinbase, *others))
    return raw, [built.txid for built in (coinbase, *others)]


def repeating(count: int) -> list[list[int]]:
    """Values of so many transactions; they repeat, so that there are ties."""
    return [[number % 7 * 1_000, 1] for number in range(count)]


def measured(raw: bytes) -> Statistics:
    """What is told of it beside its fees."""
    return Statistics(Block(raw), NONE)


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 300])
def test_the_largest_come_first_and_ties_by_txid(count: int) -> None:
    raw, txids = made_block(repeating(count))
    block, statistics = Block(raw), measured(raw)
    values = {one: number % 7 * 1_000 + 1 for number, one in enumerate(txids[1:])}
    expected = sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))[:LARGEST]
    assert [(one.txid, one.value) for one in statistics.largest] == expected
    applied = block.applied()
    assert applied.txids == txids
    assert len(applied.spent) == count
    assert (block.coinbase_script, block.coinbase_outputs) == (b"", [spending.SCRIPT])
    assert (statistics.tx_count, statistics.size, statistics.time) == (count + 1, len(raw), TIME)
    assert (statistics.inputs, statistics.outputs) == (count, 1 + 2 * count)
    assert statistics.output_value == sum(values.values())


@pytest.mark.parametrize("values", [[[5_000]] * 120, [[9_000]] * 49 + [[5_000]] * 60, [[0]] * 51, [[1]] * 50 + [[0]]])
def test_a_tie_at_the_end_of_the_largest_is_broken_by_txid(values: list[list[int]]) -> None:
    raw, txids = made_block(values)
    expected = sorted(zip((-sum(paid) for paid in values), txids[1:], strict=True))[:LARGEST]
    assert [(-one.value, one.txid) for one in measured(raw).largest] == expected


@given(st.lists(st.integers(0, 3 * VALUE_BOUNDS[-1]) | st.sampled_from(VALUE_BOUNDS)))
def test_outputs_by_value(values: list[int]) -> None:
    expected = [0] * len(VALUE_BOUNDS)
    for value in values:
        expected[value_band(value)] += 1
    assert bands(values) == expected


def test_each_bound_opens_its_band_and_the_coinbase_counts_nowhere() -> None:
    raw, _ = made_block([[bound, bound] for bound in VALUE_BOUNDS] + [[bound - 1] for bound in VALUE_BOUNDS[1:]])
    assert measured(raw).output_bands == [3] * (len(VALUE_BOUNDS) - 1) + [2]


@pytest.mark.parametrize("kind", [BlockConnected, MeasuredBlock])
def test_an_event_has_every_statistic_but_what_the_header_and_the_node_tell(kind: type[msgspec.Struct]) -> None:
    raw, _ = made_block(repeating(3))
    rest = {"height", "prev_hash", "median_time", "bits", "difficulty", "chainwork", "subsidy", "node", "pool"}
    assert measured(raw).of(kind).keys() == set(kind.__struct_fields__) - rest


@pytest.mark.parametrize("cut", [0, 79, 80, 81, 100, -1])
def test_what_is_no_block_is_not_read(cut: int) -> None:
    raw, _ = made_block(repeating(3))
    with pytest.raises((ValueError, IndexError)):
        Block(raw[:cut])
    with pytest.raises(ValueError, match="without a coinbase"):
        Block(raw[:80] + b"\0")
    with pytest.raises(ValueError, match="5 bytes follow the last transaction"):
        Block(raw + b"12345")
