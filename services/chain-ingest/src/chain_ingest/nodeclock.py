"""What a node's clock says, measured against our steady one: the times of its transactions are counted by it."""

from __future__ import annotations

from collections import deque
from email.utils import parsedate_to_datetime
from typing import Final

KEPT_MS: Final = 15_000
"""How long a sample counts beside newer ones."""

LATELY_MS: Final = 60_000
"""How long what was accepted tells more than the date of answers."""

APART_MS: Final = 10_000
"""Beyond this the two sources tell of different clocks, as where another server answers in the node's name."""


class NodeClock:
    """Whatever names a second that has begun at the node is a lower bound of its clock; the highest is nearest.

    The time at which the node accepted a transaction that just came is what counts, for it is that clock that others
    are subtracted from. The date of its HTTP answers tells as much while nothing comes.
    """

    def __init__(self) -> None:
        self._accepted: deque[tuple[int, int]] = deque(maxlen=64)  # steady moment, and how far the node is ahead of it
        self._dated: deque[tuple[int, int]] = deque(maxlen=64)

    def accepted(self, second: int, steady_ms: int) -> None:
        """The node has just accepted a transaction, at this Unix second by its clock."""
        _keep(self._accepted, second * 1000, steady_ms)

    def dated(self, date: str, steady_ms: int) -> None:
        """The node's HTTP server has just answered, with this date."""
        try:
            moment = parsedate_to_datetime(date)
        except ValueError:
            return  # a server that tells no date
        _keep(self._dated, int(moment.timestamp()) * 1000, steady_ms)

    def now_ms(self, steady_ms: int) -> int | None:
        """Unix milliseconds by the node's clock at this steady moment; None where it is not known."""
        dated = max((ahead for _, ahead in self._dated), default=None)
        accepted = max((ahead for _, ahead in self._accepted), default=None)
        if accepted is None or dated is None:
            best = dated if accepted is None else accepted
        elif steady_ms - self._accepted[-1][0] > LATELY_MS:
            best = dated
        else:
            best = max(accepted, dated) if abs(accepted - dated) <= APART_MS else accepted
        return None if best is None else steady_ms + best


def _keep(samples: deque[tuple[int, int]], node_ms: int, steady_ms: int) -> None:
    ahead = node_ms - steady_ms
    while samples and (steady_ms - samples[0][0] > KEPT_MS or samples[0][1] > ahead + 1_000 + APART_MS):
        samples.popleft()  # old, or the clock was set back
    samples.append((steady_ms, ahead))
