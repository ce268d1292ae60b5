"""What lies at addresses that holders published: `{net:treasuries}:moves`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from shared.events.base import Count, Delta, Event, Family, HashOrNone, Height, Satoshi, UnixMs

Text = Annotated[str, Meta(max_length=200)]

Source = Literal["electrum", "scan"]
"""Who says what lies there: an Electrum server, or a scan of the node's coins, which knows nothing of the mempool."""


class TreasuryMoved(Event, frozen=True, kw_only=True, gc=False):
    """Coins came to a published address, or left it. An address that two holders published is told for each.

    A payment that waits is told of (`unconfirmed_delta`), and again as it is mined: then what lies in blocks grows by
    what waits no more. A block that is disconnected takes that back. Added up from any moment on, the deltas are the
    difference between the balance now and then.
    """

    TYPE: ClassVar[str] = "treasury.moved"

    holder: Text  # as in shared.asset_views.Treasury.key
    name: Text
    address: Text
    confirmed_delta: Delta  # of what lies in blocks
    unconfirmed_delta: Delta | None  # of what the mempool adds to that; None: not known before, or not now
    confirmed: Satoshi  # from then on
    unconfirmed: Delta | None
    txid: HashOrNone = ""  # where it is known that it was this one alone
    height: Height  # of the newest block that the source had
    time_ms: UnixMs  # when it was asked, by Redis' clock
    source: Source


class TreasuriesSeen(Event, frozen=True, kw_only=True, gc=False):
    """Published addresses were looked at anew, or others are followed: the view says what was seen."""

    TYPE: ClassVar[str] = "treasuries.seen"

    holders: Count  # that published an address
    addresses: Count  # all of them, each once for every holder
    seen: Count  # of these, with a balance that is known
    height: Height | None  # of the newest look; None: there was none yet
    time_ms: UnixMs


MOVES = Family(TreasuryMoved, TreasuriesSeen)
