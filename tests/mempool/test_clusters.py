"""Clusters and chunks, held against every order that there is."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mempool.graph import Chunk, Graph, Tx, linearise


def txid(number: int) -> bytes:
    return number.to_bytes(32, "big")


def tx(fee: int, vsize: int, parents: Iterable[int] = ()) -> Tx:
    made = Tx(fee, vsize, vsize * 4, vsize, fee, 0)
    made.parents = {txid(parent) for parent in parents}
    return made


Cluster = dict[bytes, Tx]


@st.composite
def clusters(draw: st.DrawFn, most: int = 6) -> Cluster:
    """Connected transactions, each with parents among those before it."""
    made: Cluster = {}
    for number in range(draw(st.integers(2, most))):
        fee, vsize = draw(st.integers(0, 60)), draw(st.integers(1, 12))
        parents = draw(st.sets(st.integers(0, number - 1), min_size=1, max_size=3)) if number else set()
        made[txid(number)] = tx(fee, vsize, parents)
        for parent in parents:
            made[txid(parent)].children = {*made[txid(parent)].children, txid(number)}
    return made


def rate(members: Iterable[Tx]) -> Fraction:
    members = list(members)
    return Fraction(sum(member.fee for member in members), sum(member.vsize for member in members))


def orders(cluster: Cluster) -> Iterable[tuple[bytes, ...]]:
    """Every order with parents before children."""
    for order in itertools.permutations(cluster):
        place = {one: at for at, one in enumerate(order)}
        if all(place[parent] < place[one] for one, it in cluster.items() for parent in it.parents):
            yield order


def ancestors(cluster: Cluster, one: bytes) -> set[bytes]:
    found, waiting = set(), [one]
    while waiting:
        member = waiting.pop()
        if member not in found:
            found.add(member)
            waiting += cluster[member].parents
    return found


@given(clusters(5))
def test_the_first_chunk_pays_at_least_the_best_ancestor_feerate(cluster: Cluster) -> None:
    """The greedy choice of Core's miner up to version 30; merging only ever adds what pays for itself."""
    first = rate(linearise(cluster)[0].txs)
    best = max(rate(cluster[one] for one in ancestors(cluster, txid_)) for txid_ in cluster)
    assert first >= best
    optimal = max(
        rate(cluster[one] for one in order[:end]) for order in orders(cluster) for end in range(1, len(order) + 1)
    )
    assert best <= first <= optimal


@given(clusters(5))
def test_a_single_child_per_parent_is_ordered_as_well_as_can_be(cluster: Cluster) -> None:
    """In chains (child pays for parent) the greedy order is optimal: compare with every order."""
    chain: Cluster = {}
    for number, member in enumerate(cluster.values()):
        chain[txid(number)] = tx(member.fee, member.vsize, [number - 1] if number else [])
        if number:
            chain[txid(number - 1)].children = {txid(number)}
    optimal = max(rate(list(chain.values())[:end]) for end in range(1, len(chain) + 1))
    assert rate(linearise(chain)[0].txs) == optimal


def merged(order: Iterable[Tx]) -> list[list[Tx]]:
    """An order cut into chunks of falling feerate, by the definition."""
    chunks: list[list[Tx]] = []
    for member in order:
        chunks.append([member])
        while len(chunks) > 1 and rate(chunks[-1]) > rate(chunks[-2]):
            last = chunks.pop()
            chunks[-1] += last
    return chunks


@given(clusters())
def test_chunks_are_cut_as_the_definition_says(cluster: Cluster) -> None:
    chunks = linearise(cluster)
    by_definition = merged(member for chunk in chunks for member in chunk.txs)
    # equal feerates may stay apart; what counts is which feerate each transaction gets
    assert [rate(part) for part in by_definition for _ in part] == [rate(c.txs) for c in chunks for _ in c.txs]


@pytest.mark.parametrize(
    ("specification", "expected"),
    [
        ([(100, 100, []), (900, 100, [0])], [(1000, 200)]),  # a child pays for its parent
        ([(900, 100, []), (100, 100, [0])], [(900, 100), (100, 100)]),  # and not where the parent pays more
        ([(100, 100, []), (900, 100, [0]), (50, 100, [0])], [(1000, 200), (50, 100)]),  # siblings do not pay
        ([(100, 100, []), (100, 100, []), (1000, 100, [0, 1])], [(1200, 300)]),  # for two parents
        ([(0, 100, []), (0, 100, [0]), (900, 100, [1])], [(900, 300)]),  # through a grandchild
        ([(100, 100, []), (300, 100, [0]), (900, 100, [0])], [(1000, 200), (300, 100)]),  # the better child first
    ],
)
def test_who_pays_for_whom(specification: list[tuple[int, int, list[int]]], expected: list[tuple[int, int]]) -> None:
    graph = Graph()
    for number, (fee, vsize, parents) in enumerate(specification):
        graph.add(txid(number), tx(fee, vsize), [txid(parent) for parent in parents], [])
    list(graph.settle())
    assert [(item.fee, item.vsize) for item in graph.chunks()] == expected


