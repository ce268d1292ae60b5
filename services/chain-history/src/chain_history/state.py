"""What is recorded beside the series: what is covered, and how much of everything there must be."""

from __future__ import annotations

from typing import Final

import msgspec

LAYOUT: Final = 3
"""Layout of the state (shared.layouts). 1 had neither `lost` nor `counts`; 1 and 2 counted only blocks and empty blocks
by pool and day, from which nobody can tell fees and weight: these sums are made anew of the blocks."""


class Counts(msgspec.Struct, array_like=True, frozen=True):
    """Of what the commit that wrote them left behind: so that a look at Redis can tell what is gone."""

    recent: int = 0
    largest: int = 0
    pools: int = 0
    names: int = 0
    segments: int = 0
    layouts: int = 0
    views: bool = False


class State(msgspec.Struct, array_like=True):
    """One record."""

    first: int
    tip: int
    floor_hash: str
    tip_hash: str
    measured: list[tuple[int, int]]
    unavailable: list[tuple[int, int]]
    lost: list[tuple[int, int]] = []
    counts: Counts | None = None


_decoder = msgspec.msgpack.Decoder(State)


def encode(state: State) -> bytes:
    """As it is stored."""
    return msgspec.msgpack.encode(state)


def decode(raw: bytes) -> State:
    """Of any layout."""
    return _decoder.decode(raw)
