"""Addresses that holders published: each has its checksum, its holder and its source."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from marketcap import published, sample
from marketcap.board import Board
from marketcap.fold import PUBLISHED, RankingFold
from shared.asset_views import TREASURIES
from shared.clock import Moment
from shared.errors import ConfigError
from shared.events.rankings import HoldersTold
from shared.keys import Keys
from support.addresses import checked
from support.asset_samples import claim
from support.each import each
from support.market_bodies import NOW

HEAD = ",".join(published.COLUMNS)
ROW = "country,El Salvador,,32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo,Its office,https://b/,2024-03-14"


def test_each_has_its_checksum_and_its_source() -> None:
    every = [one for of_holder in published.addresses().values() for one in of_holder]
    assert each(checked(one.address) for one in every)
    assert each(one.source and one.link.startswith("https://") for one in every)
    assert each(one.as_of < datetime.now(UTC).timestamp() for one in every)
    assert len({one.address for one in every}) == len(every)


@pytest.mark.parametrize(
    ("address", "right"),
    [
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", True),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", False),
        ("32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzp", False),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", True),  # BIP 173
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", False),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", True),  # BIP 350
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj1", False),
        ("", False),
        ("no address", False),
    ],
)
def test_a_checksum_tells_a_wrong_character(address: str, right: bool) -> None:
    assert checked(address) is right


def test_an_address_stands_beside_the_claim_of_its_holder() -> None:
    fold = RankingFold(Keys("main"))
    holders = [
        claim("Government of El Salvador", 7_500, kind="country", country="SV"), claim("Bhutan", 6_000, kind="country"),
    ]  # fmt: skip
    fold.apply(HoldersTold(claims=holders, answered=["CoinGecko"], time_ms=NOW * 1000))
    fold.flush(Moment(NOW * 1000, 1))
    view = msgspec.json.decode(fold.shown["treasuries_countries"], type=TREASURIES["countries"])
    assert [[one.address for one in row.addresses] for row in view.rows] == [
        ["32ixEdVJWo3kmvJGMTZq5jAQVZZeuwnqzo"],
        [],
    ]


def test_the_demonstrations_own_holder_is_there_where_it_has_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert published.demonstrated() == {}
    assert published.DEMONSTRATED not in {one.name for one in sample.made(NOW).claims}
    file = tmp_path / "published.txt"
    monkeypatch.setenv("DASHBOARD_DEMO_PUBLISHED_FILE", str(file))
    assert published.demonstrated() == {}, "nothing is written yet"
    file.write_text("bcrt1one\nbcrt1two\n")
    fold = RankingFold(Keys("regtest"), {**PUBLISHED, **published.demonstrated()})
    board = Board(Keys("regtest"))
    board.pretend(sample.made(NOW))
    for event in board.flush(NOW * 1000).events:
        fold.apply(event)
    fold.flush(Moment(NOW * 1000, 1))
    rows = {
        row.name: row
        for name, kind in TREASURIES.items()
        for row in msgspec.json.decode(fold.shown[f"treasuries_{name}"], type=kind).rows
    }
    assert [one.address for one in rows[published.DEMONSTRATED].addresses] == ["bcrt1one", "bcrt1two"]
    assert rows["El Salvador"].addresses, "those of the table stay"
    assert len({row.key for row in rows.values()}) == len(rows)


def test_several_of_one_holder_stand_together() -> None:
    found = published.parsed("\n".join(["# a comment", HEAD, ROW, ROW.replace("32ix", "other")]))
    assert [one.address[:5] for one in found["country:el salvador"]] == ["32ixE", "other"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["kind,name"], "expected the head kind,name,symbol"),
        ([HEAD, ROW + ",more"], "line 2"),
        ([HEAD, ROW.replace("country,", "planet,")], "line 2"),
        ([HEAD, ROW.replace("https://b/", "somewhere")], "line 2: expected a name, an address, a source and a link"),
        ([HEAD, ROW, ROW.replace("2024-03-14", "March")], "line 3"),
    ],
)
def test_a_line_that_cannot_be_is_named(lines: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        published.parsed("\n".join(lines))
