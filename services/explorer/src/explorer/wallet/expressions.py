"""The text of a descriptor as a tree: functions with arguments, and `{…,…}` of Taproot's trees."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from explorer.wallet.refusal import refuse

DEEPEST: Final = 100
"""Levels of a descriptor; Taproot's trees may have 128, which nobody writes by hand or by wallet."""

_MARKS: Final = frozenset("(){},")


@dataclass(slots=True)
class Node:
    """`name(args)`; of a pair of branches the name is `{`; of a word there are no arguments."""

    name: str = field(repr=False)  # it may be a key
    at: int
    args: list[Node] = field(default_factory=list)
    is_word: bool = False


def parse(text: str) -> Node:
    """The tree of all of the text. Raises NotAWallet."""
    node, at = _read(text, 0, 0)
    if at != len(text):
        refuse("syntax", at=at)
    return node


def _read(text: str, at: int, depth: int) -> tuple[Node, int]:
    if depth > DEEPEST:
        refuse("syntax", at=at)
    start = at
    while at < len(text) and text[at] not in _MARKS:
        at += 1
    mark = text[at : at + 1]
    if mark == "{" and at == start:
        node, closing = Node("{", start), "}"
    elif mark == "(" and at > start:
        node, closing = Node(text[start:at], start), ")"
    elif at > start and mark != "{":
        return Node(text[start:at], start, is_word=True), at
    else:
        refuse("syntax", at=at)
    while True:
        argument, at = _read(text, at + 1, depth + 1)
        node.args.append(argument)
        mark = text[at : at + 1]
        if mark == closing:
            return node, at + 1
        if mark != ",":
            refuse("syntax", at=at)
