"""Keeps what visitors ask for out of the log, where the library beneath would write it there."""

from __future__ import annotations

import logging
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger


class _Discreet(logging.Filter):
    """Of a request that is no HTTP, or too long, only the kind of the fault is logged: its words hold the line."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg = f"{record.getMessage()}: {type(error).__name__}"
            record.args = None
            record.exc_info = record.exc_text = None
        return True


_FILTER: Final = _Discreet()


def discreet() -> None:
    """From now on, in this process; to be called as often as one likes."""
    server_logger.addFilter(_FILTER)