# --- a graph that grows and shrinks ------------------------------------------------------------------------


def signature(graph: Graph) -> list[tuple[bytes, float, int, int]]:
    """What the graph says of every transaction: effective feerate, and its chunk's fee and size."""
    list(graph.settle())
    return sorted(
        (one, it.rate, it.chunk.fee if it.chunk else it.fee, it.chunk.vsize if it.chunk else it.vsize)
        for one, it in graph.txs.items()
    )


def copy(graph: Graph, order: list[bytes]) -> Graph:
    """The same transactions, inserted in another order and then linked, as after a restart."""
    made = Graph()
    for one in order:
        old = graph.txs[one]
        made.add(one, Tx(old.fee, old.vsize, old.weight, old.size, old.value, old.time), old.parents, [])
    made.relink()
    return made


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10**6)), max_size=60), st.randoms(use_true_random=False))
def test_any_sequence_leaves_what_a_fresh_build_has(steps: list[tuple[bool, int]], chance: random.Random) -> None:
    graph, gone = Graph(), list[bytes]()
    for number, (grows, pick) in enumerate(steps):
        present = list(graph.txs)
        if grows or not present:
            fee, vsize = pick % 1013 + 1, pick % 97 + 10
            parents = chance.sample(present, min(len(present), pick % 3))
            graph.add(txid(number), tx(fee, vsize), [*parents, *gone[: pick % 2]], [])
        else:
            gone.append(present[pick % len(present)])
            graph.remove(gone[-1])
        if pick % 4 == 0:
            list(graph.settle())
    order = list(graph.txs)
    chance.shuffle(order)
    assert signature(graph) == signature(copy(graph, order))
    for one, it in graph.txs.items():
        assert it.children <= graph.txs.keys()
        assert {parent for parent in it.parents if parent in graph.txs} == {
            p for p in graph.txs if one in graph.txs[p].children
        }


def test_removing_what_is_not_there_says_so() -> None:
    assert Graph().remove(txid(1)) is None


Specification = list[tuple[int, int, list[int]]]

# Equal ancestor feerates, where what is taken first decides how the rest falls into chunks.
TIES: list[Specification] = [
    [(0, 1, []), (3, 1, []), (3, 2, [0, 1]), (3, 2, [0]), (1, 2, [1, 2]), (1, 1, [1])],
    [(1, 2, []), (1, 2, []), (3, 1, [0, 1]), (2, 2, []), (2, 1, [1]), (0, 2, []), (2, 2, [3])],
    [(0, 1, []), (3, 2, [0]), (2, 2, []), (3, 2, [0]), (1, 1, [2]), (0, 2, [3]), (1, 2, []), (0, 1, [6, 4])],
    [(3, 2, []), (0, 1, []), (2, 1, []), (3, 2, []), (1, 1, [1, 0]), (1, 2, [2]), (1, 1, [1, 2]), (1, 2, [3, 2])],
]


@pytest.mark.parametrize("specification", TIES)
def test_ties_fall_the_same_way_whatever_came_first(specification: Specification) -> None:
    """A restart reads transactions in another order, and sets of bytes have another one in each process."""
    chance = random.Random(1)
    seen = set()
    for _ in range(40):
        graph, order = Graph(), list(range(len(specification)))
        chance.shuffle(order)
        for number in order:
            fee, vsize, parents = specification[number]
            graph.add(txid(number), tx(fee, vsize), [txid(parent) for parent in parents], [])
        graph.relink()
        list(graph.settle())
        seen.add(tuple((item.fee, item.vsize) for item in graph.chunks()))
    assert len(seen) == 1


def test_a_large_cluster_is_ordered_in_time() -> None:
    graph = Graph()
    graph.add(txid(0), tx(1, 100), [], [])
    for number in range(1, 1_000):
        graph.add(txid(number), tx(number % 89 + 1, 100), [txid(number // 2 if number > 1 else 0)], [])
    chunks = list(graph.settle())
    assert len(chunks) == 1_000
    assert isinstance(graph.chunks()[0], Chunk)
