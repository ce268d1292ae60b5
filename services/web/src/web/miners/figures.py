"""Figures of mining pools, of the shares that chain-history keeps. Without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from shared.pools import UNKNOWN, Share, pool_id

MOST_WEIGHT: Final = 4_000_000
"""Weight units that a block may have at most (BIP 141)."""

UNKNOWN_SLUG: Final = "unknown"
"""Of the blocks whose pool nobody knows."""


@dataclass(frozen=True, slots=True)
class Span:
    """The blocks that figures stand on."""

    name: str  # of the range
    start: int  # Unix seconds; the chain's own beginning where the range begins before it
    end: int
    heights: range  # of its blocks, the first to the last: a few in between may have another time
    blocks: int | None  # blocks of the best chain in it; None where headers do not reach back so far
    known: int  # of them, those whose statistics are known: all figures are over these
    hashrate: float | None  # H/s of the network, as far back as headers reach; None without work or time
    newest: int | None  # time of the chain's newest block, Unix seconds; None where none is in the span
    notice: str = ""  # what is missing and what happens next; empty where nothing is


@dataclass(frozen=True, slots=True)
class Miner:
    """A pool's figures over a span."""

    pool: int
    name: str | None  # None: the blocks whose pool nobody knows
    slug: str
    rank: int | None  # by blocks, from 1; the unknown are many, and have none
    share: float | None  # percent of the blocks known
    hashrate: float | None  # H/s: its share of the network's
    blocks: int
    empty: int  # of them, without a transaction but the coinbase
    fees: int  # satoshi
    subsidy: int  # satoshi that the blocks' heights allow
    fullness: float | None  # mean weight in percent of MOST_WEIGHT


@dataclass(frozen=True, slots=True)
class Over:
    """All pools over a span, by falling blocks, then by name."""

    span: Span
    miners: tuple[Miner, ...]

    def of(self, pool: int, name: str | None, slug: str) -> Miner:
        """The figures of this pool, of no block where it has none in the span."""
        for miner in self.miners:
            if miner.pool == pool:
                return miner
        share = 0.0 if self.span.known else None
        hashrate = None if share is None or self.span.hashrate is None else 0.0
        return Miner(pool, name, slug, None, share, hashrate, 0, 0, 0, 0, None)

    @property
    def half(self) -> tuple[int, float] | None:
        """How few pools found half of the blocks known together, and their share in percent; None: it takes more."""
        total = 0.0
        for count, miner in enumerate((miner for miner in self.miners if miner.name is not None), 1):
            total += miner.share or 0.0
            if total >= 50:
                return count, total
        return None


def slugs(names: Mapping[int, str]) -> dict[int, str]:
    """Each pool's part of an address: letters and digits of its name; with its id where that leaves none, or two."""
    plain = {pool: slug_of(name) for pool, name in names.items()}
    taken = Counter([*plain.values(), UNKNOWN_SLUG, ""])
    found = {pool: slug if taken[slug] == 1 else f"{slug}-{pool}".lstrip("-") for pool, slug in plain.items()}
    return {**found, UNKNOWN: UNKNOWN_SLUG}


def slug_of(name: str) -> str:
    """Letters and digits of a name, in lower case."""
    return "".join(sign for sign in name.lower() if sign.isalnum())


def pool_path(name: str, slug: str = "") -> str:
    """Address of the page of a pool; of one whose slug is not known, the one that its name alone gives it."""
    known = slug or slug_of(name)
    if known in ("", UNKNOWN_SLUG) and not slug:
        known = f"{known}-{pool_id(name)}".lstrip("-")
    return f"/network/miners/{quote(known, safe='')}"


def name_of(pool: int, names: Mapping[int, str]) -> str | None:
    """What a pool is called; None for the unknown."""
    return None if pool == UNKNOWN else names.get(pool, f"Pool {pool}")


def ranked(span: Span, shares: Iterable[Share], names: Mapping[int, str]) -> Over:
    """The figures of every pool that has a share of the blocks; `names` of all pools that there ever were."""
    found = list(shares)
    every = slugs({**{share.pool: f"Pool {share.pool}" for share in found}, **names})
    found.sort(key=lambda share: (-share.blocks, share.pool == UNKNOWN, (name_of(share.pool, names) or "").casefold()))
    places = iter(range(1, len(found) + 1))
    ranks = {share.pool: next(places) for share in found if share.pool != UNKNOWN}
    return Over(
        span,
        tuple(
            _miner(span, share, name_of(share.pool, names), every[share.pool], ranks.get(share.pool)) for share in found
        ),
    )


def _miner(span: Span, share: Share, name: str | None, slug: str, rank: int | None) -> Miner:
    part = share.blocks / span.known
    return Miner(
        pool=share.pool,
        name=name,
        slug=slug,
        rank=rank,
        share=part * 100,
        hashrate=None if span.hashrate is None else part * span.hashrate,
        blocks=share.blocks,
        empty=share.empty,
        fees=share.fees,
        subsidy=share.subsidy,
        fullness=share.weight / share.blocks / MOST_WEIGHT * 100,
    )


KEYS: Final[dict[str, Callable[[Miner], float | str | None]]] = {
    "blocks": lambda miner: miner.blocks,
    "fees": lambda miner: miner.fees,
    "empty": lambda miner: miner.empty,
    "fullness": lambda miner: miner.fullness,
    "name": lambda miner: None if miner.name is None else miner.name.casefold(),
}
"""What a list can be sorted by; None: not known."""

SORTS: Final = tuple(KEYS)
"""Their names; the first is the usual one."""
