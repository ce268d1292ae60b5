"""What the ranking's fold keeps from one run to the next."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from marketcap.treasuries import Change
from shared.events.rankings import AssetsTold, HoldersTold, NodesTold


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of Bitcoin itself."""

    price: Decimal | None = None
    change: Decimal | None = None
    price_ms: int = 0
    sample: bool = False
    height: int | None = None
    now_ms: int = 0  # the newest moment that was told


class Kept(msgspec.Struct, kw_only=True):
    """The state; each field is one of the hash."""

    coin: AssetsTold | None = None
    company: AssetsTold | None = None
    commodity: AssetsTold | None = None
    currency: AssetsTold | None = None
    holders: HoldersTold | None = None
    nodes: NodesTold | None = None
    changes: tuple[Change, ...] = ()
    own: Own = Own()
