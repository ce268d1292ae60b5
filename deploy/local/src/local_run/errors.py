"""What can go wrong while the embedded run sets itself up; each is told in one line."""

from __future__ import annotations

from shared.errors import DashboardError


class SetupError(DashboardError):
    """Something that the run needs is not there; the message says what was wrong and what is expected."""


class ServerFailed(SetupError):
    """A server that we started ended or did not answer in time; the message ends with its log's last lines."""
