"""Reading blocks: tags, largest transactions, pools; against real ones of mainnet where they are at hand."""

from __future__ import annotations

import csv
import heapq
import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_ingest.block import LARGEST, coinbase_tag, read
from chain_ingest.pools import Pools
from chain_ingest.transaction import compact, fingerprint, span, txid
from shared.errors import ConfigError
from support import spending

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
BLOCKS = DATA / "blocks"
MAINNET = pytest.mark.skipif(not BLOCKS.exists(), reason="no recorded blocks of mainnet beside the checkout")


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


def made_block(count: int) -> tuple[bytes, list[str]]:
    """A block of so many transactions behind its coinbase; values repeat, so that there are ties."""
    coinbase = spending.build([spending.Coin("00" * 32, 0xFFFFFFFF, 0)], [50])
    others = [
        spending.build([spending.Coin(f"{number:064x}", number, 0)], [number % 7 * 1_000, 1]) for number in range(count)
    ]
    number = count + 1
    size = bytes([number]) if number < 0xFD else b"\xfd" + number.to_bytes(2, "little")
    raw = bytes(80) + size + b"".join(bytes.fromhex(built.raw) for built in (coinbase, *others))
    return raw, [built.txid for built in (coinbase, *others)]


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 300])
def test_the_largest_come_first_and_ties_by_txid(count: int) -> None:
    raw, txids = made_block(count)
    contents = read(raw, txids)
    values = {one: number % 7 * 1_000 + 1 for number, one in enumerate(txids[1:])}
    expected = sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))[:LARGEST]
    assert [(one.txid, one.value) for one in contents.largest] == expected
    assert len(contents.spent) == count
    assert contents.coinbase_outputs == [spending.SCRIPT]


def test_a_block_that_does_not_fit_its_txids_is_refused() -> None:
    raw, txids = made_block(3)
    with pytest.raises(ValueError, match="block has 4 transactions but 3 txids were given"):
        read(raw, txids[:-1])
    with pytest.raises(ValueError, match="5 bytes follow the last transaction"):
        read(raw + b"12345", txids)
    with pytest.raises((ValueError, IndexError)):
        read(raw[:-1], txids)


def recorded() -> list[dict[str, str]]:
    if not BLOCKS.exists():
        return []
    with (BLOCKS / "index.csv").open() as file:
        return [row for row in csv.DictReader(file) if (BLOCKS / row["file"]).exists()]


def merkle_root(txids: list[str]) -> bytes:
    level = [bytes.fromhex(one)[::-1] for one in txids]
    while len(level) > 1:
        level += level[-1:] if len(level) % 2 else []
        level = [sha256(sha256(a + b).digest()).digest() for a, b in zip(level[::2], level[1::2], strict=True)]
    return level[0]


@MAINNET
@pytest.mark.parametrize("row", recorded(), ids=lambda row: row["height"])
def test_real_blocks(row: dict[str, str]) -> None:
    raw = (BLOCKS / row["file"]).read_bytes()
    assert sha256(sha256(raw[:80]).digest()).digest()[::-1].hex() == row["hash"]
    count, at = compact(raw, 80)
    spans = []
    for _ in range(count):
        spans.append(span(raw, at))
        at = spans[-1].end
    assert (count, at) == (int(row["ntx"]), int(row["size"])) == (len(spans), len(raw))
    txids = [txid(raw, where) for where in spans]
    assert merkle_root(txids) == raw[36:68]  # so every txid is right
    assert sum(where.segwit for where in spans) - spans[0].segwit in {
        int(row["segwit_txs"]),
        int(row["segwit_txs"]) - spans[0].segwit,
    }
    assert spans[0].value == int(row["coinbase_out_sats"])
    stripped = sum(where.body_end - where.body_start + 8 for where in spans) + 80 + len(varint(count))
    assert 3 * stripped + len(raw) == int(row["weight"])
    contents = read(raw, txids)
    expected = heapq.nsmallest(LARGEST, ((-w.value, one) for w, one in zip(spans[1:], txids[1:], strict=True)))
    assert [(-one.value, one.txid) for one in contents.largest] == expected
    assert contents.spent == {fingerprint(outpoint) for where in spans[1:] for outpoint in where.outpoints}


def varint(count: int) -> bytes:
    return bytes([count]) if count < 0xFD else b"\xfd" + count.to_bytes(2, "little")


@MAINNET
@pytest.mark.parametrize(
    ("height", "tag", "pool"),
    [
        ("000000", "EThe Times 03/Jan/2009 Chancellor on brink of second bailout for banks", None),
        ("482683", "AntPool", "AntPool"),
        ("866342", "MARA Made in USA", "MARA Pool"),
        ("951658", "/SBICrypto.com Pool/", "SBI Crypto"),
    ],
)
def test_tags_and_pools_of_real_blocks(height: str, tag: str, pool: str | None) -> None:
    raw = (BLOCKS / f"{height}.raw").read_bytes()
    count, at = compact(raw, 80)
    txids = []
    for _ in range(count):
        where = span(raw, at)
        txids.append(txid(raw, where))
        at = where.end
    contents = read(raw, txids)
    found = coinbase_tag(contents.coinbase_script)
    assert tag in found
    assert Pools().find(contents.coinbase_script, []) == pool
    table = DATA / "mining_pools" / "pools-v2.json"
    if table.exists():
        assert Pools(table).find(contents.coinbase_script, []) == pool
