"""One engine and one dashboard on it for all of these tests, which go through its life in order."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.engine import Dashboard, Engine

SCALE = "explorer=3 web=2 chain-metrics=2 chain-history=2 mempool=2 backfill=4"


@pytest.fixture(scope="session")
def images(engine: Engine) -> dict[str, tuple[int, int]]:
    """All of them built: MB, and MB over the base, by service."""
    said = engine.run("deploy/images", limit=1_800)
    print(f"\n{said}")
    rows = [line.split() for line in said.splitlines()[1:]]
    return {row[0].partition("/")[2].partition(":")[0]: (int(row[1]), int(row[2])) for row in rows}


@pytest.fixture(scope="session")
def dashboard(
    engine: Engine, images: dict[str, tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dashboard]:
    """From nothing to a page that answers; removed with its data at the end."""
    del images
    made = Dashboard(engine, tmp_path_factory.mktemp("dashboard"), f"dashboard-{os.getpid()}")
    try:
        print(f"\n{made.up(SCALE)}load {os.getloadavg()[0]:.1f}")
        yield made
    finally:
        made.down()
