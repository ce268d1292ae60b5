"""How each source has answered, for whoever looks: what Redis keeps for all replicas, and what this one has heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.outside.allowance import Allowance, Record
from shared.outside.provider import Provider
from shared.outside.standing import OutsideSource


@dataclass(slots=True)
class Tally:
    """What this replica has heard of one source."""

    messages: int = 0
    refused: int = 0
    refused_why: str = ""
    connected: bool = False

    def refuse(self, why: str) -> None:
        """Something of it cannot be."""
        self.refused += 1
        self.refused_why = why[:200]


async def standings(
    allowance: Allowance, providers: Sequence[Provider], tallies: dict[str, Tally], now_ms: int, *, off: bool
) -> list[OutsideSource]:
    """Of each source. Raises what Redis fails with."""
    records = await allowance.records(providers)
    return [
        _standing(provider, record, tallies.get(provider.name, Tally()), now_ms, off=off)
        for provider, record in zip(providers, records, strict=True)
    ]


def _standing(provider: Provider, record: Record, tally: Tally, now_ms: int, *, off: bool) -> OutsideSource:
    again_ms = max(record.left_alone_ms, record.open_ms)
    return OutsideSource(
        name=provider.name,
        title=provider.title,
        link=provider.link,
        state="off" if off else _state(record),
        connected=tally.connected,
        asked=record.asked,
        answered=record.answered,
        failed=record.failed,
        messages=tally.messages,
        refused=tally.refused,
        refused_why=tally.refused_why,
        well_ms=record.well_ms or None,
        error=record.error,
        error_ms=record.error_ms or None,
        again_ms=again_ms if again_ms > now_ms else None,
        limits=[(limit.requests, limit.seconds) for limit in provider.limits],
    )


def _state(record: Record) -> Literal["ok", "waiting", "failing", "open"]:
    if record.open_ms:
        return "open"
    if record.failures:
        return "failing"
    return "ok" if record.well_ms else "waiting"
