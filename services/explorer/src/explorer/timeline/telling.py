"""Records of one transaction as the steps that a person is told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from explorer.timeline.blocks import Block
from explorer.timeline.meta import Meta
from explorer.timeline.records import Stay, Waiting, Went
from shared.lookups.transaction import Step

WIDEST: Final = 100
"""Transactions that one is told to have replaced, at most."""


_STILL: Final = -1  # the end of a stay that is not over


def told(
    waiting: Waiting | None, meta: Meta, records: Iterable[Stay | Went], blocks: Mapping[bytes, Block]
) -> list[Step]:
    """The steps, oldest first.

    What a block went through holds for all of its transactions. One that is in the mempool again since its block was
    disconnected was not seen anew.
    """
    stays = sorted({one: None for one in records if isinstance(one, Stay)}, key=lambda one: one.end_ms)
    went = sorted({one: None for one in records if isinstance(one, Went)}, key=lambda one: (one.time_ms, one.txid))
    if waiting is not None and all(stay.seen_ms != waiting.seen_ms for stay in stays):
        stays.append(_present(waiting, meta))
    steps: list[Step] = []
    told_blocks: set[bytes] = set()
    returned = False  # whether the stay before ended in a block that was disconnected
    for stay in stays:
        if stay.seen_ms is not None and not returned:
            steps.append(Step(what="seen", time_ms=stay.seen_ms, accepted=stay.accepted))
        returned = False
        if stay.end_ms == _STILL:
            continue
        block = blocks.get(stay.block)
        if stay.end != "mined":
            steps.append(_ended(stay, block))
            continue
        returned = block is not None and any(not connected for _, connected in block.turns)
        if stay.block not in told_blocks:
            told_blocks.add(stay.block)
            steps += _in_block(stay, block)
    steps.sort(key=lambda step: step.time_ms)
    return _replacing(steps, went)


def _present(waiting: Waiting, meta: Meta) -> Stay:
    """A stay that is not over; or is, and was not written yet."""
    seen_ms, accepted = waiting.seen_ms, waiting.accepted or None
    if waiting.generation < meta.settled:
        return Stay("gone", meta.gone_ms, seen_ms, accepted, max(seen_ms, meta.gone_after_ms))
    return Stay("gone", _STILL, seen_ms, accepted)


def _ended(stay: Stay, block: Block | None) -> Step:
    return Step(
        what=stay.end,
        time_ms=stay.end_ms,
        after_ms=stay.after_ms,
        block=block.hash.hex() if block else None,
        height=block.height if block else None,
        by=stay.by.hex() or None,
    )


def _in_block(stay: Stay, block: Block | None) -> list[Step]:
    """Mined, and what became of the block since."""
    if block is None:
        return [Step(what="mined", time_ms=stay.end_ms)]
    turns = block.turns
    if not turns or not turns[0][1]:  # when it was connected was not told, or not yet
        turns = [(min(stay.end_ms, turns[0][0]) if turns else stay.end_ms, True), *turns]
    return [
        Step(
            what="mined" if connected else "disconnected",
            time_ms=time_ms,
            block=block.hash.hex(),
            height=block.height,
        )
        for time_ms, connected in turns
    ]


def _replacing(steps: list[Step], went: Sequence[Went]) -> list[Step]:
    """Each time that it was seen, with what went for it then."""
    seen = [place for place, step in enumerate(steps) if step.what == "seen"]
    if went and not seen:  # it came and was gone before it could be told of
        steps = [Step(what="seen", time_ms=went[0].time_ms), *steps]
        seen = [0]
    replaced: dict[int, list[str]] = {}
    for one in went:
        place = min(seen, key=lambda at: abs(steps[at].time_ms - one.time_ms))
        replaced.setdefault(place, []).append(one.txid.hex())
    return [
        Step(what="seen", time_ms=step.time_ms, accepted=step.accepted, replaces=replaced[place][:WIDEST])
        if place in replaced
        else step
        for place, step in enumerate(steps)
    ]
