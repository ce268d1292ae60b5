"""Sources of assets as large as the true ones: what marketcap's memory and the largest pages are measured with."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
from aiohttp import web

from marketcap import companies
from marketcap.assets import Quote
from support import market_bodies as bodies
from support.asset_sources import AssetSources
from support.exchanges import ecb_archive

COINS: Final = 2_500
FILERS: Final = 6_000
HOLDERS: Final = 250
NODES: Final = 24_000


class FullSources(AssetSources):
    """As many coins, filers, holders and nodes as there are outside."""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["host"] == "www.ecb.europa.eu":
            self.asked["ecb"].append((time.time(), request.path))
            return web.Response(body=ecb_archive())
        return await super()._answer(request)

    def _body(self, source: str, path: str) -> Any:
        now = datetime.now(UTC)
        moment = now.isoformat().replace("+00:00", "Z")
        if source == "coinpaprika":
            return [_coin(number, moment) for number in range(COINS)]
        if source == "sec":
            every = [one.cik for one in (*companies.listed(), *companies.holders()) if one.cik]
            ciks = [*every, *range(9_000_000, 9_000_000 + FILERS - len(every))]
            return bodies.frame(
                *(bodies.fact(cik=cik, accn=f"{cik:010}-26-000001", end=now.date().isoformat()) for cik in ciks)
            )
        if source == "coingecko":
            rows = [
                bodies.treasury(name=f"Holder {number}", symbol=f"H{number}.US", total_holdings=10_000 - number)
                for number in range(HOLDERS)
            ]
            return {"governments" if "governments" in path else "companies": rows}
        if source == "bitnodes":
            nodes = {f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}:8333": bodies.node() for n in range(NODES)}
            return bodies.snapshot(nodes, timestamp=int(now.timestamp()) - 300)
        return super()._body(source, path)


def _coin(number: int, moment: str) -> dict[str, Any]:
    value = 300_000_000_000 // (number + 1)
    return bodies.paprika(
        id=f"c{number}-coin",
        symbol=f"C{number}",
        name=f"Coin {number}",
        price=2.0,
        market_cap=value,
        last_updated=moment,
    )


def prices(now: int) -> bytes:
    """A price of every share that is looked at, as marketcap keeps them: asked for, they would take six minutes."""
    every = (*companies.listed(), *companies.holders())
    quotes = {
        symbol: Quote(
            price=Decimal(100), currency="USD", change=Decimal(1), period="close", source="Yahoo Finance",
            link=f"https://finance.yahoo.com/quote/{symbol}", as_of=now - 60, fetched=now,
        )
        for symbol in companies.symbols(every)
    }  # fmt: skip
    return msgspec.json.encode(quotes)
