"""How a source outside has answered, as web shows it."""

from __future__ import annotations

from typing import Literal

from shared.views import View


class OutsideSource(View, frozen=True, kw_only=True):
    """How a source outside has answered. Times are Unix milliseconds by Redis' clock; None: never."""

    name: str
    title: str
    link: str
    state: Literal["ok", "waiting", "failing", "open", "off"]  # open: its circuit is, nobody asks it
    connected: bool  # whether it tells by itself now
    asked: int
    answered: int
    failed: int
    messages: int  # that it told by itself, since the service's replica is active
    refused: int  # quotes or rows of it that cannot be, likewise
    refused_why: str  # the last one
    well_ms: int | None
    error: str  # the last one
    error_ms: int | None
    again_ms: int | None  # when it is asked again at the earliest, where it is left alone
    limits: list[tuple[int, float]]  # requests in so many seconds
