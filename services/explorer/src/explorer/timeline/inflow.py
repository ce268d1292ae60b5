"""What comes into the mempool by the feerate that it comes with, minute by minute: no series has both.

A minute counts where it is whole: a comparison with the node was told of in it, and it was neither the first nor one of
a new beginning. What was in the node's mempool long before it was told of has come in at another time, and counts not
at all.
"""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct
from typing import Final

from shared.bands import FEERATE_BOUNDS
from shared.commit import Commands
from shared.explorer_views import InflowView

MINUTE_MS: Final = 60_000
SPAN: Final = 30
"""Minutes that are looked back on."""

FEWEST: Final = 10
"""Whole minutes below which nothing is said."""

_KEPT: Final = 64  # at least SPAN and the present one; also fields of the state
_PACKED: Final = Struct(f"<I??{len(FEERATE_BOUNDS)}I")
_MOST: Final = 2**32 - 1


class Minute:
    """One minute."""

    __slots__ = ("bands", "broken", "compared")

    def __init__(self) -> None:
        self.bands = [0] * len(FEERATE_BOUNDS)  # virtual bytes
        self.compared = self.broken = False


class Inflow:
    """The newest minutes, by Unix minute."""

    def __init__(self) -> None:
        self._minutes: dict[int, Minute] = {}
        self._changed: set[int] = set()

    def _minute(self, time_ms: int) -> Minute:
        number = time_ms // MINUTE_MS
        minute = self._minutes.get(number)
        if minute is None:
            minute = self._minutes[number] = Minute()
            if len(self._minutes) > _KEPT:
                del self._minutes[min(self._minutes)]
        self._changed.add(number)
        return minute

    def came(self, time_ms: int, rate: float, vsize: int) -> None:
        """A transaction came in, at `rate` sat/vB."""
        bands = self._minute(time_ms).bands
        place = bisect_right(FEERATE_BOUNDS, max(rate, 0.0)) - 1
        bands[place] = min(bands[place] + vsize, _MOST)

    def compared(self, time_ms: int) -> None:
        """The node and the stream were seen to agree."""
        self._minute(time_ms).compared = True

    def broken(self, time_ms: int) -> None:
        """The stream began anew, or we did."""
        self._minute(time_ms).broken = True

    def view(self, now_ms: int) -> InflowView:
        """What came in during the newest whole minutes."""
        present = now_ms // MINUTE_MS
        whole = [
            minute
            for number, minute in self._minutes.items()
            if present - SPAN <= number < present and minute.compared and not minute.broken
        ]
        if len(whole) < FEWEST:
            return InflowView(minutes=0, bands=[], as_of_ms=present * MINUTE_MS)
        bands = [sum(column) for column in zip(*(minute.bands for minute in whole), strict=True)]
        return InflowView(minutes=len(whole), bands=bands, as_of_ms=present * MINUTE_MS)

    # --- state -----------------------------------------------------------------------------------------

    def load(self, stored: dict[bytes, bytes]) -> None:
        """Read what was committed, of a hash that holds other things as well; raises struct.error."""
        self._minutes, self._changed = {}, set()
        for name, raw in sorted(stored.items()):
            if name.startswith(b"inflow:"):
                number, compared, broken, *bands = _PACKED.unpack(raw)
                minute = self._minutes[number] = Minute()
                minute.compared, minute.broken, minute.bands = compared, broken, bands

    def rewrite(self) -> None:
        """What is stored is in doubt."""
        self._changed = set(self._minutes)

    def flush(self, commands: Commands, key: str) -> None:
        """Commands for what changed."""
        for number in sorted(self._changed & self._minutes.keys()):
            minute = self._minutes[number]
            raw = _PACKED.pack(number, minute.compared, minute.broken, *minute.bands)
            commands.add("HSET", key, f"inflow:{number % _KEPT}", raw)
        self._changed = set()
