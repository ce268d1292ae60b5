"""Scripts of the main chain whose kinds and addresses everybody knows, and scripts made up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

import pytest
from hypothesis import strategies as st

from shared.errors import Unreadable
from shared.lookups.parts import Kind

GENESIS_SCRIPT: Final = bytes.fromhex(
    "4104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d"
    "578a4c702b6bf11d5fac"
)
GENESIS_COINBASE: Final = bytes.fromhex(
    "04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f"
    "6e64206261696c6f757420666f722062616e6b73"
)
BLOCK_170: Final = bytes.fromhex(
    "4104ae1a62fe09c5f51b13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a0626f1bade"
    "d5c72a704f7e6cd84cac"
)
"""What the first payment paid to."""

P = ParamSpec("P")
T = TypeVar("T")

KEY: Final = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
OTHER_KEY: Final = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5"

KNOWN: Final[list[tuple[Kind, str, str | None]]] = [
    ("p2pk", GENESIS_SCRIPT.hex(), None),
    ("p2pk", BLOCK_170.hex(), None),
    ("p2pk", f"21{KEY}ac", None),
    ("p2pkh", "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ("p2pkh", "76a914" + "00" * 20 + "88ac", "1111111111111111111114oLvT2"),
    ("p2sh", "a914b472a266d0bd89c13706a4132ccfb16f7c3b9fcb87", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"),
    ("v0_p2wpkh", "0014751e76e8199196d454941c45d1b3a323f1433bd6", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
    (
        "v0_p2wsh",
        "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
        "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",
    ),
    (
        "v1_p2tr",
        "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    ),
    ("p2a", "51024e73", "bc1pfeessrawgf"),
    ("witness", "6002751e", "bc1sw50qgdz25j"),
    ("witness", "5210751e76e8199196d454941c45d1b3a323", "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs"),
    ("multisig", f"5121{KEY}21{OTHER_KEY}52ae", None),
    ("multisig", f"5141{GENESIS_SCRIPT[1:66].hex()}51ae", None),
    ("op_return", "6a0b68656c6c6f20776f726c64", None),
    ("op_return", "6a", None),
    ("op_return", "6aff", None),
    ("empty", "", None),
    ("unknown", "51", None),
    ("unknown", "0010" + "11" * 16, None),  # of version 0 and of a length that nobody can spend
    ("unknown", "6029" + "00" * 41, None),  # longer than a witness program can be
    ("unknown", f"2105{KEY[2:]}ac", None),
    ("unknown", f"5121{KEY}5101ae", None),  # the last byte is pushed
    ("unknown", f"010121{KEY}51ae", None),  # a 1 that is pushed instead of OP_1
    ("unknown", f"5221{KEY}51ae", None),  # two of one
    ("unknown", f"5021{KEY}51ae", None),
    ("unknown", f"5121{KEY}52ae", None),  # one key, and says two
    ("unknown", "76a914" + "00" * 20 + "88ad", None),
]
"""(kind, script in hex, address on the main network)."""


def programs() -> st.SearchStrategy[bytes]:
    """Witness programs that have an address."""
    of_zero = st.sampled_from((20, 32)).flatmap(lambda size: st.binary(min_size=size, max_size=size))
    later = st.tuples(st.integers(0x51, 0x60), st.binary(min_size=2, max_size=40))
    return st.one_of(
        of_zero.map(lambda program: bytes((0, len(program))) + program),
        later.map(lambda pair: bytes((pair[0], len(pair[1]))) + pair[1]),
    )


def with_address() -> st.SearchStrategy[bytes]:
    """Scripts that have an address."""
    hashes = st.binary(min_size=20, max_size=20)
    return st.one_of(
        programs(),
        hashes.map(lambda digest: b"\x76\xa9\x14" + digest + b"\x88\xac"),
        hashes.map(lambda digest: b"\xa9\x14" + digest + b"\x87"),
    )


def tried(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Unreadable:
    """What it returns, or the error that it raises."""
    try:
        return call(*args, **kwargs)
    except Unreadable as error:
        return error


def refused(call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Unreadable:
    """The error that it must raise."""
    with pytest.raises(Unreadable) as caught:
        call(*args, **kwargs)
    return caught.value
