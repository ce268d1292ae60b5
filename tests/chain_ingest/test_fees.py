"""What a block's transactions paid, from the outputs that they spent; on a real node: test_spent_outputs.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chain_ingest.block import Block
from chain_ingest.fees import NONE, Fees, fees_paid
from support import spending
from support.recorded_node import spent_txouts


def made(paid: list[list[int]], outputs: list[int]) -> Block:
    """A block whose transactions spend these coins and pay one output each."""
    coinbase = spending.build([spending.Coin("00" * 32, 0xFFFFFFFF, 0)], [50])
    others = [
        spending.build([spending.Coin(f"{at:064x}", nth, 0) for nth in range(len(coins))], [value])
        for at, (coins, value) in enumerate(zip(paid, outputs, strict=True))
    ]
    raw = b"".join(bytes.fromhex(one.raw) for one in (coinbase, *others))
    return Block(bytes(80) + bytes([1 + len(others)]) + raw)


coins_spent = st.tuples(st.integers(0, 10**9), st.sampled_from([0, 30, 252, 253, 70_000]).map(bytes))


@given(st.lists(st.lists(coins_spent, min_size=1, max_size=5), max_size=8))
def test_the_sum_of_what_is_spent_less_what_is_paid(spent: list[list[tuple[int, bytes]]]) -> None:
    values = [[value for value, _ in coins] for coins in spent]
    block = made(values, [sum(one) // 2 for one in values])
    fees = fees_paid(block, spent_txouts([[], *spent]))
    assert fees is not None
    assert fees.total == sum(sum(one) - sum(one) // 2 for one in values)
    assert fees.percentiles == sorted(fees.percentiles)
    assert spent or fees == NONE


def test_outputs_that_are_not_those_of_the_block_are_no_answer() -> None:
    block = made([[100], [200, 300]], [90, 450])
    right = spent_txouts([[], [(100, b"")], [(200, b"\x51"), (300, b"")]])
    assert isinstance(fees_paid(block, right), Fees)
    for wrong in (
        b"",
        b"\x03",
        right[:-1],
        right + b"\0",
        spent_txouts([[], [(100, b"")]]),  # of fewer transactions
        spent_txouts([[], [(100, b"")], [(200, b"")]]),  # of fewer inputs
        spent_txouts([[(50, b"")], [(100, b"")], [(200, b""), (300, b"")]]),  # of a coinbase
        spent_txouts([[], [(89, b"")], [(200, b""), (300, b"")]]),  # less than was paid
    ):
        assert fees_paid(block, wrong) is None
