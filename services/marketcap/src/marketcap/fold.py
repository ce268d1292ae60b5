"""Ranks Bitcoin: folds what sources say of assets, what a bitcoin costs, and how many there are. No I/O but `restore`.

Every event says what holds from then on, so the streams may be read in any order to each other. Moments are those that
events tell, by Redis' clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from marketcap import companies, published, views
from marketcap.assets import Asset, Source
from marketcap.kept import Kept
from marketcap.ranking import Bitcoin, Ranking, ranked
from marketcap.ranks import Ranks
from marketcap.treasuries import Change, Claim, Holding, Listed, Published, changes, holdings
from shared import redis
from shared.asset_views import NodesView, RankingView
from shared.assets import CLASSES, HOLDERS, LISTS
from shared.clock import Moment
from shared.domains import MARKETCAP
from shared.events.base import Event
from shared.events.derived import MetricsUpdated
from shared.events.prices import PriceUpdated
from shared.events.rankings import (
    AssetsTold,
    HistoryForgotten,
    HoldersTold,
    ListName,
    NodesTold,
    RankingUpdated,
    TreasuryChanged,
)
from shared.fold import Changes
from shared.keys import Keys
from shared.networks import COIN, NETWORKS
from shared.views import View

PACE_MS: Final = 1_000
"""Between two rankings at least."""

PRICE_MS: Final = 5_000
"""The same where Bitcoin's price alone is another."""

CHANGES: Final = 200
"""Changes of holders that are kept."""

SAMPLE_SUPPLY: Final = 19_950_000 * COIN
"""Satoshi, about those of mainnet at the end of 2025: shown with made-up figures alone, which are marked."""
UNRANKED: Final = companies.unranked()
PUBLISHED: Final = published.addresses()

MARKET: Final = "Median of exchanges"
CHAIN: Final = "Your own node"

_KINDS: Final = {field.name: field.type for field in msgspec.structs.fields(Kept)}


