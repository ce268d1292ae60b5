"""`python -m shared.alive [SECONDS]`: whether the service of this container is alive; exit code 0 or 1, with one line.

A service writes the steady clock into ALIVE_FILE every second, from its event loop: one that waits for Redis or for
the node goes on doing so and must not be restarted for it, one whose loop hangs does not. Web is asked for `/healthz`
besides. A loop that hangs for END_SECONDS ends its process, with the place in the log, so that whoever started it
starts it again: an engine without an orchestrator only marks what is ill.

The program imports nothing of ours and nothing that is slow: it is run every few seconds in every container.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import sys
import time
from pathlib import Path
from typing import Final

BEAT_SECONDS: Final = 1.0

STALE_SECONDS: Final = 20.0
"""A beat older than this says that the event loop hangs."""

END_SECONDS: Final = 60.0
"""A loop that hangs for so long does not come back: its process ends."""

ANSWER_SECONDS: Final = 3.0
"""Within which web answers."""

VARIABLE: Final = "ALIVE_FILE"


class Pulse:
    """Writes the beat of one process into a file; without a file nothing is written, and nothing ends the process."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self.asked_at = ""  # what must answer as well: an address

    async def beat(self) -> None:
        """Beat until cancelled. A file that cannot be written is left alone: that is no reason to end."""
        if self._path is None:
            return
        try:
            while True:
                # A thread of C, which needs no lock of Python's: it also sees a loop that is stuck in a library.
                faulthandler.dump_traceback_later(END_SECONDS, exit=True)
                self._write(self._path, f"{time.monotonic():.3f}\n{self.asked_at}\n")
                await asyncio.sleep(BEAT_SECONDS)
        finally:
            faulthandler.cancel_dump_traceback_later()

    @staticmethod
    def _write(path: Path, text: str) -> None:
        fresh = path.with_name(f"{path.name}.new")
        with contextlib.suppress(OSError):  # whoever looks finds an old one and says so
            fresh.write_text(text, encoding="ascii")
            fresh.replace(path)


def trouble(path: str, stale: float = STALE_SECONDS) -> str:
    """What is wrong with the service that writes this file, in words; empty where it is alive."""
    try:
        beaten, asked_at, *_ = [*Path(path).read_text(encoding="ascii").splitlines(), "", ""]
        silent = time.monotonic() - float(beaten)
    except FileNotFoundError:
        return f"{path} is not there: the service has not begun"
    except (OSError, ValueError) as error:
        return f"{path} cannot be read: {error}"
    if silent > stale:
        return f"the event loop has not turned for {silent:.0f} s"
    return _asked(asked_at) if asked_at else ""


def _asked(address: str) -> str:
    """What is wrong with what answers there: `HOST PORT PATH`."""
    import http.client  # noqa: PLC0415 - it takes longer to load than all the rest, and web alone needs it

    host, port, path = address.split(" ")
    asked = http.client.HTTPConnection(host, int(port), timeout=ANSWER_SECONDS)
    try:
        asked.request("GET", path, headers={"Host": "localhost"})
        status = asked.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{path} at port {port} does not answer: {error}"
    finally:
        asked.close()
    return "" if status == 200 else f"{path} at port {port} answers {status}"


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    path = os.environ.get(VARIABLE, "")
    if not path:
        sys.stdout.write(f"{VARIABLE} is not set: expected the file that the service writes\n")
        return 1
    wrong = trouble(path, float(arguments[0]) if arguments else STALE_SECONDS)
    sys.stdout.write(f"{wrong or 'alive'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
