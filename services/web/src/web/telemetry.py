"""`/metrics` for Prometheus: what web counts anyway, read when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from web.http.answers import Answer
from web.http.document import Document
from web.http.readers import Spoken
from web.push.audience import Audience
from web.state import outside
from web.state.backfill import backfill
from web.state.reading import State


class Counted(Protocol):
    """What answers many addresses and counts for itself."""

    @property
    def counts(self) -> tuple[int, int]:
        """Requests answered, and documents made for them."""


class _Web(Collector):
    def __init__(
        self,
        documents: Mapping[str, Document | Spoken],
        series: Iterable[Counted],
        audiences: Callable[[], Iterable[tuple[str, Audience]]],
        state: State,
    ) -> None:
        self._documents = documents
        self._series = series
        self._audiences = audiences
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """The figures of now."""
        requests = CounterMetricFamily("web_requests", "Requests answered from a document", labels=["path"])
        renders = CounterMetricFamily("web_renders", "Times that a document was made", labels=["path"])
        for path, document in self._documents.items():
            requests.add_metric([path], document.requests)
            renders.add_metric([path], document.renders)
        counts = [answering.counts for answering in self._series]
        requests.add_metric(["/api/v1 (series)"], sum(answered for answered, _ in counts))
        renders.add_metric(["/api/v1 (series)"], sum(made for _, made in counts))
        clients = GaugeMetricFamily("web_push_clients", "Push connections open", labels=["kind"])
        open_now = {"events": 0, "pages": 0, "lookups": 0}
        for kind, audience in self._audiences():
            open_now[kind] += len(audience.clients)
        for kind, count in open_now.items():
            clients.add_metric([kind], count)
        changes = CounterMetricFamily("web_state_changes", "Changes of the state that were seen", labels=["part"])
        for part, count in self._state.changes.items():
            changes.add_metric([part], count)
        up = GaugeMetricFamily("web_redis_up", "1 while Redis answers")
        up.add_metric([], 0 if self._state.snapshot.redis_error else 1)
        blocks = GaugeMetricFamily(
            "web_history_blocks", "Blocks of the chain by what is known of them", labels=["state"]
        )
        progress = backfill(self._state.snapshot)
        if progress is not None:
            blocks.add_metric(["measured"], progress.measured)
            blocks.add_metric(["missing"], progress.missing)
            blocks.add_metric(["unavailable"], progress.unavailable)
        yield from (requests, renders, clients, changes, up, blocks)
        yield from _sources(self._state)


def _sources(state: State) -> Iterator[Metric]:
    """Who is asked outside."""
    well = GaugeMetricFamily("outside_ok", "1 while a source outside answers as it should", labels=["source"])
    counts = {
        name: CounterMetricFamily(f"outside_{name}", words, labels=["source"])
        for name, words in (
            ("asked", "Requests to a source outside"),
            ("failed", "Requests that failed"),
            ("messages", "Messages that a source told by itself"),
            ("refused", "Quotes and rows of a source that cannot be"),
        )
    }
    for one in outside.sources(state.snapshot):
        well.add_metric([one.name], one.state == "ok")
        for name, family in counts.items():
            family.add_metric([one.name], getattr(one, name))
    yield from (well, *counts.values())


class Telemetry:
    """The page of figures: ours, and those of the process."""

    def __init__(
        self,
        documents: Mapping[str, Document | Spoken],
        series: Iterable[Counted],
        audiences: Callable[[], Iterable[tuple[str, Audience]]],
        state: State,
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Web(documents, series, audiences, state))

    def answer(self) -> Answer:
        """The figures of now, as text."""
        return Answer(generate_latest(self._registry) + generate_latest(REGISTRY), CONTENT_TYPE_LATEST)
