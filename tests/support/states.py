"""What is answered while something is wrong, looked at from outside, and how long it takes until all is well again.

Each test of the fault suite that breaks something records one row. The run prints them as a table, which `make
operations` puts into docs/operations.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from shared.tasks import end
from support.stack import Stack, until

BEGIN = "<!-- states: made by `make operations` -->"
END = "<!-- end of states -->"

LONGEST = 160
"""Characters of a reason in the table."""

HEAD = ("state", "/readyz", "`as_of`", "fees/recommended", "fees/precise", "overview page", "until all is well")


@dataclass(frozen=True, slots=True)
class Look:
    """What web answers at one moment; a status of 0 says that there was no answer within five seconds."""

    at: float  # Unix seconds
    ready: int
    reasons: str
    as_of: int | None
    recommended: int
    age: int | None  # seconds, of the recommended fees
    precise: int
    page: int
    count: int | None  # transactions in the mempool, as told

    @property
    def row(self) -> tuple[str, ...]:
        """As cells of the table."""
        age = "" if self.age is None else f", Age {self.age} s"
        reasons = self.reasons.replace("|", "/")
        if len(reasons) > LONGEST:
            reasons = f"{reasons[:LONGEST]}…"
        ready = f"{self.ready}: {reasons}" if reasons else str(self.ready)
        as_of = "none" if self.as_of is None else f"{max(0, round(self.at - self.as_of))} s ago"
        return ready, as_of, f"{self.recommended}{age}", str(self.precise), str(self.page)


@dataclass(slots=True)
class Table:
    """The rows of one run."""

    rows: list[tuple[str, ...]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """As Markdown."""
        cells = [HEAD, ("---",) * len(HEAD), *sorted(self.rows)]
        return [f"| {' | '.join(row)} |" for row in cells]

    def write(self, page: Path) -> None:
        """Replace what stands between the marks of a page."""
        before, _, rest = page.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        page.write_text("\n".join([f"{before}{BEGIN}", *self.lines(), f"{END}{after}"]))


async def look(stack: Stack) -> Look:
    """Ask web everything at once."""
    limit = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(stack.url, timeout=limit) as session:

        async def ask(path: str) -> tuple[int, Any, dict[str, str]]:
            try:
                async with session.get(path) as response:
                    body = await response.json() if "json" in response.content_type else await response.text()
                    return response.status, body, dict(response.headers)
            except (aiohttp.ClientError, TimeoutError):
                return 0, {}, {}

        paths = ("/readyz", "/api/v1/overview", "/api/v1/fees/recommended", "/api/v1/fees/precise", "/")
        ready, overview, fees, precise, page = await asyncio.gather(*map(ask, paths))
    age = fees[2].get("Age")
    return Look(
        at=time.time(),
        ready=ready[0],
        reasons=ready[1]["error"]["message"] if ready[0] == 503 else "",
        as_of=overview[1].get("as_of") if overview[0] == 200 else None,
        recommended=fees[0],
        age=None if age is None else int(age),
        precise=precise[0],
        page=page[0],
        count=(overview[1].get("mempool") or {}).get("count") if overview[0] == 200 else None,
    )


class Wrong:
    """A state in which something is wrong, from breaking it until all is well again."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._stack = stack
        self._name = name
        self._looks: list[Look] = []
        self._mended: float | None = None
        self._seen: Look | None = None
        self.seconds = 0.0

    @property
    def looks(self) -> list[Look]:
        """All that was seen so far, oldest first."""
        return self._looks

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self._looks.append(await look(self._stack))
            await asyncio.sleep(0.25)

    async def shows(self, wanted: Callable[[Look], bool], limit: float, message: str) -> Look:
        """Wait until web answers so, and keep that as what this state looks like."""

        async def seen() -> Look | None:
            now = await look(self._stack)
            self._seen = now
            return now if wanted(now) else None

        found = await until(seen, limit, f"{self._name}: {message}")
        assert found is not None
        return found

    def mended(self) -> None:
        """What was wrong is so no more: the time until all is well counts from here."""
        self._mended = time.monotonic()

    async def well(self, limit: float, more: Callable[[], Awaitable[Any]] | None = None) -> None:
        """Wait until web is ready, every view is the node's, and `more` holds."""
        if self._mended is None:
            self.mended()
        assert self._mended is not None
        deadline = self._mended + limit

        async def ready() -> bool:
            return (await look(self._stack)).ready == 200

        await self._stack.synced(limit)
        await until(ready, max(1.0, deadline - time.monotonic()), f"{self._name}: web is ready again")
        if more is not None:
            await until(more, max(1.0, deadline - time.monotonic()), f"{self._name}: all is well again")
        self.seconds = time.monotonic() - self._mended

    @property
    def row(self) -> tuple[str, ...]:
        """As a row of the table."""
        seen = self._seen or max(self._looks, key=lambda one: (one.ready != 200, one.recommended != 200, one.age or 0))
        return (self._name, *seen.row, f"{self.seconds:.1f} s")


@contextlib.asynccontextmanager
async def wrong(stack: Stack, table: Table, name: str) -> AsyncIterator[Wrong]:
    """Watch web from outside while the body breaks and mends something; the pages must answer all the time."""
    state = Wrong(stack, name)

    async def answers() -> bool:
        return (await look(stack)).page == 200

    await until(answers, 20, "web answers")
    watching = asyncio.create_task(state.watch(), name="watch")
    try:
        yield state
    finally:
        await end(watching)
    broken = [seen for seen in state.looks if seen.page != 200]
    assert not broken, f"{name}: the page did not answer {len(broken)} of {len(state.looks)} times: {broken[0]}"
    table.rows.append(state.row)
    print(f"{name}: all well after {state.seconds:.1f} s")
