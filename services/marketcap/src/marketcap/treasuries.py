"""Who says that they hold how much bitcoin: claims of several sources as one table of holders, and its changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

import msgspec

from shared.assets import Claim, HolderKind, plain

__all__ = [
    "COIN", "MOST_COST", "MOST_HELD", "SUPPLY_LIMIT", "Change", "Claim", "Holding", "Kind", "Listed", "Published",
    "changes", "holdings", "merged", "plain", "satoshi", "totals",
]  # fmt: skip

COIN: Final = 10**8
SUPPLY_LIMIT: Final = 21_000_000 * COIN
"""Satoshi."""

MOST_HELD: Final = 21_000_000
"""Bitcoin."""

MOST_COST: Final = 10**14
"""USD."""

Kind = HolderKind


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """An address that a holder published as its own: what lies there can be checked, the claim beside it cannot."""

    address: str
    source: str
    link: str
    as_of: int


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What the ranking of companies knows of a holder's shares."""

    shares: int
    market_cap: Decimal  # USD


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """One holder; None wherever it is not known."""

    rank: int  # among all; those who hold the same share it
    key: str
    kind: Kind
    claim: Claim  # the one that counts
    others: tuple[Claim, ...]  # what further sources say
    share_of_limit: Decimal  # percent of 21 million, six decimals
    share_of_supply: Decimal | None  # percent of what there is, six decimals; None on a chain that has less
    value: Decimal | None  # USD now, whole cents
    cost: Decimal | None  # USD
    gain: Decimal | None  # USD
    gain_percent: Decimal | None  # two decimals
    satoshi_a_share: Decimal | None  # two decimals
    market_cap: Decimal | None  # USD
    multiple: Decimal | None  # market capitalisation over the value of the bitcoin, three decimals
    addresses: tuple[Published, ...]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A holder holds more, less, for the first time or no more, as one source says."""

    key: str
    name: str
    kind: Kind
    before: int | None  # satoshi; None: was not known to the source
    after: int | None  # satoshi; None: is not known to the source any more
    as_of: int  # the date that the source gives, else when it was seen
    source: str
    link: str


def satoshi(bitcoin: Decimal) -> int:
    """An amount of bitcoin in satoshi, rounded: sources compute with floats, and have digits below one."""
    return int((bitcoin * COIN).to_integral_value(ROUND_HALF_EVEN))


def merged(claims: Iterable[Claim]) -> dict[str, tuple[Claim, ...]]:
    """Claims by holder: first the one that counts.

    Two claims are of one holder where the symbol is the same; or, of two sources, where the name is the same, or the
    plain name if one of them has no symbol. It counts, in this order: what a filing backs, what has a date, what is
    newest, what was told first.
    """
    groups: dict[str, list[Claim]] = {}
    named: dict[tuple[bool, str], str] = {}
    every = list(claims)
    for claim in sorted(every, key=lambda one: one.symbol is None or one.kind == "country"):  # stable: symbols first
        country = claim.kind == "country"
        names = [(country, claim.name.casefold()), (country, f"plain:{plain(claim.name)}")]
        key = claim.key
        if key not in groups:
            by_name = next((named[name] for name in names[: 1 if claim.symbol else 2] if name in named), key)
            if by_name in groups and claim.source not in {one.source for one in groups[by_name]}:
                key = by_name
        for name in names:
            named.setdefault(name, key)
        groups.setdefault(key, []).append(claim)
    place = {id(claim): number for number, claim in enumerate(every)}

    def weight(claim: Claim) -> tuple[bool, bool, int, int]:
        return (claim.filing is None, not claim.dated, -claim.as_of, place[id(claim)])

    return {key: tuple(sorted(group, key=weight)) for key, group in groups.items()}


def holdings(
    claims: Iterable[Claim],
    *,
    supply: int | None,
    price: Decimal | None,
    listed: Mapping[str, Listed] | None = None,
    published: Mapping[str, Sequence[Published]] | None = None,
) -> tuple[Holding, ...]:
    """All holders, largest first. Supply in satoshi, price in USD; `listed` by symbol, `published` by holder's key."""
    groups = sorted(merged(claims).items(), key=lambda one: (-one[1][0].satoshi, one[1][0].name))
    amounts = [group[0].satoshi for _, group in groups]
    return tuple(
        _holding(
            1 + amounts.index(group[0].satoshi),
            key,
            group,
            supply,
            price,
            next((found for one in group if (found := (listed or {}).get(one.symbol or ""))), None),
            tuple((published or {}).get(key, ())),
        )
        for key, group in groups
    )


