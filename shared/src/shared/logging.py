"""Structured logs: one event a line with stable names, as JSON or for a console; repeated errors once a minute."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import orjson
import structlog

REPEAT_SECONDS = 60.0
"""An error that stays is logged again after this time at the earliest."""


def configure(level: str, form: str) -> None:
    """Send this process's logs, those of libraries included, to standard error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if form == "json":
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_dumps)]
    else:
        processors.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=24))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr, format="%(name)s: %(message)s")


def _dumps(value: Any, default: Any = None, **_: Any) -> str:
    return orjson.dumps(value, default=default or str).decode()


class Trouble:
    """Logs a failure when it begins, once a minute while it lasts, and its end once."""

    def __init__(self, log: structlog.stdlib.BoundLogger, event: str) -> None:
        self._log = log
        self._event = event
        self._since: float | None = None
        self._logged = 0.0
        self._times = 0

    @property
    def lasting(self) -> bool:
        """Whether the failure still stands."""
        return self._since is not None

    def failed(self, error: BaseException | str, **fields: Any) -> None:
        """Say that it failed (again)."""
        now = time.monotonic()
        self._times += 1
        if self._since is None:
            self._since = now
        elif now - self._logged < REPEAT_SECONDS:
            return
        self._logged = now
        self._log.warning(f"{self._event}_failed", error=chain(error), times=self._times, **fields)

    def ended(self, **fields: Any) -> None:
        """Say that it works again; silent where it never failed."""
        if self._since is None:
            return
        seconds = round(time.monotonic() - self._since, 1)
        self._log.info(f"{self._event}_restored", after_seconds=seconds, times=self._times, **fields)
        self._since, self._times = None, 0


def chain(error: BaseException | str) -> str:
    """The error and its causes in one line."""
    parts: list[str] = []
    current: BaseException | None = error if isinstance(error, BaseException) else None
    if current is None:
        return str(error)
    while current is not None:
        text = str(current) or type(current).__name__
        if text not in parts:
            parts.append(text)
        current = current.__cause__
    return ": ".join(parts)