class RankingFold:
    """One network's rankings and treasuries."""

    def __init__(self, keys: Keys, whose: Mapping[str, tuple[Published, ...]] = PUBLISHED) -> None:
        """`whose` are the addresses that holders have published, by the holder's key."""
        self._keys = keys
        self._whose = whose
        self._network = NETWORKS[keys.network]
        self.reset()

    def reset(self) -> None:
        """As the base says."""
        self.kept = Kept()
        self._dirty: set[str] = set()
        self._written: set[str] = set()
        self._shown: dict[str, bytes] = {}
        self._events: list[Event] = []
        self._news = self._price_moved = self._anew = self._forgotten = False
        self._made_ms: int | None = None  # steady, of the last ranking
        self._ranks = Ranks(self._keys)

    async def restore(self, client: redis.Client) -> None:
        """As the base says."""
        stored = await client.hgetall(self._keys.state(MARKETCAP))
        self.reset()
        for name, kind in _KINDS.items():
            if (raw := stored.get(name.encode())) is not None:
                setattr(self.kept, name, msgspec.json.decode(raw, type=kind))
                self._written.add(name)
        self._news = self._anew = bool(stored)

    def write_all(self) -> None:
        """Something that was committed is gone: all of it is written anew."""
        self._dirty.update(_KINDS)
        self._news = self._anew = True

    @property
    def shown(self) -> dict[str, bytes]:
        """The views that were written, by name."""
        return {name: raw for name, raw in self._shown.items() if raw}

    @property
    def written(self) -> frozenset[str]:
        """The fields of the state that were written."""
        return frozenset(self._written)

    # --- events --------------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """As the base says."""
        match event:
            case AssetsTold():
                self._put(event.asset_class, event, event.time_ms)
            case HoldersTold():
                self._compare(event)
                self._put("holders", event, event.time_ms)
            case NodesTold():
                self._put("nodes", event, event.time_ms)
            case HistoryForgotten():
                self._forgotten = True
                self.kept.changes = ()
                self._dirty.add("changes")
                self._news = True
            case PriceUpdated(currency="USD"):
                change = event.change_24h_percent
                self._own(
                    price=event.price, change=None if change is None else Decimal(f"{change:.4f}"),
                    price_ms=event.time_ms, sample=event.sample, now_ms=max(event.time_ms, self.kept.own.now_ms),
                )  # fmt: skip
            case MetricsUpdated() if event.height != self.kept.own.height:
                self._own(height=event.height)

    def _put(self, name: str, event: Event, time_ms: int) -> None:
        setattr(self.kept, name, event)
        self._dirty.add(name)
        self._news = True
        self._own(now_ms=max(time_ms, self.kept.own.now_ms))

    def _own(self, **changed: object) -> None:
        before = self.kept.own
        self.kept.own = msgspec.structs.replace(before, **changed)
        self._dirty.add("own")
        if (before.price, before.height) != (self.kept.own.price, self.kept.own.height):
            self._price_moved = True

    def _compare(self, told: HoldersTold) -> None:
        """Note what changed since the holders were told of last."""
        before = self.kept.holders
        if before is None or before.sample != told.sample:
            if self.kept.changes:
                self.kept.changes = ()
                self._dirty.add("changes")
            return
        found: list[Change] = []
        for kind in HOLDERS.values():
            was, now = (_alone([one for one in it.claims if one.kind == kind]) for it in (before, told))
            answered = {one.claim.source for one in now}
            found += changes(was, now, answered=answered, now=told.time_ms // 1000)
        if not found:
            return
        newest = sorted((*found, *self.kept.changes), key=lambda one: -one.as_of)
        self.kept.changes = tuple(newest[:CHANGES])
        self._dirty.add("changes")
        self._events += [
            TreasuryChanged(
                holder=one.name, asset_class=one.kind, before=one.before, after=one.after, date=one.as_of,
                source=one.source, sample=told.sample,
            )
            for one in found
        ]  # fmt: skip

    # --- what follows --------------------------------------------------------------------------------

    def due_ms(self, now: Moment) -> int | None:
        """As the base says."""
        if not (self._news or self._price_moved):
            return None
        if self._made_ms is None:
            return now.steady_ms
        return self._made_ms + (PACE_MS if self._news else PRICE_MS)

    def flush(self, now: Moment) -> Changes:
        """As the base says."""
        found = Changes()
        if self._forgotten:
            self._ranks.forget(found.commands)
            self._forgotten = False
        due = self.due_ms(now)
        if due is not None and now.steady_ms >= due:
            self._made_ms = now.steady_ms
            self._show(found)
            self._news = self._price_moved = self._anew = False
        for name in sorted(self._dirty):
            raw = msgspec.json.encode(getattr(self.kept, name))
            found.commands.add("HSET", self._keys.state(MARKETCAP), name, raw)
        self._written |= self._dirty
        self._dirty.clear()
        found.events += self._events
        self._events = []
        return found

    def _show(self, found: Changes) -> None:
        """Make the views; those that are others are written."""
        if self._anew:
            self._shown.clear()
        lists, made = self._lists(), self._ranking()
        for name, kind in LISTS.items():
            if not lists[name]:
                self._view(found, f"ranking_{name}", None)
                continue
            rows = made.every if kind is None else made.lists[kind]
            missing = [] if kind is None else lists[name][0].missing
            sample = any(one.sample for one in lists[name]) or (
                self.kept.own.sample and self.kept.own.price is not None
            )
            view = views.ranking(name, rows, missing, sample=sample)
            if self._view(found, f"ranking_{name}", view):
                found.events.append(_told(name, view))
            if not sample:  # none of what is made up
                self._ranks.write(found.commands, name, rows, self.kept.own.now_ms // 1000)
        self._show_holders(found)
        nodes = self.kept.nodes
        self._view(found, "nodes", _nodes(nodes) if nodes else None)

    def _view(self, found: Changes, name: str, view: View | None) -> bool:
        """Write a view where it is another; returns whether it is."""
        raw = b"" if view is None else msgspec.json.encode(view)
        if self._shown.get(name, None if self._anew else b"") == raw:
            return False
        self._shown[name] = raw
        found.views = self._keys.views(MARKETCAP)
        if view is None:
            found.commands.add("HDEL", found.views, name)
        else:
            found.commands.add("HSET", found.views, name, raw)
        return True

    def _lists(self) -> dict[str, list[AssetsTold]]:
        """What each list is made of; empty where nothing of it is known."""
        told = {kind: getattr(self.kept, kind) for kind in CLASSES}
        known = {kind: one for kind, one in told.items() if one is not None and one.assets}
        return {
            name: list(known.values()) if kind is None else [known[kind]] if kind in known else []
            for name, kind in LISTS.items()
        }

    def _supply(self) -> int | None:
        """Satoshi. Beside made-up figures that of a private chain would say nothing."""
        height = self.kept.own.height
        if any(one.sample for one in self._lists()["all"]):
            return SAMPLE_SUPPLY
        return None if height is None else self._network.supply(height)

    def _ranking(self) -> Ranking:
        own = self.kept.own
        told = (asset for one in self._lists()["all"] for asset in one.assets)
        assets: list[Asset] = [asset for asset in told if asset.id not in UNRANKED]
        seen = own.price_ms // 1000
        bitcoin = Bitcoin(
            price=own.price,
            supply=self._supply(),
            change=own.change,
            sources=(
                Source(of="price", name=MARKET, link="", as_of=seen),
                Source(of="quantity", name=CHAIN, link="", as_of=seen),
            ),
            seen=seen,
        )
        return ranked(assets, bitcoin, own.now_ms // 1000)

    def _show_holders(self, found: Changes) -> None:
        told, own = self.kept.holders, self.kept.own
        company = self.kept.company
        listed = {
            one.symbol: Listed(shares=int(one.quantity), market_cap=one.value)
            for one in (company.assets if company is not None else ())
        }
        claims, supply = told.claims if told else (), self._supply()
        held = holdings(claims, supply=supply, price=own.price, listed=listed, published=self._whose)
        for name, kind in HOLDERS.items():
            of_kind = [one for one in held if one.kind == kind]
            view = None
            if told is not None and of_kind:
                changed = [one for one in self.kept.changes if one.kind == kind]
                view = views.treasuries(name, of_kind, changed, own.price, sample=told.sample)
            self._view(found, f"treasuries_{name}", view)


def _alone(claims: list[Claim]) -> tuple[Holding, ...]:
    return holdings(claims, supply=None, price=None)


def _told(name: str, view: RankingView) -> RankingUpdated:
    sources = sorted({source.name for row in view.rows for source in row.sources})
    return RankingUpdated(
        asset_class=msgspec.convert(name, ListName), as_of_ms=view.as_of * 1000, sources=sources, assets=view.total,
        bitcoin_rank=view.bitcoin_rank, sample=view.sample,
    )  # fmt: skip


def _nodes(told: NodesTold) -> NodesView | None:
    if told.counts is None:
        return None
    return NodesView(
        counts=told.counts, height=told.height, as_of=told.as_of, source=told.source, link=told.link, sample=told.sample
    )
