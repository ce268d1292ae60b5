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
from shared import keys as shared_keys
from shared import redis
from shared.keys import Keys
from shared.networks import NETWORKS
from shared.series import CHAIN_SERIES, MEMPOOL_SERIES

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for folder in ("shared/src", "services", "deploy/local/src")
    for path in (ROOT / folder).rglob("*.py")
    if "node_modules" not in path.parts
)
HOLDERS = {"chain": ("chain-ingest", "chain-metrics", "chain-history"), "mempool": ("chain-ingest", "mempool")}


def all_keys(network: str) -> dict[str, str]:
    """Every key of a network, by the name of the property or method that makes it."""
    keys = Keys(network)
    found = {name: str(getattr(keys, name)) for name, member in vars(Keys).items() if isinstance(member, property)}
    for domain, holders in HOLDERS.items():
        found[f"dead {domain}"] = keys.dead(domain)
        for holder in holders:
            found[f"lease {domain} {holder}"] = keys.lease(domain, holder)
            found[f"fence {domain} {holder}"] = keys.fence(domain, holder)
        found[f"series index {domain}"] = keys.series_index(domain)
        found[f"series layouts {domain}"] = keys.series_layouts(domain)
    for series in (*CHAIN_SERIES, *MEMPOOL_SERIES):
        found[f"series {series.name}"] = keys.series(series.domain, series.name, 7)
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


def domain(key: str) -> str:
    match = re.fullmatch(r"\{(\w+):(\w+)\}:[a-z0-9:-]+", key)
    assert match, f"{key} has not the form {{network:domain}}:name"
    return match[1] + ":" + match[2]


@pytest.mark.parametrize("network", NETWORKS)
def test_every_key_has_the_form_and_no_two_are_equal(network: str) -> None:
    found = all_keys(network)
    assert len(found) >= 20
    assert len(set(found.values())) == len(found)
    for name, key in found.items():
        assert domain(key).startswith(f"{network}:"), name


async def test_the_keys_of_a_domain_share_a_slot_and_domains_do_not(cluster_slots: dict[str, int]) -> None:
    by_domain: dict[str, set[int]] = {}
    for key, slot in cluster_slots.items():
        by_domain.setdefault(domain(key), set()).add(slot)
    assert all(len(slots) == 1 for slots in by_domain.values()), by_domain
    for network in NETWORKS:
        distinct = {next(iter(by_domain[f"{network}:{name}"])) for name in ("chain", "mempool", "ops")}
        assert len(distinct) == 3  # so that they can lie on different shards


@pytest.mark.parametrize("network", NETWORKS)
def test_what_one_script_commits_lies_in_one_domain(network: str) -> None:
    keys = Keys(network)
    together = [
        [keys.blocks, keys.chain_producer, keys.chain_published, keys.chain_resync, keys.lease("chain", "x")],
        [keys.blocks, keys.chain_checkpoint, keys.chain_state, keys.chain_views, keys.metrics, keys.dead("chain")],
        [keys.blocks, keys.history_checkpoint, keys.history_state, keys.history_views, keys.series_updates],
        [
            keys.blocks,
            keys.backfill,
            keys.series("chain", "days", 1),
            keys.series_index("chain"),
            keys.series_layouts("chain"),
            keys.claim("headers"),
        ],
        [keys.txs, keys.mempool_state, keys.series("mempool", "flow-10s", 1), keys.series_index("mempool")],
        [keys.txs, keys.mempool_producer, keys.mempool_published, keys.mempool_resync, keys.lease("mempool", "x")],
        [keys.txs, keys.mempool_checkpoint, keys.mempool_state, keys.mempool_views, keys.fees, keys.dead("mempool")],
    ]
    for group in together:
        assert len({domain(key) for key in group}) == 1


def test_streams_have_short_names_that_are_their_own() -> None:
    keys = Keys("main")
    streams = keys.streams()
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
