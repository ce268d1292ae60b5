"""The price of a currency from what sources say of it: the median of quotes that agree, or another's through the ECB.

The rule (docs/prices.md says it to people):
- Three direct quotes or more: their median; what lies further than APART from it is an outlier and left out, and the
  price is the median of the others. Less than two thirds of all within APART: the sources disagree, which is said.
- One or two: the price through another currency, the cross, is the referee. Those within NEAR of it make the price; if
  none is, the cross does.
- One or two, and no cross: they stand where they differ by no more than APART, and by no more than FAR from the last
  price where that is young. Else there is no price now, and the sources disagree.
- None: the cross.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median
from typing import Final, Literal

APART: Final = Decimal("0.02")
"""Of the median: direct quotes of one currency lie within a fraction of this."""

NEAR: Final = Decimal("0.03")
"""Of the cross: the ECB's rates are up to some days old."""

FAR: Final = Decimal("0.10")
"""Of a price of the last minutes: nobody who stands alone is believed to be further off."""

ENOUGH: Final = 3
"""Direct quotes that need no referee."""

Verdict = Literal["silent", "used", "outlier", "late", "its clock is wrong", "frozen", "no cross"]
"""As shared.prices.VERDICTS numbers them."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one source says, and what is held against it before it is compared with others; empty: nothing."""

    source: str
    price: Decimal
    held_against: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The price of one currency, None where there is none now, and what became of each opinion."""

    price: Decimal | None
    how: Literal["direct", "cross"]
    agreed: bool
    verdicts: Mapping[str, Verdict]

    @property
    def used(self) -> list[str]:
        """The sources that the price rests on."""
        return [source for source, verdict in self.verdicts.items() if verdict == "used"]


def judged(opinions: Sequence[Opinion], cross: Decimal | None, last: Decimal | None = None) -> Judgement:
    """As the rule says. `cross`: the same price through another currency; `last`: a young one. None: there is none."""
    verdicts: dict[str, Verdict] = {one.source: one.held_against for one in opinions if one.held_against is not None}
    good = [one for one in opinions if one.held_against is None]
    if len(good) >= ENOUGH:
        return _of_many(good, verdicts)
    return _alone(good, last, verdicts) if cross is None else _refereed(good, cross, verdicts)


def _of_many(good: Sequence[Opinion], verdicts: dict[str, Verdict]) -> Judgement:
    middle = median([one.price for one in good])
    kept = [one for one in good if abs(one.price - middle) <= APART * middle]
    verdicts |= {one.source: "used" if one in kept else "outlier" for one in good}
    price = median([one.price for one in kept]) if kept else middle
    return Judgement(price, "direct", 3 * len(kept) >= 2 * len(good), verdicts)


def _alone(good: Sequence[Opinion], last: Decimal | None, verdicts: dict[str, Verdict]) -> Judgement:
    prices = [one.price for one in good]
    agreed = not prices or max(prices) - min(prices) <= APART * min(prices)
    if last is not None and prices:
        agreed = agreed and abs(median(prices) - last) <= FAR * last
    verdicts |= {one.source: "used" if agreed else "no cross" for one in good}
    return Judgement(median(prices) if prices and agreed else None, "direct", agreed, verdicts)


def _refereed(good: Sequence[Opinion], cross: Decimal, verdicts: dict[str, Verdict]) -> Judgement:
    kept = [one for one in good if abs(one.price - cross) <= NEAR * cross]
    verdicts |= {one.source: "used" if one in kept else "outlier" for one in good}
    if kept:
        return Judgement(median([one.price for one in kept]), "direct", len(kept) == len(good), verdicts)
    return Judgement(cross, "cross", not good, verdicts)
