"""What `all` forgets."""

from __future__ import annotations

from collections.abc import Iterable


def each(found: Iterable[object]) -> bool:
    """Whether there is something, and every one of it holds: of nothing at all `all` would say so, too."""
    every = list(found)
    assert every, "there is nothing to look at"
    return all(every)
