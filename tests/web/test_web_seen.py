"""What templates see of a snapshot."""

from __future__ import annotations

import pytest

from shared.networks import NETWORKS
from shared.views import FeesView, TipView, View
from support.web_samples import chain, known, mempool
from web.pages import seen
from web.pages.seen import Seen
from web.state.snapshot import Snapshot

SNAPSHOT = Snapshot(NETWORKS["main"], views=known(chain(), mempool()))


def test_views_and_attributes_by_name() -> None:
    s = Seen(SNAPSHOT)
    assert s.tip is SNAPSHOT[TipView]
    assert s.history is None
    assert s.network is SNAPSHOT.network
    assert s.of("mempool")["fees"] is SNAPSHOT[FeesView]
    with pytest.raises(AttributeError, match="nothing"):
        _ = s.nothing


def test_no_view_hides_what_a_snapshot_says_itself() -> None:
    names = {name for views in seen._KINDS.values() for name in views}
    assert not [name for name in names if hasattr(SNAPSHOT, name)]


def test_of_two_views_of_one_name_none_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: dict[str, dict[str, type[View]]] = {"chain": {"summary": TipView}, "mempool": {"summary": FeesView}}
    monkeypatch.setattr(seen, "_KINDS", kinds)
    s = Seen(SNAPSHOT)
    with pytest.raises(LookupError, match="several domains have a view summary"):
        _ = s.summary
    assert s.of("chain")["summary"] is SNAPSHOT[TipView]
