"""What every suite may use: the option --full, one Valkey for the whole run, and a client to it, empty each time."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio
from hypothesis import HealthCheck

from local_run.valkey import EmbeddedValkey
from shared import redis
from support.contained import prepare
from support.engine import Engine
from support.engine import engine as set_up_engine
from support.order import LONG
from support.states import Table


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the slow suites in full, and look at more examples")
    parser.addoption("--engine", action="store_true", help="run what needs a container engine, which is set up for it")
    parser.addoption("--record", type=Path, help="a folder for what web answers over sample states")
    parser.addoption("--operations", type=Path, help="the page whose table of states this run replaces")


def pytest_configure(config: pytest.Config) -> None:
    # A shell's background job ignores SIGINT, nohup SIGHUP, and children would inherit that: the tests set their own.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    full = bool(config.getoption("--full"))
    hypothesis.settings.register_profile(
        "suite",
        deadline=None,  # the machine has other work
        database=None,  # leave no file behind
        derandomize=not full,
        max_examples=1_000 if full else 60,
        suppress_health_check=[HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("suite")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long modules first. What is marked `full` or `engine` runs with that option alone.

    With `--engine` nothing else runs but what has a server of each kind: it gets them in containers.
    """
    turn = {f"tests/{name}.py": at for at, name in enumerate(LONG)}
    items.sort(key=lambda item: turn.get(item.nodeid.partition("::")[0], len(LONG)))
    dropped: set[pytest.Item] = set()
    if not config.getoption("--full"):
        dropped.update(item for item in items if item.get_closest_marker("full"))
    contained = {item for item in items if item.get_closest_marker("engine")}
    if config.getoption("--engine"):
        contained.update(item for item in items if _EACH_KIND & set(getattr(item, "fixturenames", ())))
        dropped.update(set(items) - contained)
    else:
        dropped.update(contained)
    config.hook.pytest_deselected(items=[item for item in items if item in dropped])
    items[:] = [item for item in items if item not in dropped]


_EACH_KIND = {"each_server", "mortal"}


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A real container engine; skipped, with the reason, where there can be none."""
    with set_up_engine() as made:
        prepare(made.env)
        yield made


_STATES = pytest.StashKey[Table]()


@pytest.fixture(scope="session")
def states(pytestconfig: pytest.Config) -> Table:
    """What web answered while something was wrong; printed at the end of the run."""
    return pytestconfig.stash.setdefault(_STATES, Table())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    # Of a whole run; who collects may be another process (pytest-xdist).
    if not config.getoption("--engine") and not config.getoption("file_or_dir"):
        terminalreporter.write_line(
            "not run: tests/containers, and Redis in containers, which need an engine (make test-containers); the "
            "tests of Redis ran on the bundled Valkey and on Debian's Redis, or say above why not"
        )
    table = config.stash.get(_STATES, None)
    if table is None or not table.rows:
        return
    terminalreporter.section("while something was wrong")
    for line in table.lines():
        terminalreporter.write_line(line)
    page: Path | None = config.getoption("--operations")
    if page is not None:
        table.write(page)


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether slow suites run in full."""
    return bool(request.config.getoption("--full"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedValkey]:
    """One server for the whole run. It belongs to the run's own event loop: tests use its `url`, and never stop it."""
    async with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest_asyncio.fixture
async def client(valkey: EmbeddedValkey) -> AsyncIterator[redis.Client]:
    """A client to an empty server."""
    connected = redis.connect(valkey.url)
    await connected.flushall()
    yield connected
    await connected.aclose()


@pytest.fixture
def no_env(tmp_path: Path) -> Path:
    """A folder without any `.env.*`, so that nothing of the tester's own settings is read."""
    return tmp_path / "no-env"
