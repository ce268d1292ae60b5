"""The history of a script as CSV: page by page as the explorer tells it, written while it is read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from aiohttp import hdrs, web

from shared.events.lookups import AddressWanted
from shared.lookups import address
from shared.lookups.address import HISTORY_MOST, PAGE, Entry, Found
from shared.scripts.address import Address
from web.charts.data.days import DayPrices
from web.http.answers import TEXT, Answer, retry
from web.lookups.asking import TROUBLE, Failed, Full, Lookups, Pending
from web.words.currency import counted
from web.words.sentence import gettext

MOST_PAGES: Final = HISTORY_MOST // PAGE
"""Pages that are written at most; the file says so at its end where there are more."""

PATIENCE: Final = 20.0
"""Seconds that each page may take."""

_COLUMNS: Final = ("txid", "height", "time_utc", "change_sat", "balance_sat", "fee_sat")
_CSV: Final = "text/csv; charset=utf-8"


async def write(request: web.Request, lookups: Lookups, days: DayPrices, named: Address) -> web.StreamResponse:
    """The file; or in words why there is none: 404 without a history, 503 while it cannot be looked up.

    A last line that begins with # says where it ends too early.
    """
    first = await _page(lookups, named, 0)
    if not isinstance(first, Found):
        text = gettext("This is being looked up, or cannot be looked up now. Ask again in a while.")
        return Answer(f"{text}\n".encode(), TEXT, 503, retry(5)).response(request)
    if first.history is None:
        text = gettext("Nobody can tell the history of this address here: that takes an Electrum server.")
        return Answer(f"{text}\n".encode(), TEXT, 404).response(request)
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: _CSV,
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{named.text[:80]}.csv"',
            hdrs.CACHE_CONTROL: "no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )
    await response.prepare(request)
    await response.write(_rows([(*_COLUMNS, f"price_{counted().lower()}")]))
    await _write_all(response, lookups, days, named, first)
    await response.write_eof()
    return response


async def _write_all(
    response: web.StreamResponse, lookups: Lookups, days: DayPrices, named: Address, first: Found
) -> None:
    written: set[str] = set()  # a new transaction moves those before it to a later page
    found: Found | None = first
    for number in range(MOST_PAGES):
        if number:
            found = await _page(lookups, named, number)
        if found is None or found.history is None:
            await response.write(b"# the rest could not be looked up\r\n")
            return
        fresh = [entry for entry in found.history if entry.txid not in written]
        written.update(entry.txid for entry in fresh)
        await response.write(_rows(_row(entry, days) for entry in fresh))
        if len(found.history) < PAGE:
            return
    total = (first.tx_count or 0) + (first.waiting_count or 0)
    if total > len(written):
        await response.write(f"# the first {len(written)} of {total}\r\n".encode())


async def _page(lookups: Lookups, named: Address, number: int) -> Found | None:
    wanted = AddressWanted(script=named.script.hex(), page=number)
    try:
        held = await lookups.ask(f"address:{named.scripthash}:{number}:0", wanted, address.Answer, PATIENCE)
    except (Pending, Full, Failed, *TROUBLE):
        return None
    return held.answer if isinstance(held.answer, Found) else None


def _row(entry: Entry, days: DayPrices) -> tuple[object, ...]:
    """Empty is unknown; satoshi are whole, and the price is that of a bitcoin on the day."""
    moment = None if entry.time is None else f"{datetime.fromtimestamp(entry.time, UTC):%Y-%m-%dT%H:%M:%SZ}"
    price = None if entry.time is None else days.at(counted(), entry.time)
    cells = (entry.txid, entry.height, moment, entry.change, entry.balance, entry.fee)
    return (*cells, None if price is None or price.sample else f"{price.price:.2f}")


def _rows(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
