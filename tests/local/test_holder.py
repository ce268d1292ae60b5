"""The demonstration's holder: its addresses are published and stay the same, and what lies there moves."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from local_run import holder
from local_run.holder import Holder
from local_run.mining import mine
from local_run.node import RegtestNode
from local_run.wallets import Wallets


async def lies(node: RegtestNode, addresses: list[str]) -> float:
    """Bitcoin at these addresses, in blocks."""
    found: Any = await node.rpc("scantxoutset", "start", [f"addr({one})" for one in addresses])
    return float(found["total_amount"])


async def test_it_publishes_addresses_and_something_comes_and_goes(
    old_chain: RegtestNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, chance = tmp_path / "published.txt", random.Random(3)
    it = Holder(old_chain, chance, file)
    await it.open()
    addresses = file.read_text().split()
    assert len(set(addresses)) == 3
    for one in addresses:
        assert (await old_chain.rpc("validateaddress", one))["isvalid"]
    wallets = Wallets(old_chain, chance)
    await wallets.open()
    script = await wallets.mining_script()
    await mine(old_chain, script, "")
    assert await lies(old_chain, addresses) == pytest.approx(24.95)
    again = Holder(old_chain, chance, file)
    await again.open()
    assert file.read_text().split() == addresses
    await mine(old_chain, script, "")
    assert await lies(old_chain, addresses) == pytest.approx(24.95), "it is paid once"
    monkeypatch.setattr(holder, "_COMES", 1)
    monkeypatch.setattr(holder, "_GOES", 0)
    await again.live(wallets)
    await mine(old_chain, script, "")
    more = await lies(old_chain, addresses)
    assert more > 24.95
    monkeypatch.setattr(holder, "_COMES", 0)
    monkeypatch.setattr(holder, "_GOES", 1)
    await again.live(wallets)
    await mine(old_chain, script, "")
    assert await lies(old_chain, addresses) == pytest.approx(24.95)
    await again.live(wallets)
    assert await old_chain.rpc("getrawmempool") == [], "what it had at first stays"
