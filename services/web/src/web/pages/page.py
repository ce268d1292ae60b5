"""What a page declares: its address, its words in navigation and title, its cards and what they show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from aiohttp import web

from shared.domains import SLOTS
from web.charts.data.days import DayPrices
from web.charts.data.reading import SeriesReader
from web.charts.serving.store import Charts
from web.lookups.asking import Lookups
from web.lookups.wallets import Wallets
from web.miners.store import Miners
from web.ranks.store import Ranks
from web.state.snapshot import PARTS, Part, Snapshot

if TYPE_CHECKING:
    from web.pages.rendering import Pages  # which renders what is declared here

CHAIN: Final[tuple[Part, ...]] = ("chain", "notices")
MEMPOOL: Final[tuple[Part, ...]] = ("mempool", "notices")
MARKET: Final[tuple[Part, ...]] = ("market", "notices")
BOTH: Final[tuple[Part, ...]] = ("chain", "mempool", "notices")
STATUS: Final[tuple[Part, ...]] = ("status", "notices")
"""What most cards show: figures, and with the notices why there are none."""


@dataclass(frozen=True, slots=True)
class Card:
    """One card, with the parts of the state whose change makes it another; its name is the one of its template.

    Where several cards share a template, `drawn_by` names it and `more` is what it is told besides. A `long` card holds
    a whole list: few of them are kept, and open pages are sent what is another in it, once a second at most.
    """

    name: str
    parts: tuple[Part, ...]
    folder: str  # of its template, NAME.html, below this package
    drawn_by: str = ""
    more: Callable[[Snapshot], Mapping[str, Any]] = lambda _: {}
    long: bool = False

    @property
    def template(self) -> str:
        """As the renderer finds it."""
        return f"{self.folder}/{self.drawn_by or self.name}.html"


def cards(package: str) -> Callable[[str, tuple[Part, ...]], Card]:
    """Declares cards whose templates lie in the folder of this page (its `__name__`)."""
    folder = package.rpartition(".")[2]
    return lambda name, parts: Card(name, parts, folder)


COMMON: Final = tuple(Card(name, (*BOTH, "truth"), "frame") for name in ("notices", "foot"))
"""The cards that every page has."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a page that answers for itself may use."""

    pages: Pages
    charts: Charts
    miners: Miners
    ranks: Ranks
    lookups: Lookups
    wallets: Wallets
    series: SeriesReader
    days: DayPrices


Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Routes: TypeAlias = Callable[[Means], Iterable[tuple[str, Handler]]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page. Its folder has its name and holds `page.html`; it is found there, and nothing else names it.

    `shows` are its own cards, in no particular order; without a `page.html` they stand below the title, one after the
    other. `routes` gives every address of a page that is more than one
    document; without, `path` answers `page.html`, made anew when a card is another. `views` are the cards of one such
    address, beside those of all, by what the live stream calls them: `PAGE.VIEW`.
    """

    name: str
    path: str
    title: str
    place: int  # in the navigation, rising
    shows: tuple[Card, ...] = ()
    under: str = ""  # the page whose entry in the navigation stands for this one too; empty: it has its own
    routes: Routes | None = None
    posts: Routes | None = None  # addresses that something is brought to (web.http.posting)
    views: Mapping[str, tuple[Card, ...]] = field(default_factory=dict)

    @property
    def cards(self) -> tuple[str, ...]:
        """The names of all its cards."""
        return tuple(card.name for card in (*COMMON, *self.shows))

    @property
    def template(self) -> str:
        """Of the whole page."""
        return f"{self.name}/page.html"

    @property
    def parts(self) -> tuple[Part, ...]:
        """What makes it another. When figures were last true is not among it: pages say that anew often enough."""
        shown = {part for card in (*COMMON, *self.shows) for part in card.parts}
        return tuple(part for part in PARTS if part in shown and part != "truth")

    @property
    def domains(self) -> tuple[str, ...]:
        """Whose figures it shows."""
        shown = {part for card in self.shows for part in card.parts}
        return tuple(slot for slot in SLOTS if slot in shown)
