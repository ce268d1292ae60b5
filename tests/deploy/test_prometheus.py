"""Every figure that an alert, the dashboard or scaling asks for is one that a running service tells."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from local_run.ports import pick
from market.exchanges import EXCHANGES
from shared import domains
from support.each import each
from support.spending import mine
from support.stack import SERVICES, Stack, until

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/prometheus"
ADDED = {"namespace", "instance"}
"""Labels that Prometheus adds."""

UNSEEN = {"outside_ok", "dashboard_electrum_connected", "dashboard_electrum_answers_total"}
"""Told only where somebody outside, or an Electrum server, is asked."""

Samples = list[tuple[str, dict[str, str]]]


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    return [one for one in found if one["type"] != "row"]


def scaling() -> Iterator[str]:
    for one in yaml.safe_load_all((ROOT / "deploy/kubernetes/components/scaling/scaling.yaml").read_text()):
        for trigger in one["spec"].get("triggers", []):
            if trigger["type"] == "prometheus":
                yield trigger["metadata"]["query"]


def queries() -> list[str]:
    shown = [target["expr"].replace("$namespace", ".*") for one in panels() for target in one["targets"]]
    return [*(rule["expr"] for rule in rules()), *shown, *scaling()]


def selectors(query: str) -> list[Any]:
    """What a query reads: name and matchers. Raises where it is no PromQL."""
    found: list[Any] = []
    waiting: list[Any] = [promql_parser.parse(query)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, promql_parser.VectorSelector):
            found.append(one)
            continue
        for part in ("lhs", "rhs", "expr", "vector_selector", "param"):
            waiting += [inner] if (inner := getattr(one, part, None)) is not None else []
        waiting += list(getattr(one, "args", None) or ())
    return found


async def _told(folder: Path) -> tuple[Samples, set[str]]:
    async with Stack(folder) as stack:
        await mine(stack.node, 3)
        ports = dict(zip(SERVICES, pick(len(SERVICES)), strict=True))
        addresses = [f"http://127.0.0.1:{port}/metrics" for name, port in ports.items() if name != "web"]
        await asyncio.gather(*(stack.start(name, METRICS_PORT=str(port)) for name, port in ports.items()))
        await stack.synced(60)
        await stack.serves()
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{stack.url}/block/1") as answer:
                assert answer.status in (200, 202)
            texts: list[str] = []

            async def complete() -> bool:
                texts.clear()
                for address in (*addresses, f"{stack.admin_url}/metrics"):
                    async with session.get(address) as answer:
                        texts.append(await answer.text())
                together = "".join(texts)
                seen = ("dashboard_unread_entries{", "web_history_blocks{", "dashboard_job_wait_seconds_count{")
                # Each has its lease, and nobody misses what is not to be done: no Electrum server tells of scripts here
                idle = re.findall(r"^dashboard_lease_held{.*} 0\.0$", together, re.MULTILINE)
                return each(name in together for name in seen) and not idle

            await until(complete, 60, "everything was told of once")
    families = [one for text in texts for one in text_string_to_metric_families(text)]
    samples = [(sample.name, dict(sample.labels)) for one in families for sample in one.samples]
    known = {f"{one.name}_total" if one.type == "counter" else one.name for one in families}
    return samples, known


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Samples, set[str]]:
    """Samples of all services together, and the names of what they know; started once."""
    return asyncio.run(_told(tmp_path_factory.mktemp("told")))


def test_every_query_reads_what_a_running_service_tells(told: tuple[Samples, set[str]]) -> None:
    samples, known = told
    wrong = []
    read = [(one, query) for query in queries() for one in selectors(query)]
    assert len(read) > 50
    for one, query in read:
        if one.name in UNSEEN:
            if one.name not in known:
                wrong.append(f"nobody knows {one.name}: {query}")
            continue
        labels = [labels for name, labels in samples if name == one.name]
        if not labels:
            wrong.append(f"nobody tells {one.name}: {query}")
        for matcher in one.matchers.matchers:
            if matcher.name in ADDED:
                continue
            values = {each_of.get(matcher.name, "") for each_of in labels}
            exact = matcher.op == promql_parser.MatchOp.Equal
            if not any(value == matcher.value if exact else re.fullmatch(matcher.value, value) for value in values):
                wrong.append(f"{one.name} has no {matcher.name} like {matcher.value!r}, but {sorted(values)}: {query}")
    assert not wrong, "\n".join(wrong)


def test_labels_that_results_are_put_together_by_are_there(told: tuple[Samples, set[str]]) -> None:
    samples, _ = told
    labels = {name for _, one in samples for name in one} | ADDED | {"source", "node", "outcome"}
    by = {
        name.strip()
        for query in queries()
        for names in re.findall(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)", query)
        for name in names.split(",")
    }
    assert by
    assert by <= labels


def test_every_service_is_missed_when_it_is_absent() -> None:
    [rule] = [one for one in rules() if one["alert"] == "DashboardServiceAbsent"]
    missed = [one.matchers.matchers[0].value for one in selectors(rule["expr"])]
    assert sorted(missed) == sorted(one.name for one in domains.SERVICES)


def test_every_exchange_counts_for_the_price() -> None:
    [rule] = [one for one in rules() if one["alert"] == "DashboardPriceStale"]
    [selector] = selectors(rule["expr"])
    [matcher] = selector.matchers.matchers
    assert set(matcher.value.split("|")) == {one.provider.name for one in EXCHANGES}


def test_every_alert_says_what_to_do() -> None:
    for rule in rules():
        assert rule["alert"].startswith("Dashboard")
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "action"}
        assert each(len(words) > 30 for words in rule["annotations"].values()), rule["alert"]
        labels = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        kept = set(re.findall(r"\w+", "".join(re.findall(r"by \(([^)]*)\)", rule["expr"]))))
        assert labels <= kept | ({"service"} if "absent(" in rule["expr"] else set()), rule["alert"]
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_the_dashboard_can_be_loaded() -> None:
    found = panels()
    assert len({one["id"] for one in found}) == len(found)
    assert each(one["title"] and one["description"] and one["targets"] for one in found)
    board = json.loads((FOLDER / "dashboard.json").read_text())
    named = {one["name"] for one in board["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) <= named
    taken = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in board["panels"]]
    assert len(set(taken)) == len(taken)
    assert each(one["gridPos"]["x"] + one["gridPos"]["w"] <= 24 for one in board["panels"])


def test_the_memory_alert_is_below_webs_limit() -> None:
    [rule] = [one for one in rules() if one["alert"] == "DashboardWebMemory"]
    [bound] = re.findall(r"> (\d+)", rule["expr"])
    [web, *_] = yaml.safe_load_all((ROOT / "deploy/kubernetes/base/web.yaml").read_text())
    [limit] = [one["resources"]["limits"]["memory"] for one in web["spec"]["template"]["spec"]["containers"]]
    assert 0.8 < int(bound) / (int(limit.removesuffix("Mi")) * 2**20) < 0.9
