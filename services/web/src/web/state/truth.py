"""When a domain's figures were last known to be true: what the node confirmed, and how far the views have come.

chain-ingest says every two seconds which entry of a stream was published when node and stream agreed; views that
contain that entry were true at that moment. All moments here are Redis' clock, in Unix milliseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared import domains
from shared.clock import SKEW_MS
from shared.views import Confirmed

CONFIRMED_BY: Final = {domain.name: (domain.reads or domain.announces).slot for domain in domains.DOMAINS}
"""The slot whose confirmation each domain rests on: that of the stream which it folds, or of what it asked itself."""

STALE: Final = 20.0
"""Seconds after which figures that nobody confirmed count as older than expected."""

FORSAKEN: Final = 600.0
"""Seconds after which nobody should pay a fee by them."""

WORDS: Final = 1_000
"""Characters that are kept of what a service says in words: a sentence or two."""

KEPT: Final = 64
"""Confirmations that wait for the views to come as far; one comes every two seconds."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of one domain; `true_ms` is None where no views were ever confirmed."""

    true_ms: int | None = None
    node: str = ""
    incomplete: str = ""  # why what the node has is not what the figures are called

    def age(self, now: float) -> float | None:
        """Seconds since the figures were last known to be true; `now` is Redis' clock in Unix seconds."""
        return None if self.true_ms is None else max(0.0, now - self.true_ms / 1000)

    def stale(self, now: float) -> bool:
        """Whether they are older than expected, or were never confirmed."""
        age = self.age(now)
        return age is None or age > STALE


class Witness:
    """Works out one domain's truth. A short history is kept, so that views a little behind do not look stale."""

    def __init__(self) -> None:
        self.truth = Truth()
        self._kept: deque[Confirmed] = deque()  # by rising `seq`; the first is what the views have come up to

    def heard(self, confirmed: Confirmed | None, folded: int | None, now_ms: int) -> Truth:
        """What Redis holds now: the last confirmation, and the last entry in the views that we show.

        Where the confirmation is gone (a lost key), those that were heard before still stand. None stands whose moment
        lies ahead of Redis' clock: the clock went back, and nobody can tell how old it is.
        """
        kept = self._kept = deque(one for one in self._kept if one.time_ms <= now_ms + SKEW_MS)
        if confirmed is not None and confirmed.time_ms > 0:
            last = kept[-1] if kept else confirmed
            if (confirmed.seq, confirmed.time_ms) < (last.seq, last.time_ms):
                kept.clear()  # the stream was made anew, or Redis' clock went back
            elif kept and (last.seq == confirmed.seq or len(kept) == KEPT):
                kept.pop()
            kept.append(confirmed)
        reached = -1 if folded is None else folded
        while len(kept) > 1 and kept[1].seq <= reached:
            kept.popleft()
        newest = kept[-1] if kept else None
        self.truth = Truth(
            kept[0].time_ms if kept and kept[0].seq <= reached else None,
            newest.node if newest else "",
            newest.incomplete if newest else "",
        )
        return self.truth


def confirmed(raw: Mapping[bytes, bytes], now_ms: int) -> Confirmed | None:
    """What the hash at Keys.confirmed says; None where there is none. Raises ValueError where it says nonsense."""
    if not raw:
        return None
    seq, time_ms = (_number(raw, name) for name in (b"seq", b"time_ms"))
    if time_ms > now_ms + SKEW_MS:
        raise ValueError(f"time_ms is {time_ms}, ahead of Redis' clock: expected a moment that was")
    words = {name: raw.get(name.encode(), b"").decode(errors="replace")[:WORDS] for name in ("node", "incomplete")}
    return Confirmed(seq=seq, time_ms=time_ms, **words)


def folded(raw: bytes | None) -> int | None:
    """FOLDED_SEQ beside views; None where there is none."""
    return None if raw is None else _number({b"seq": raw}, b"seq")


def _number(raw: Mapping[bytes, bytes], name: bytes) -> int:
    text = raw.get(name, b"")
    if not text.isdigit() or len(text) > 18:
        raise ValueError(f"{name.decode()} is {text[:40]!r}: expected a whole number below 10^18")
    return int(text)
