"""Whether this machine has IPv6, on loopback."""

from __future__ import annotations

import socket

import pytest


def has_ipv6() -> bool:
    """Whether one can listen at ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
