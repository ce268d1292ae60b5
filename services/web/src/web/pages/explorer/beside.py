"""What a transaction's page shows that the explorer does not tell: the price of its moment, the pool of its block."""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from typing import Any, Final, NamedTuple

from shared.lookups.parts import Place
from shared.lookups.transaction import Found as Transaction
from shared.networks import COIN
from shared.pools import UNKNOWN
from shared.series import DAY
from shared.tasks import together
from web.charts.data.prices import Found, price_at
from web.charts.data.reading import MINED_BLOCKS, SeriesReader
from web.http.answers import Unavailable
from web.lookups.asking import Held
from web.words import formats
from web.words.currency import counted

KEPT: Final = 512


class Beside(NamedTuple):
    """Each None: not known, or there is none."""

    price: Found | None  # of the moment, in the reader's currency
    pool: str | None

    def worth(self, satoshi: int) -> str:
        """An amount at that price, as text."""
        return "" if self.price is None else formats.money(Decimal(self.price.price) * satoshi / COIN)


def moment_of(tx: Transaction) -> int | None:
    """When it was first seen, in Unix seconds: here, else by the node, else in its block."""
    seen = next((step.time_ms // 1000 for step in tx.timeline if step.what == "seen"), None)
    if seen is not None:
        return seen
    return tx.waiting.time if tx.waiting is not None else tx.place.time if tx.place is not None else None


class Besides:
    """Reads it, and keeps what was read."""

    def __init__(self, series: SeriesReader) -> None:
        self._series = series
        self._kept: OrderedDict[tuple[Any, ...], Beside] = OrderedDict()

    async def of(self, held: Held[Any]) -> Beside | None:
        """For the reader of now; None of what is no transaction."""
        tx = held.answer
        if not isinstance(tx, Transaction):
            return None
        key = (counted(), tx.txid, held.time_ms)
        found = self._kept.get(key)
        if found is None:
            price, pool = await together(self._price(moment_of(tx)), self._pool(tx.place if tx.coinbase else None))
            found = self._kept[key] = Beside(price, pool)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    async def _price(self, moment: int | None) -> Found | None:
        try:
            return None if moment is None else await price_at(self._series, counted(), moment)
        except Unavailable:
            return None

    async def _pool(self, place: Place | None) -> str | None:
        """Who mined it, of a coinbase's place."""
        if place is None:
            return None
        day = place.time // DAY
        try:
            blocks = await self._series.read(MINED_BLOCKS, place.height, place.height)
            _, names = await self._series.pools(day, day)
        except Unavailable:
            return None
        pools = [block.pool for _, block in blocks if block.time == place.time]  # not of one that it has replaced
        return names.get(pools[0]) if pools and pools[0] != UNKNOWN else None
