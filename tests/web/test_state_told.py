"""What makes web read the state again, and what does not."""

from __future__ import annotations

import structlog

from shared.events.base import Event
from shared.events.lookups import LookupDone, TxChanged
from shared.keys import Keys
from shared.networks import NETWORKS
from web.push.tail import Entry, parse
from web.state.reading import State
from web.state.snapshot import Snapshot


def told(event: Event) -> Entry:
    kind, _, data = event.fields()
    return parse(b"1-0", {b"type": kind, b"data": data})


def dirty(*events: Event) -> set[str]:
    """What is read after these entries of the explorer's stream."""
    state = State(Snapshot(NETWORKS["main"]), Keys("main"), None, structlog.get_logger())
    state._dirty.clear()
    state.entries("changes", [told(event) for event in events])
    assert state._wake.is_set() is bool(state._dirty)
    return state._dirty


def test_an_answer_is_no_reason_to_read_the_state() -> None:
    """There are as many as pages that are looked up, and no view is another for it."""
    answered, changed = LookupDone(key="tx:1", status="done"), TxChanged(key="ab" * 32, status="mined")
    assert dirty(answered, answered) == set()
    assert dirty(answered, changed) == dirty(changed) == {"explorer"}
    assert dirty() == {"explorer"}, "the position is known now: what came before it was not seen"
