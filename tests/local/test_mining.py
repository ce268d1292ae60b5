from __future__ import annotations

import pytest

from local_run import mining
from local_run.errors import SetupError
from local_run.mining import Template, assemble, merkle_root, mine
from local_run.node import RegtestNode

ANYONE_SCRIPT = bytes.fromhex("00204ae81572f06e1b88fd5ced7a1a000945432e83e1551e6f721ee9c00b8cc33260")


def test_merkle_root_of_a_real_block() -> None:
    # Block 100,000 of the main network: four transactions.
    txids = [
        "8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87",
        "fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4",
        "6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4",
        "e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d",
    ]
    root = merkle_root([bytes.fromhex(txid)[::-1] for txid in txids])
    assert root[::-1].hex() == "f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766"


@pytest.mark.parametrize(
    ("height", "script"),
    [(1, "51"), (16, "60"), (17, "0111"), (127, "017f"), (128, "028000"), (255, "02ff00"), (32768, "03008000")],
)
def test_heights_are_pushed_as_bip34_asks(height: int, script: str) -> None:
    assert mining._push_number(height).hex() == script


async def test_the_node_takes_the_blocks_and_they_carry_the_tag(node: RegtestNode) -> None:
    await node.rpc("createwallet", "w")
    address = await node.rpc("getnewaddress", wallet="w")
    script = bytes.fromhex((await node.rpc("getaddressinfo", address, wallet="w"))["scriptPubKey"])
    for height in range(1, 131):  # past 16 and 127, where the push of the height changes its form
        block_hash, mined, count = await mine(node, script, "/tag/")
        assert (mined, count) == (height, 1)
        assert await node.rpc("getbestblockhash") == block_hash
    for spends in (1, 2, 3):  # even and odd merkle trees, with witnesses
        for _ in range(spends):
            await node.rpc("sendtoaddress", address, 1, wallet="w")
        block_hash, _, count = await mine(node, script, "/tag/")
        assert count == spends + 1
    block = await node.rpc("getblock", block_hash, 2)
    assert bytes.fromhex(block["tx"][0]["vin"][0]["coinbase"]).endswith(b"/tag/")
    assert block["tx"][0]["vout"][0]["scriptPubKey"]["hex"] == script.hex()
    stats = await node.rpc("getblockstats", block_hash)
    assert round(block["tx"][0]["vout"][0]["value"] * 1e8) == stats["subsidy"] + stats["totalfee"]
    assert stats["totalfee"] > 0


async def test_a_refused_block_is_an_error(node: RegtestNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "_push_number", lambda height: b"\x01\x7f")
    with pytest.raises(SetupError, match="refused block 1: bad-cb-height"):
        await mine(node, ANYONE_SCRIPT, "/tag/")
    assert await node.rpc("getblockcount") == 0


def test_not_for_real_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    template = Template(
        version=1,
        previousblockhash="00" * 32,
        transactions=[],
        coinbasevalue=0,
        curtime=0,
        bits="1d00ffff",
        height=1,
        target="00" * 32,
        default_witness_commitment="",
    )
    monkeypatch.setattr(mining, "_NONCES", 100)
    with pytest.raises(SetupError, match="expected a regtest node"):
        assemble(template, b"", "")
