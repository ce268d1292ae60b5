"""What sources said last, part by part, and what follows for the stream: pure, and paced by the clock that it is given.

A part keeps its last value with its age until its source says another; a class is told when it is another, companies
(whose prices come one after another) at most once a minute, and everything again now and then for readers who lost it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from marketcap import assets, companies
from marketcap.assets import Asset, Made, Money, Quote
from marketcap.coins import Coin
from marketcap.fx import Rates
from marketcap.providers import sec
from marketcap.stocks import STOCKS
from shared.assets import CLASSES, MOST, Claim, NodeCounts
from shared.events.base import Event
from shared.events.rankings import AssetClass, AssetsTold, HoldersTold, NodesTold
from shared.fold import Changes
from shared.keys import Keys

COMPANIES_MS: Final = 60_000
"""Between two times that companies are told, whose prices come one by one."""

AGAIN_MS: Final = 600_000
"""Everything is told again after this time, though it is the same."""

ANEW: Final = "anew"
"""Beside the questions in `Parts.asked`: when all of them were to be asked again."""

MISSING: Final = 300
"""Reasons why something is not listed that are told at most."""


class Coins(msgspec.Struct, frozen=True, kw_only=True):
    """The coins of one source."""

    rows: tuple[Coin, ...]
    source: str
    link: str
    fetched: int  # Unix seconds


class Nodes(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes of one snapshot."""

    counts: NodeCounts
    as_of: int
    height: int | None
    source: str
    link: str


