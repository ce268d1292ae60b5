"""What web is told: how far back the series reach, and the largest transactions of each span of time."""

from __future__ import annotations

from itertools import islice
from typing import Final

from chain_history import largest
from chain_history.coverage import Coverage
from chain_history.store import Store
from shared.networks import Network
from shared.series import DAY
from shared.views import ConfirmedLargestView, HistoryView, View

MISSING: Final = 100
"""Gaps that are named at most, and as many spans that were given up."""

_DAYS: Final = {"1w": 7, "1m": 30, "1y": 365}
"""Whole days in UTC, today among them."""


def views(network: Network, store: Store) -> dict[str, View]:
    """All of them, by name. The chain is not empty."""
    history = history_view(network, store)
    return {"history": history, **_largest(network, store, history)}


def history_view(network: Network, store: Store) -> HistoryView:
    """What is covered and what is missing."""
    spine = store.spine
    measured = store.measured.less(store.lost)
    known = Coverage(measured.intervals)
    for first, last in store.given_up.intervals:
        known.add(first, last)
    missing = list(islice(known.gaps(spine.first, spine.tip), MISSING))
    measured_from = next((first for first, last in reversed(measured.intervals) if first <= spine.tip <= last), None)
    return HistoryView(
        network=network.name,
        height=spine.tip,
        hash=spine.tip_hash,
        time=spine.time(spine.tip),
        first_header=spine.first,
        floor_hash=spine.floor_hash,
        measured=len(measured),
        unavailable=len(store.given_up),
        missing=missing,
        measured_from=measured_from,
        measured_from_time=None if measured_from is None else spine.time(measured_from),
        complete=spine.first == 0 and not missing,
        given_up=store.given_up.intervals[: -MISSING - 1 : -1],
    )


def _largest(network: Network, store: Store, history: HistoryView) -> dict[str, View]:
    newest = store.newest_time
    era = history.height // network.halving_interval
    halving = era * network.halving_interval
    since_halving = store.spine.time(halving) if halving >= store.spine.first else network.genesis_time
    lists = {
        "1d": (newest - DAY, store.recent.since(newest - DAY)),
        **{
            name: ((newest // DAY - days + 1) * DAY, store.largest.since(newest // DAY - days + 1))
            for name, days in _DAYS.items()
        },
        "halving": (since_halving, store.largest.of_era(era)),
        "all": (network.genesis_time, store.largest.of_all()),
    }
    start, start_time = history.measured_from, history.measured_from_time
    return {
        f"largest_{name}": ConfirmedLargestView(
            since=since,
            complete=start_time is not None and (start == 0 or start_time <= since),
            transactions=largest.transactions(packed),
        )
        for name, (since, packed) in lists.items()
    }
