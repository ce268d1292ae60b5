"""Who is asked outside, by whichever service, and how each has answered. Pure."""

from __future__ import annotations

from shared.asset_views import AssetSourcesView
from shared.outside.standing import OutsideSource
from shared.price_views import MarketSourcesView
from web.state.snapshot import Snapshot


def sources(snapshot: Snapshot) -> list[OutsideSource]:
    """Each source once: two services that ask the same one share its record."""
    views = (snapshot[MarketSourcesView], snapshot[AssetSourcesView])
    known: dict[str, OutsideSource] = {}
    for view in views:
        for one in view.sources if view else ():
            known.setdefault(one.name, one)
    return list(known.values())