class Holders(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds bitcoin, by one source's list."""

    claims: tuple[Claim, ...]
    source: str


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What is made up for a demonstration, in the place of all sources."""

    assets: Mapping[str, tuple[Asset, ...]]  # by class
    claims: tuple[Claim, ...]
    nodes: Nodes


class Parts(msgspec.Struct, kw_only=True):
    """Everything that sources said; each field is one of the hash `Keys.asset_answers`."""

    coins: Coins | None = None
    metals: dict[str, Quote] = {}
    shares: dict[str, Quote] = {}  # prices by symbol
    filed: dict[int, sec.Shares] = {}
    money: dict[str, Money] = {}
    rates: Rates | None = None
    holders: dict[str, Holders] = {}  # by list
    nodes: Nodes | None = None
    asked: dict[str, int] = {}  # Unix seconds at which each question was last answered


_KINDS: Final = {field.name: field.type for field in msgspec.structs.fields(Parts)}
_SAYS: Final[dict[str, tuple[str, ...]]] = {
    "coins": ("coin",),
    "metals": ("commodity",),
    "shares": ("company", "commodity"),
    "filed": ("company",),
    "money": ("currency",),
    "rates": ("company", "currency"),
    "holders": ("holders",),
    "nodes": ("nodes",),
    "asked": (),
}
"""What follows from each part."""

TOPICS: Final = (*CLASSES, "holders", "nodes")


class Board:
    """The parts, and what was told of them. Milliseconds by Redis' clock."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.companies = (*companies.listed(), *companies.holders())
        self.reset()

    def reset(self) -> None:
        """Forget everything: the lease was another's meanwhile."""
        self.parts = Parts()
        self.sample: Sample | None = None
        self._dirty: set[str] = set()
        self._news: set[str] = set(TOPICS)
        self._told_ms: dict[str, int] = {}
        self._known: set[str] = set()  # topics that something was told of

    def restored(self, stored: Mapping[bytes, bytes]) -> list[str]:
        """Go on from what is kept; returns what of it cannot be read, and is asked anew."""
        self.reset()
        spoilt = []
        for name, kind in _KINDS.items():
            raw = stored.get(name.encode())
            if raw is None:
                continue
            try:
                setattr(self.parts, name, msgspec.json.decode(raw, type=kind))
            except (msgspec.DecodeError, msgspec.ValidationError) as error:  # of another version
                spoilt.append(f"{name}: {error}")
        if spoilt:
            self.parts.asked = {}
        return spoilt

    def write_all(self) -> None:
        """What was written is lost: all of it is written, and told, again."""
        self._dirty.update(_KINDS)
        self._news.update(TOPICS)
        self._told_ms.clear()

    @property
    def heard(self) -> bool:
        """Whether any source has ever answered."""
        return bool(self.parts.asked) or bool(self.parts.shares)

    def put(self, part: str, value: Any) -> None:
        """A source said another value of one part."""
        setattr(self.parts, part, value)
        self.touched(part)

    def touched(self, part: str) -> None:
        """A part was changed in its place."""
        self._dirty.add(part)
        self._news.update(_SAYS[part])

    def answered(self, question: str, now: int) -> None:
        """A question was answered, at this Unix second."""
        self.parts.asked[question] = now
        self._dirty.add("asked")

    def ask_again(self, now: int) -> None:
        """Everybody is to be asked anew, whenever that was last; what they said stays until they answer."""
        self.parts.asked = {ANEW: now}
        self._dirty.add("asked")

    @property
    def anew(self) -> int:
        """Unix seconds: what was fetched before is to be asked for again."""
        return self.parts.asked.get(ANEW, 0)

    def pretend(self, sample: Sample | None) -> None:
        """Tell made-up figures from now on; None: those of sources again."""
        self.sample = sample
        self._news.update(TOPICS)
        self._told_ms.clear()

    # --- what follows --------------------------------------------------------------------------------

    def flush(self, now_ms: int) -> Changes:
        """What is to be written, and told."""
        changes = Changes()
        for part in sorted(self._dirty):
            raw = msgspec.json.encode(getattr(self.parts, part))
            changes.commands.add("HSET", self._keys.asset_answers, part, raw)
        self._dirty.clear()
        for topic in TOPICS:
            since = now_ms - self._told_ms[topic] if topic in self._told_ms else None
            recent = since is not None and 0 <= since < COMPANIES_MS
            news = topic in self._news and not (topic == "company" and recent)
            if not news and (since is None or 0 <= since < AGAIN_MS):
                continue
            self._news.discard(topic)
            event, known = self._event(topic, now_ms)
            if known or topic in self._known:
                changes.events.append(event)
                self._known.add(topic)
                self._told_ms[topic] = now_ms
        return changes

    def _event(self, topic: str, now_ms: int) -> tuple[Event, bool]:
        """What is to be told of a topic, and whether that is anything."""
        sample = self.sample
        if topic == "holders":
            lists = self.parts.holders.values()
            claims = list(sample.claims) if sample else [claim for one in lists for claim in one.claims]
            answered = sorted({claim.source for claim in claims})
            holders = HoldersTold(claims=claims, answered=answered, time_ms=now_ms, sample=sample is not None)
            return holders, bool(claims)
        if topic == "nodes":
            nodes = sample.nodes if sample else self.parts.nodes
            told = NodesTold(
                counts=nodes.counts if nodes else None, as_of=nodes.as_of if nodes else 0,
                height=nodes.height if nodes else None, source=nodes.source if nodes else "",
                link=nodes.link if nodes else "", time_ms=now_ms, sample=sample is not None,
            )  # fmt: skip
            return told, nodes is not None
        made = Made(sample.assets.get(topic, ())) if sample else self.made(topic)
        event = AssetsTold(
            asset_class=_class(topic), assets=list(made.assets), missing=[why[:300] for why in made.missing[:MISSING]],
            time_ms=now_ms, sample=sample is not None,
        )  # fmt: skip
        return event, bool(made.assets)

    def made(self, kind: str) -> Made:
        """The assets of one class as they are known, largest first."""
        parts = self.parts
        match kind:
            case "coin":
                known = parts.coins
                made = assets.coins(known.rows, known.source, known.link, known.fetched) if known else Made(())
            case "commodity":
                stocks = [(stock, _day(stock.as_of)) for stock in STOCKS]
                quotes = parts.metals | {
                    stock.symbol: parts.shares[stock.price_symbol]
                    for stock in STOCKS
                    if stock.price_source == "yahoo" and stock.price_symbol in parts.shares
                }
                made = assets.commodities(stocks, quotes)
            case "company":
                made = companies.assets(self.companies, parts.filed, parts.shares, parts.rates)
            case _:
                made = assets.currencies(parts.money.values(), parts.rates)
        largest = sorted(made.assets, key=lambda one: (-one.value, one.id))[:MOST]
        return Made(tuple(largest), made.missing)


def _class(topic: str) -> AssetClass:
    kind: AssetClass = msgspec.convert(topic, AssetClass)
    return kind


def _day(text: str) -> int:
    day = date.fromisoformat(text)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
