"""The picture of a transaction's flow: bands as wide as values, from what it spends to what it makes and pays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, NamedTuple

from markupsafe import Markup

from shared.lookups.transaction import Found
from web.words import formats
from web.words.sentence import gettext, ngettext

SIDE: Final = 12
"""Bands of a side; where there are more, the last one is the rest together."""

WIDTH: Final = 1_000
HEIGHT: Final = 240
_GAP: Final = 8.0
_TRUNK: Final = 110.0  # of the height, all bands together
_MIDDLE: Final = (440.0, 560.0)  # where the bands are one

What = Literal["coin", "rest", "fee", "new"]


class Band(NamedTuple):
    """One of them."""

    what: What
    value: int  # satoshi
    words: str


class Flow(NamedTuple):
    """The picture, and what it says in words."""

    picture: Markup
    words: str


def flow(tx: Found) -> Flow | None:
    """None where it is not known what the transaction spends, or it moves nothing."""
    total = tx.output_value if tx.coinbase else tx.input_value
    if not total:
        return None
    if tx.coinbase:
        left = [Band("new", total, gettext("New coins, and the fees of the block"))]
    else:
        spent = [(at, one.coin.value) for at, one in enumerate(tx.inputs, tx.page * 100) if one.coin is not None]
        left = _bands(spent, tx.input_count, total, gettext("Input %(number)s"), _inputs)
    made = [(at, one.value) for at, one in enumerate(tx.outputs, tx.page * 100)]
    right = _bands(made, tx.output_count, tx.output_value, gettext("Output %(number)s"), _outputs)
    if tx.fee:
        right.append(Band("fee", tx.fee, gettext("Fee")))
    words = _words(tx, made)
    return Flow(_drawn(left, right, total, words), words)


def _inputs(number: int) -> str:
    return ngettext("%(num)s further input", "%(num)s further inputs", number) % {"num": formats.number(number)}


def _outputs(number: int) -> str:
    return ngettext("%(num)s further output", "%(num)s further outputs", number) % {"num": formats.number(number)}


def _bands(
    told: Sequence[tuple[int, int]], count: int, total: int, name: str, rest: Callable[[int], str]
) -> list[Band]:
    """The largest that are told, in their order, and what is left of the whole together."""
    shown = told
    if count > SIDE or len(told) < count:
        largest = sorted(told, key=lambda one: (-one[1], one[0]))[: SIDE - 1]
        shown = sorted(largest)
    bands = [Band("coin", value, name % {"number": at}) for at, value in shown]
    left = count - len(shown)
    if left:
        bands.append(Band("rest", total - sum(one.value for one in bands), rest(left)))
    return bands


def _words(tx: Found, made: Sequence[tuple[int, int]]) -> str:
    """One sentence of the whole, one of the largest output."""
    told = {
        "inputs": ngettext("%(num)s input", "%(num)s inputs", tx.input_count) % {"num": formats.number(tx.input_count)},
        "outputs": ngettext("%(num)s output", "%(num)s outputs", tx.output_count)
        % {"num": formats.number(tx.output_count)},
        "value": formats.btc(tx.output_value),
        "spent": formats.btc(tx.input_value or 0),
        "fee": formats.btc(tx.fee or 0),
    }
    if tx.coinbase:
        text = gettext("New coins and fees of %(value)s, to %(outputs)s.") % told
    elif tx.fee:
        text = gettext("From %(inputs)s of %(spent)s to %(outputs)s of %(value)s, and a fee of %(fee)s.") % told
    else:
        text = gettext("From %(inputs)s of %(spent)s to %(outputs)s of %(value)s, without a fee.") % told
    if len(made) > 1 and len(made) == tx.output_count and tx.output_value:
        at, value = max(made, key=lambda one: (one[1], -one[0]))
        percent = value / tx.output_value * 100
        share = f"> {formats.percent(99.9)}" if 99.9 < percent < 100 else formats.percent(percent)
        text += " " + gettext("The largest output, number %(number)s, takes %(share)s of that.") % {
            "number": at,
            "share": share,
        }
    return text


def _drawn(left: Sequence[Band], right: Sequence[Band], total: int, words: str) -> Markup:
    bands = Markup("").join([*_side(left, total, 0.0, _MIDDLE[0]), *_side(right, total, WIDTH, _MIDDLE[1])])
    top = (HEIGHT - _TRUNK) / 2
    trunk = Markup('<rect class="trunk" x="{:.0f}" y="{:.1f}" width="{:.0f}" height="{:.1f}"/>').format(
        _MIDDLE[0], top, _MIDDLE[1] - _MIDDLE[0], _TRUNK
    )
    return Markup(
        '<svg class="flow" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}</svg>'
    ).format(WIDTH, HEIGHT, words, trunk, bands)


def _side(bands: Sequence[Band], total: int, edge: float, middle: float) -> Iterable[Markup]:
    """From the edge of the picture to its middle: apart there, one upon the other here."""
    scale = _TRUNK / total
    spare = HEIGHT - _TRUNK - 4
    gap = min(_GAP * 4, spare / max(1, len(bands) - 1)) if len(bands) > 1 else 0.0
    at = (HEIGHT - _TRUNK - gap * (len(bands) - 1)) / 2
    inner = (HEIGHT - _TRUNK) / 2
    bend = (edge + middle) / 2
    for band in bands:
        width = band.value * scale
        path = (
            f"M{edge:.0f} {at:.2f} C{bend:.0f} {at:.2f} {bend:.0f} {inner:.2f} {middle:.0f} {inner:.2f} "
            f"V{inner + width:.2f} C{bend:.0f} {inner + width:.2f} {bend:.0f} {at + width:.2f} "
            f"{edge:.0f} {at + width:.2f} Z"
        )
        label = f"{band.words}: {formats.btc(band.value)}"
        yield Markup('<path class="{}" d="{}"><title>{}</title></path>').format(band.what, path, label)
        at += width + gap
        inner += width
