"""Keys: one hash tag a domain, names that nobody else spells."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from local_run import ports
from local_run.valkey import EmbeddedValkey
from shared import domains, redis
from shared import keys as shared_keys
from shared.assets import LISTS
from shared.domains import DOMAINS, SLOTS, STREAMS
from shared.keys import Keys
from shared.networks import NETWORKS
from support.each import each

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for folder in ("shared/src", "services", "deploy/local/src")
    for path in (ROOT / folder).rglob("*.py")
    if "node_modules" not in path.parts
)


def all_keys(network: str) -> dict[str, str]:
    """Every key of a network, by the name of the property or method that makes it."""
    keys = Keys(network)
    found = {name: str(getattr(keys, name)) for name, member in vars(Keys).items() if isinstance(member, property)}
    for stream in STREAMS:
        found[f"stream {stream.name}"] = keys.stream(stream)
    for read in {domain.slot: domain.reads for domain in DOMAINS if domain.reads}.values():
        for name in ("producer", "published", "resync"):
            found[f"{name} {read.slot}"] = getattr(keys, name)(read)
    for slot in SLOTS:
        for name in ("dead", "confirmed", "series_index", "series_layouts"):
            found[f"{name} {slot}"] = getattr(keys, name)(slot)
        for holder in {"chain-ingest", *(domain.owner.name for domain in DOMAINS if domain.slot == slot)}:
            found[f"lease {slot} {holder}"] = keys.lease(slot, holder)
            found[f"fence {slot} {holder}"] = keys.fence(slot, holder)
    for domain in DOMAINS:
        for name in ("views", "state", "checkpoint"):
            found[f"{name} {domain.name}"] = getattr(keys, name)(domain)
        for series in domain.series:
            found[f"series {series.name}"] = keys.series(series.domain, series.name, 7)
    for name in LISTS:
        found[f"ranks {name}"] = keys.ranks(name)
    found["claim"] = keys.claim("blocks-7")
    for name in ("requests", "jobs", "retries"):
        found[f"{name} explorer"] = str(getattr(keys, name)("explorer"))
    found["answer explorer"] = keys.answer("explorer", "tx-7")
    return found


@pytest_asyncio.fixture
async def cluster_slots(tmp_path: Path) -> dict[str, int]:
    """The slot that a real server gives to each key."""
    bus = str(ports.pick()[0])  # not the default, which may be another connection's
    async with EmbeddedValkey(tmp_path, extra=["--cluster-enabled", "yes", "--cluster-port", bus]) as server:
        client = redis.connect(server.url)
        try:
            names = {key for network in NETWORKS for key in all_keys(network).values()}
            return {name: int(await client.execute_command("CLUSTER KEYSLOT", name)) for name in sorted(names)}
        finally:
            await client.aclose()


def place(key: str) -> str:
    match = re.fullmatch(r"\{(\w+):(\w+)\}:[A-Za-z0-9:-]+", key)
    assert match, f"{key} has not the form {{network:domain}}:name"
    return match[1] + ":" + match[2]


@pytest.mark.parametrize("network", NETWORKS)
def test_every_key_has_the_form_and_no_two_are_equal(network: str) -> None:
    found = all_keys(network)
    assert len(found) >= 20
    assert len(set(found.values())) == len(found)
    for name, key in found.items():
        assert place(key).startswith(f"{network}:"), name


async def test_the_keys_of_a_domain_share_a_slot_and_domains_do_not(cluster_slots: dict[str, int]) -> None:
    by_place: dict[str, set[int]] = {}
    for key, slot in cluster_slots.items():
        by_place.setdefault(place(key), set()).add(slot)
    assert each(len(slots) == 1 for slots in by_place.values()), by_place
    for network in NETWORKS:
        distinct = {next(iter(by_place[f"{network}:{name}"])) for name in ("chain", "mempool", "ops")}
        assert len(distinct) == 3  # so that they can lie on different shards


@pytest.mark.parametrize("network", NETWORKS)
def test_what_one_script_commits_lies_in_one_domain(network: str) -> None:
    keys = Keys(network)
    together = [
        [
            keys.stream(domains.BLOCKS),
            keys.producer(domains.BLOCKS),
            keys.published(domains.BLOCKS),
            keys.resync(domains.BLOCKS),
            keys.lease("chain", "x"),
        ],
        [
            keys.stream(domains.BLOCKS),
            keys.checkpoint(domains.CHAIN),
            keys.state(domains.CHAIN),
            keys.views(domains.CHAIN),
            keys.stream(domains.METRICS),
            keys.dead("chain"),
        ],
        [
            keys.stream(domains.BLOCKS),
            keys.checkpoint(domains.HISTORY),
            keys.state(domains.HISTORY),
            keys.views(domains.HISTORY),
            keys.stream(domains.SERIES),
        ],
        [
            keys.stream(domains.BLOCKS),
            keys.stream(domains.BACKFILL),
            keys.series("chain", "days", 1),
            keys.series_index("chain"),
            keys.series_layouts("chain"),
            keys.claim("headers"),
        ],
        [
            keys.stream(domains.TXS),
            keys.state(domains.MEMPOOL),
            keys.series("mempool", "flow-10s", 1),
            keys.series_index("mempool"),
        ],
        [
            keys.stream(domains.TXS),
            keys.producer(domains.TXS),
            keys.published(domains.TXS),
            keys.resync(domains.TXS),
            keys.lease("mempool", "x"),
        ],
        [
            keys.stream(domains.TXS),
            keys.checkpoint(domains.MEMPOOL),
            keys.state(domains.MEMPOOL),
            keys.views(domains.MEMPOOL),
            keys.stream(domains.FEES),
            keys.dead("mempool"),
        ],
    ]
    for group in together:
        assert len({place(key) for key in group}) == 1


def test_streams_have_short_names_that_are_their_own() -> None:
    keys = Keys("main")
    streams = domains.streams_of(keys)
    assert set(streams) >= {"blocks", "txs", "fees", "metrics", "ops"}
    assert len(set(streams.values())) == len(streams)


def test_each_key_says_its_type_and_owner() -> None:
    for name, member in vars(Keys).items():
        if isinstance(member, property):
            assert re.match(r"(Stream|Hash|String|Counter|Sorted set|Set|List)\b", member.__doc__ or ""), name


# --- nobody else spells a key ------------------------------------------------------------------------------

SPELLED = re.compile(r"\{\w*:(chain|mempool|market|marketcap|explorer|ops)\}|:(chain|mempool|market|ops)\}|\}:[a-z]")


def spelled_keys(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each string in the code, docstrings left out, that looks like a key."""
    tree = ast.parse(source)
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in prose:
            text = node.value if isinstance(node.value, str) else node.value.decode(errors="replace")
            if SPELLED.search(text):
                yield node.lineno, text


def test_no_other_module_spells_a_key() -> None:
    assert len(SOURCES) > 40
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in SOURCES
        if path != Path(shared_keys.__file__).resolve()
        for line, text in spelled_keys(path.read_text())
    ]
    assert not found, "keys are spelled outside of shared/keys.py"


@pytest.mark.parametrize(
    "source",
    [
        'key = "{main:chain}:blocks"',
        'key = f"{{{network}:mempool}}:txs"',
        "key = b'{regtest:ops}:health'",
        "key = '{%s:chain}:x' % network",
        "key = '{' + network + ':chain}:x'",
        "key = '{{{}:{}}}:x'.format(network, domain)",
    ],
)
def test_a_spelled_key_would_be_found(source: str) -> None:
    assert list(spelled_keys(source))


def test_a_docstring_may_name_a_key() -> None:
    assert not list(spelled_keys('"""Events of `{net:chain}:blocks`."""'))
