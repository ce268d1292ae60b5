"""What is declared of services, streams and domains agrees with itself."""

from __future__ import annotations

import importlib.util

from shared.domains import CHAIN, DOMAINS, INGEST, SERVICES, STREAMS
from shared.keys import Keys
from support.each import each

KEYS = Keys("main")


def test_every_name_is_one_thing() -> None:
    for declared in (SERVICES, STREAMS, DOMAINS):
        names = [one.name for one in declared]
        assert sorted(names) == sorted(set(names))
    called = [stream.called for stream in STREAMS if stream.called]
    assert sorted(called) == sorted(set(called))


def test_a_type_of_view_belongs_to_one_place() -> None:
    """It is the key by which web asks for a view."""
    kinds = [kind for domain in DOMAINS for kind in domain.views.values()]
    assert len(kinds) == len(set(kinds))
    assert each(domain.views for domain in DOMAINS), "its first view says whether anything is known"


def test_no_two_domains_share_a_key() -> None:
    keys = [key for one in DOMAINS for key in (KEYS.views(one), KEYS.state(one), KEYS.checkpoint(one))]
    assert len(keys) == len(set(keys))
    assert {key.partition("}")[0] for key in keys} == {f"{{main:{domain.slot}" for domain in DOMAINS}


def test_every_service_is_a_module() -> None:
    for service in SERVICES:
        assert importlib.util.find_spec(service.module) is not None, service


def test_a_domain_rests_on_who_writes_what_it_reads() -> None:
    assert CHAIN.rests_on == (INGEST, CHAIN.owner)
    for domain in DOMAINS:
        assert domain.rests_on[-1] is domain.owner
        assert domain.announces.owner == domain.owner.name
        assert domain.announces.called, "web listens to it by that name"
