"""What web makes of the hashes of views."""

from __future__ import annotations

import msgspec
import pytest
import structlog

from shared.views import FeesView, TipView, View
from support.web_samples import chain, mempool
from web.state import held


def test_two_domains_may_have_a_view_of_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    views: dict[str, dict[str, type[View]]] = {"chain": {"summary": TipView}, "mempool": {"summary": FeesView}}
    monkeypatch.setattr(held, "VIEWS", views)
    tip, fees = chain()["tip"], mempool()["fees"]
    read = held.Held(structlog.get_logger())
    assert read.views("chain", {b"summary": msgspec.json.encode(tip)}) == {TipView: tip}
    assert read.views("mempool", {b"summary": msgspec.json.encode(fees)}) == {FeesView: fees}
    assert read.views("mempool", {b"summary": b"[]"}) == {FeesView: None}
    [told] = read.unreadable.values()
    assert told.startswith("summary of mempool: ")
    assert read.views("chain", {b"summary": msgspec.json.encode(tip)}) == {}
    assert read.views("chain", {}) == {TipView: None}
    assert len(read.unreadable) == 1, "what is gone is not unreadable"
