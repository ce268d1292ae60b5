"""Sources of assets, holders and nodes on loopback: their true shapes, as of now, and their true failures.

Reached through OUTSIDE_URL as `<url>/<host>/<path>`. What each is to do wrong is a word in `modes`.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self
from urllib.parse import unquote

from aiohttp import web

from marketcap.questions import ASKED
from support import market_bodies as bodies
from support.exchanges import ecb_archive

HOSTS: Final = {provider.host: name for name, provider in ASKED.items()}
HANGS: Final = 3_600


@dataclass
class AssetSources:
    """The server. Figures may be changed while it runs."""

    modes: dict[str, str] = field(default_factory=dict)  # by source
    ethereum: float = 2_000.0  # USD; of 100 million
    apple: float = 200.0  # USD; of 15 thousand million
    gold: float = 4_000.0
    strategy: float = 600_000.0  # bitcoin
    asked: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    headers: dict[str, Mapping[str, str]] = field(default_factory=dict)  # of the last question, by source

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{host}/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *about: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        source = HOSTS.get(request.match_info["host"], "")
        path = "/" + request.match_info["path"]
        self.asked[source].append((time.time(), path))
        self.headers[source] = dict(request.headers)
        mode = self.modes.get(source, "")
        if mode.isdecimal():
            return web.Response(status=int(mode))
        if mode == "hang":
            await asyncio.sleep(HANGS)
        if mode == "html":
            return web.Response(text="<!DOCTYPE html><html><body>Just a moment...</body></html>")
        if source == "ecb":
            return web.Response(body=ecb_archive(30))
        body = self._body(source, path)
        if body is None:
            return web.Response(status=404, text="no such path")
        return web.Response(body=bodies.written(body))

    def _body(self, source: str, path: str) -> Any:
        make: dict[str, Callable[[str, datetime], Any]] = {
            "coinpaprika": self._paprika,
            "coingecko": self._gecko,
            "yahoo": self._share,
            "goldapi": self._metal,
            "sec": _frame,
            "fred": _dollars,
            "ecb_m2": _euros,
            "boj": _yen,
            "boe": _pounds,
            "boc": _canada,
            "rba": _australia,
            "snb": _francs,
            "btcetfdata": _funds,
            "bitnodes": _nodes,
        }
        return make[source](path, datetime.now(UTC)) if source in make else None

    def _paprika(self, path: str, now: datetime) -> Any:
        del path
        over = {"price": self.ethereum, "market_cap": self.ethereum * 1e8, "circulating_supply": 1e8}
        return [bodies.paprika(last_updated=_iso(now), **over)]

    def _gecko(self, path: str, now: datetime) -> Any:
        if "companies" in path:
            return {"companies": [bodies.treasury(total_holdings=self.strategy)]}
        if "governments" in path:
            return {"governments": [bodies.treasury(name="Bhutan", symbol="", country="BT", total_holdings=6_000)]}
        over = {"current_price": self.ethereum, "market_cap": self.ethereum * 1e8, "circulating_supply": 1e8}
        return [bodies.gecko(last_updated=_iso(now), **over)]

    def _share(self, path: str, now: datetime) -> Any:
        symbol = _last(path)
        price = {"AAPL": self.apple, "HG=F": 5.0}.get(symbol, 10.0)
        at = int(now.timestamp()) - 60
        return bodies.chart(symbol=symbol, regularMarketPrice=price, regularMarketTime=at)

    def _metal(self, path: str, now: datetime) -> Any:
        symbol = _last(path)
        return bodies.spot(symbol=symbol, price=self.gold if symbol == "XAU" else 50.0, updatedAt=_iso(now))


def _frame(path: str, now: datetime) -> Any:
    """Of this quarter nobody has filed yet."""
    fact = bodies.fact(end=now.date().isoformat(), val=15_000_000_000)
    return None if f"CY{now.year}Q{(now.month - 1) // 3 + 1}I" in path else bodies.frame(fact)


def _dollars(path: str, now: datetime) -> str:
    del path
    return _months(now, "observation_date,M2SL\n", lambda month, years: f"{month}-01,{22_000 - 1_000 * years}.0\n")


def _euros(path: str, now: datetime) -> str:
    del path
    key = "BSI.M.U2.Y.V.M20.X.1.U2.2300.Z01.E"
    return _months(now, "KEY,TIME_PERIOD,OBS_VALUE\n", lambda month, years: f"{key},{month},{16_000_000 - years}\n")


def _yen(path: str, now: datetime) -> Any:
    del path
    return bodies.japan(*((int(_month(now, years).replace("-", "")), 12_000_000 - years) for years in (1, 0)))


def _pounds(path: str, now: datetime) -> str:
    del path
    lines = (f"28 {_of(now, years):%b %Y},{3_100_000 - years}\n" for years in (1, 0))
    return "DATE,LPMAUYN\n" + "".join(lines)


def _canada(path: str, now: datetime) -> Any:
    del path
    return bodies.canada(*((f"{_month(now, years)}-01", f"{2_700_000 - years}") for years in (1, 0)))


def _australia(path: str, now: datetime) -> str:
    del path
    lines = (f"28/{_of(now, years):%m/%Y},3250.5\n" for years in (1, 0))
    return "D3 MONETARY AGGREGATES\nSeries ID,DMAM3S\n" + "".join(lines)


def _francs(path: str, now: datetime) -> str:
    del path
    lines = (f'"{_month(now, years)}";"B";"GM2";"{800_000 - years}"\n' for years in (1, 0))
    return '"CubeId";"snbmonagg"\n\n"Date";"D0";"D1";"Value"\n' + "".join(lines)


def _funds(path: str, now: datetime) -> Any:
    del path
    return {"data": {"IBIT": bodies.fund(dt=now.date().isoformat(), holdings=700_000)}}


def _nodes(path: str, now: datetime) -> Any:
    del path
    return bodies.snapshot({"1.2.3.4:8333": bodies.node()}, timestamp=int(now.timestamp()) - 300)


def _last(path: str) -> str:
    return unquote(path.rpartition("/")[2])


def _iso(now: datetime) -> str:
    return now.isoformat().replace("+00:00", "Z")


def _months(now: datetime, head: str, line: Callable[[str, int], str]) -> str:
    """Two months of the same name: of a year before, and of this one."""
    return head + "".join(line(_month(now, years), years) for years in (1, 0))


def _of(now: datetime, years: int) -> datetime:
    """The first of this month, so many years ago."""
    return now.replace(year=now.year - years, day=1)


def _month(now: datetime, years: int) -> str:
    return f"{_of(now, years):%Y-%m}"
