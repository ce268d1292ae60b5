"""Damage on a node's disk: what bitcoind can then not read any more, while it runs."""

from __future__ import annotations

from pathlib import Path

from local_run.node import RegtestNode

_MERKLE_ROOT = 36


def _blocks(node: RegtestNode) -> Path:
    return node.folder / "regtest" / "blocks"


async def damage_block(node: RegtestNode, block_hash: str) -> None:
    """Overwrite a part of the block's header; newer nodes keep their files XORed with a key."""
    raw = bytes.fromhex(await node.rpc("getblock", block_hash, 0))
    keys = _blocks(node) / "xor.dat"
    key = keys.read_bytes() if keys.exists() else bytes(8)
    for file in sorted(_blocks(node).glob("blk*.dat")):
        stored = file.read_bytes()
        pad = (key * (len(stored) // len(key) + 1))[: len(stored)]
        plain = (int.from_bytes(stored, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(stored), "big")
        at = plain.find(raw)
        if at >= 0:
            _overwrite(file, at + _MERKLE_ROOT, bytes(byte ^ 0xFF for byte in stored[at + _MERKLE_ROOT :][:8]))
            return
    raise LookupError(f"block {block_hash} is in no file of {node.folder}")


def damage_undo(node: RegtestNode) -> None:
    """Overwrite what is needed to compute the statistics of every block so far."""
    for file in _blocks(node).glob("rev*.dat"):
        _overwrite(file, 0, bytes(file.stat().st_size))


def _overwrite(file: Path, at: int, content: bytes) -> None:
    with open(file, "r+b") as disk:
        disk.seek(at)
        disk.write(content)