def _holding(
    rank: int,
    key: str,
    group: Sequence[Claim],
    supply: int | None,
    price: Decimal | None,
    listed: Listed | None,
    published: tuple[Published, ...],
) -> Holding:
    claim = group[0]
    held = Decimal(claim.satoshi)
    value = None if price is None else round(held / COIN * price, 2)
    # The cost of another amount is not the cost of this one.
    cost = next((one.cost for one in group if one.cost is not None and one.satoshi == claim.satoshi), None)
    gain = None if value is None or cost is None else value - cost
    return Holding(
        rank=rank,
        key=key,
        kind="fund" if any(one.kind == "fund" for one in group) else claim.kind,
        claim=claim,
        others=tuple(group[1:]),
        share_of_limit=round(100 * held / SUPPLY_LIMIT, 6),
        share_of_supply=round(100 * held / supply, 6) if supply and held <= supply else None,
        value=value,
        cost=cost,
        gain=gain,
        gain_percent=None if gain is None or not cost else round(100 * gain / cost, 2),
        satoshi_a_share=round(held / listed.shares, 2) if listed and listed.shares else None,
        market_cap=listed.market_cap if listed else None,
        multiple=round(listed.market_cap / value, 3) if listed and value else None,
        addresses=published,
    )


def totals(held: Iterable[Holding]) -> dict[Kind, tuple[int, int]]:
    """Holders and satoshi of each kind that there is."""
    sums: dict[Kind, tuple[int, int]] = {}
    for one in held:
        count, amount = sums.get(one.kind, (0, 0))
        sums[one.kind] = (count + 1, amount + one.claim.satoshi)
    return sums


def changes(
    before: Iterable[Holding], after: Iterable[Holding], *, answered: Collection[str], now: int
) -> tuple[Change, ...]:
    """What changed between two states, newest first; `answered` are the sources that `after` has fresh answers of.

    A holder is compared with what the same source said of it before, so that a source that is new, or that counts
    otherwise than the one before it, is no change. One that is gone is a change only where its source answered.
    """
    was = {one.key: one for one in before}
    sources = {claim.source for one in was.values() for claim in (one.claim, *one.others)}
    found: list[Change] = []
    left = dict(was)
    for one in after:
        old = left.pop(one.key, None)
        claim = one.claim
        said = next((it for it in (old.claim, *old.others) if it.source == claim.source), None) if old else None
        new = old is None and claim.source in sources
        if new or (said is not None and said.satoshi != claim.satoshi):
            found.append(_change(one.key, one.kind, claim, said.satoshi if said else None, claim.satoshi, claim.as_of))
    found += [
        _change(key, old.kind, old.claim, old.claim.satoshi, None, now)
        for key, old in left.items()
        if all(claim.source in answered for claim in (old.claim, *old.others))
    ]
    return tuple(sorted(found, key=lambda one: (-one.as_of, one.name)))


def _change(key: str, kind: Kind, claim: Claim, before: int | None, after: int | None, as_of: int) -> Change:
    return Change(
        key=key, name=claim.name, kind=kind, before=before, after=after, as_of=as_of, source=claim.source,
        link=claim.filing or claim.link,
    )  # fmt: skip
