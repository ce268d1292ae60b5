"""What the fault suite shares."""

from __future__ import annotations

import pytest


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the suite runs at its full size (`make test-faults`)."""
    return bool(request.config.getoption("--full", default=False))
