"""Who went for whom, as a tree that a page can draw: what stands above went for what stands below it."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.lookups.transaction import Replacements


@dataclass(slots=True)
class Node:
    """A transaction, and those that it replaced."""

    txid: str
    time_ms: int | None = None  # when it was replaced by the one above; None: nothing replaced it
    below: list[Node] = field(default_factory=list)


def tree(known: Replacements | None) -> list[Node]:
    """The newest ones, which nothing replaced, each with what went for it. One that went twice stands once."""
    if known is None or not known.edges:
        return []
    went = {edge.txid for edge in known.edges}
    replaced: dict[str, list[tuple[int, str]]] = {}
    for edge in known.edges:
        replaced.setdefault(edge.by, []).append((edge.time_ms, edge.txid))
    placed: set[str] = set()

    def node(txid: str, time_ms: int | None) -> Node:
        placed.add(txid)
        made = Node(txid, time_ms)
        for moment, one in sorted(replaced.get(txid, ())):
            if one not in placed:
                made.below.append(node(one, moment))
        return made

    tops = dict.fromkeys(edge.by for edge in known.edges if edge.by not in went)
    found = [node(txid, None) for txid in tops]
    # a circle has no top: each replaced the other once
    found.extend(node(edge.by, None) for edge in known.edges if edge.by not in placed)
    return found
