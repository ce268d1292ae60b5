"""Order within clusters: against a brute force over every order that parents allow."""

from __future__ import annotations

import random
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mempool.graph import Chunk, Graph, Tx, linearise


def tx(fee: int, vsize: int = 100) -> Tx:
    return Tx(fee, vsize, vsize * 4, vsize, 1_000, 1_700_000_000)


def name(number: int) -> bytes:
    return number.to_bytes(32, "big")


def build(fees: list[int], edges: list[tuple[int, int]], sizes: list[int] | None = None) -> Graph:
    """Transactions 0, 1, … where (a, b) means that b spends from a; a < b."""
    graph = Graph()
    for number, fee in enumerate(fees):
        parents = [name(a) for a, b in edges if b == number]
        graph.add(name(number), tx(fee, sizes[number] if sizes else 100), parents, ())
    return graph


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    count = draw(st.integers(1, 6))
    fees = draw(st.lists(st.integers(1, 2_000), min_size=count, max_size=count))
    sizes = draw(st.lists(st.integers(60, 400), min_size=count, max_size=count))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return fees, sizes, edges


def chunk_rates(order: tuple[int, ...], fees: list[int], sizes: list[int]) -> list[tuple[int, int]]:
    """(fee, size) of the chunks that an order falls into."""
    chunks: list[tuple[int, int]] = []
    for number in order:
        chunks.append((fees[number], sizes[number]))
        while len(chunks) > 1 and chunks[-1][0] * chunks[-2][1] > chunks[-2][0] * chunks[-1][1]:
            fee, size = chunks.pop()
            chunks[-1] = (chunks[-1][0] + fee, chunks[-1][1] + size)
    return chunks


@given(clusters())
def test_every_parent_comes_first_and_rates_fall(cluster: tuple[list[int], list[int], list[tuple[int, int]]]) -> None:
    fees, sizes, edges = cluster
    graph = build(fees, edges, sizes)
    chunks = linearise(dict(graph.txs))
    numbers = {id(one): int.from_bytes(txid, "big") for txid, one in graph.txs.items()}
    order = [numbers[id(one)] for chunk in chunks for one in chunk.txs]
    assert sorted(order) == list(range(len(fees)))
    for parent, child in edges:
        assert order.index(parent) < order.index(child)
    assert [chunk.rate for chunk in chunks] == sorted((chunk.rate for chunk in chunks), reverse=True)
    for chunk in chunks:
        assert chunk.fee == sum(one.fee for one in chunk.txs)
        assert chunk.vsize == sum(one.vsize for one in chunk.txs)


@given(clusters())
def test_the_first_chunk_is_no_worse_than_the_best_ancestor_set(
    cluster: tuple[list[int], list[int], list[tuple[int, int]]],
) -> None:
    """What Core's miner takes first, and never better than the best of all orders."""
    fees, sizes, edges = cluster
    graph = build(fees, edges, sizes)
    first = linearise(dict(graph.txs))[0].rate
    ancestors = [{number} for number in range(len(fees))]
    for parent, child in sorted(edges, key=lambda edge: edge[1]):
        ancestors[child] |= ancestors[parent]
    for child in range(len(fees)):
        for _ in fees:
            ancestors[child] |= set().union(*(ancestors[one] for one in ancestors[child]))
    best_ancestors = max(
        sum(fees[one] for one in members) / sum(sizes[one] for one in members) for members in ancestors
    )
    orders = (
        order for order in permutations(range(len(fees))) if all(order.index(a) < order.index(b) for a, b in edges)
    )
    best = max(fee / size for order in orders for fee, size in chunk_rates(order, fees, sizes)[:1])
    assert best_ancestors - 1e-9 <= first <= best + 1e-9


def test_a_child_pays_for_its_parent() -> None:
    graph = build([100, 2_900], [(0, 1)])
    list(graph.settle())
    parent, child = graph.txs[name(0)], graph.txs[name(1)]
    assert parent.rate == child.rate == 15.0
    assert parent.chunk is child.chunk


def test_a_poor_child_does_not_drag_its_parent_down() -> None:
    graph = build([2_900, 100], [(0, 1)])
    list(graph.settle())
    assert [graph.txs[name(number)].rate for number in (0, 1)] == [29.0, 1.0]


def test_the_rest_of_a_cluster_is_ordered_anew_when_one_leaves() -> None:
    graph = build([100, 2_900, 500], [(0, 1), (1, 2)])
    list(graph.settle())
    graph.remove(name(1))
    list(graph.settle())
    assert [(graph.txs[name(number)].rate, graph.txs[name(number)].chunk) for number in (0, 2)] == [
        (1.0, None),
        (5.0, None),
    ]


def test_a_parent_that_comes_back_is_linked_with_children_that_did_not_name_it() -> None:
    """After a reorganisation the parent is added with `children`; a later restore must know of it too."""
    graph = Graph()
    graph.add(name(1), tx(2_900), [], ())
    assert graph.add(name(0), tx(100), [], [name(1)]) == [name(1)]
    list(graph.settle())
    assert graph.txs[name(0)].rate == graph.txs[name(1)].rate == 15.0
    assert graph.txs[name(1)].parents == {name(0)}


def snapshot(graph: Graph) -> dict[bytes, tuple[float, frozenset[bytes]]]:
    list(graph.settle())
    rates = {}
    for txid, one in graph.txs.items():
        chunk = one.chunk
        members = frozenset([txid]) if chunk is None else frozenset(k for k, v in graph.txs.items() if v.chunk is chunk)
        rates[txid] = (one.rate, members)
    return rates


@pytest.mark.parametrize("seed", range(30))
def test_any_history_ends_where_a_fresh_build_does(seed: int) -> None:
    """Random additions and removals, with orders made now and then, against one build of what is left."""
    chance = random.Random(seed)
    graph = Graph()
    made: dict[bytes, tuple[int, int, list[bytes]]] = {}
    for number in range(300):
        if graph.txs and chance.random() < 0.35:
            gone = chance.choice(list(graph.txs))
            graph.remove(gone)
            del made[gone]
        else:
            parents = chance.sample(list(graph.txs), min(len(graph.txs), chance.choice([0, 0, 1, 1, 2, 3])))
            fee, size = chance.randint(50, 9_000), chance.randint(60, 500)
            made[name(number)] = (fee, size, parents)
            graph.add(name(number), tx(fee, size), parents, ())
        if chance.random() < 0.2:
            list(graph.settle())
    fresh = Graph()
    order = list(made)
    chance.shuffle(order)
    for txid in order:
        fee, size, parents = made[txid]
        fresh.add(txid, tx(fee, size), parents, ())
    fresh.relink()
    assert {txid: rate for txid, (rate, _) in snapshot(graph).items()} == pytest.approx(
        {txid: rate for txid, (rate, _) in snapshot(fresh).items()}
    )
    assert sum(one.fee for one in graph.chunks()) == sum(fee for fee, _, _ in made.values())
    assert sum(isinstance(one, Chunk) for one in graph.chunks()) == sum(
        isinstance(one, Chunk) for one in fresh.chunks()
    )
