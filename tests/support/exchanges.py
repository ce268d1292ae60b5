"""Exchanges, the ECB and aggregates on loopback: their true shapes over HTTP and WebSocket, and their true failures.

Reached through OUTSIDE_URL as `<url>/<host>/<path>`. What each is to do wrong is a word in `modes`.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Self

from aiohttp import WSMsgType, web

HOSTS: Final = {
    "api.exchange.coinbase.com": "coinbase",
    "ws-feed.exchange.coinbase.com": "coinbase",
    "api.kraken.com": "kraken",
    "ws.kraken.com": "kraken",
    "www.bitstamp.net": "bitstamp",
    "ws.bitstamp.net": "bitstamp",
    "api-pub.bitfinex.com": "bitfinex",
    "api.gemini.com": "gemini",
    "www.ecb.europa.eu": "ecb",
    "api.blockchain.info": "blockchain.info",
    "mempool.space": "mempool.space",
}
NAMES: Final = ("coinbase", "kraken", "bitstamp", "bitfinex", "gemini")
CURRENCIES: Final = {
    "coinbase": ("USD", "EUR", "GBP"),
    "kraken": ("USD", "EUR", "JPY", "GBP", "CHF", "CAD", "AUD"),
    "bitstamp": ("USD", "EUR", "GBP"),
    "bitfinex": ("USD", "EUR", "GBP", "JPY"),
    "gemini": ("USD", "EUR", "GBP"),
}
RATES: Final = {"USD": 1.25, "JPY": 180.0, "GBP": 0.85, "CHF": 0.94, "CAD": 1.7, "AUD": 1.9, "SEK": 11.0, "PLN": 4.3,
                "NOK": 11.5, "DKK": 7.46, "CZK": 24.0, "HUF": 390.0, "CNY": 8.9, "INR": 105.0}  # fmt: skip
"""Units for a euro."""

START: Final = {
    "USD": 100_000.0,
    **{name: 80_000.0 * rate for name, rate in RATES.items() if name != "USD"},
    "EUR": 80_000.0,
}
"""What a bitcoin costs, consistent with the rates."""

HANGS: Final = 3_600


@dataclass
class Exchanges:
    """The server. `pace`: seconds between two messages of a conversation."""

    pace: float = 0.25
    prices: dict[str, float] = field(default_factory=lambda: dict(START))
    factors: dict[str, float] = field(default_factory=dict)  # of a source's prices: a lie
    modes: dict[str, str] = field(default_factory=dict)  # by source
    talks: bool = True  # False: no WebSocket is taken
    past: Callable[[int], float] = lambda at: 50_000.0 + at // 86_400
    asked: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    said: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sockets: dict[str, list[web.WebSocketResponse]] = field(default_factory=lambda: defaultdict(list))

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{host}/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *about: object) -> None:
        for sockets in self.sockets.values():
            for socket in list(sockets):
                with contextlib.suppress(ConnectionError):
                    await socket.close()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """What OUTSIDE_URL is."""
        return f"http://127.0.0.1:{self.port}"

    def requests(self, source: str) -> int:
        """How often a source was asked, conversations included."""
        return len(self.asked[source])

    # --- HTTP ----------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        source = HOSTS.get(request.match_info["host"], "")
        path = "/" + request.match_info["path"]
        self.asked[source].append((time.time(), request.path_qs))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._talk(request, source)
        mode = self.modes.get(source, "")
        await _refuse(mode)
        if source == "ecb":
            return web.Response(body=ecb_archive())
        body = self._body(source, path, request)
        if body is None:
            return web.Response(status=404, text="no such path")
        return web.Response(text=mangled(mode, json.dumps(body)), content_type="application/json")

    def _body(self, source: str, path: str, request: web.Request) -> Any:
        query = request.query
        if source == "blockchain.info":
            days = range(1_279_324_800, int(time.time()) - 86_400, 86_400)
            return {"status": "ok", "unit": "USD", "values": [{"x": day, "y": self.past(day)} for day in days]}
        if source == "mempool.space":
            days = range(1_313_625_600, int(time.time()) - 86_400, 86_400)
            return {"prices": [{"time": day + 3_600, **self._all(day)} for day in days], "exchangeRates": {}}
        if "candles" in path or "OHLC" in path or "ohlc" in path:
            return _candles(source, path, query, self.past)
        for currency in CURRENCIES.get(source, ()):
            if currency.lower() in path.lower().rpartition("btc")[2] or source == "kraken":
                return self.ticker(source, currency)
        return None

    def _all(self, at: int) -> dict[str, float]:
        return {
            name: self.past(at) * START[name] / START["USD"]
            for name in ("USD", "EUR", "JPY", "GBP", "CHF", "CAD", "AUD")
        }

    def _kraken(self) -> Any:
        if self.modes.get("kraken") == "error body":
            return {"error": ["EAPI:Rate limit exceeded"]}
        found = {}
        for name in CURRENCIES["kraken"]:
            bid, ask, last, _ = self._sides("kraken", name)
            key = f"XBT{name}" if name in ("CHF", "AUD") else f"XXBTZ{name}"
            found[key] = {"a": [_text(ask), "1", "1.0"], "b": [_text(bid), "1", "1.0"], "c": [_text(last), "0.1"]}
        return {"error": [], "result": found}

    def ticker(self, source: str, currency: str) -> Any:
        """What a source answers over HTTP."""
        if source == "kraken":
            return self._kraken()
        if self.modes.get(source) == "error body":
            return (
                ["error", 11010, "ratelimit: error"]
                if source == "bitfinex"
                else {"message": "rate limit", "error": True}
            )
        bid, ask, last, at = self._sides(source, currency)
        if source == "coinbase":
            return {"ask": _text(ask), "bid": _text(bid), "price": _text(last), "trade_id": 1, "time": _iso(at)}
        if source == "bitfinex":
            return [bid, 1.0, ask, 1.0, 10.0, 0.01, last, 1_000.0, last, last]
        said = {"bid": _text(bid), "ask": _text(ask), "last": _text(last)}
        own = {"timestamp": str(int(at))} if source == "bitstamp" else {"volume": {"timestamp": int(at * 1000)}}
        return said | own

    def _sides(self, source: str, currency: str) -> tuple[Any, Any, Any, float]:
        """Bid, ask, last and the moment."""
        mode = self.modes.get(source, "")
        price = self.prices[currency] * self.factors.get(source, 1.0)
        at = time.time() - (600 if mode == "late" else -600 if mode == "early" else 0)
        if mode == "frozen":
            price, at = START[currency] * 0.97, 1_790_000_000.0
        if mode in ("null", "NaN", "words"):
            odd = {"null": None, "NaN": "NaN", "words": "cheap"}[mode]
            return odd, odd, odd, at
        if mode == "negative":
            price = -price
        if mode == "absurd":
            price = 1e20
        if mode == "swapped":
            return price * 1.01, price * 0.99, price, at
        return price - 0.5, price + 0.5, price, at

    # --- conversations -------------------------------------------------------------------------------

    async def _talk(self, request: web.Request, source: str) -> web.StreamResponse:
        mode = self.modes.get(source, "")
        await _refuse("" if mode == "silent" else mode)
        if not self.talks:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets[source].append(socket)
        telling = asyncio.ensure_future(self._tell(socket, source))
        try:
            async for message in socket:
                if message.type != WSMsgType.TEXT:
                    break
        finally:
            telling.cancel()
            self.sockets[source].remove(socket)
        return socket

    async def _tell(self, socket: web.WebSocketResponse, source: str) -> None:
        with contextlib.suppress(ConnectionError):
            for greeting in _greetings(source):
                await socket.send_str(json.dumps(greeting))
            while True:
                mode = self.modes.get(source, "")
                if mode == "silent":
                    await asyncio.sleep(HANGS)
                for currency in CURRENCIES[source]:
                    await self.say(source, currency, socket)
                if mode == "flood":
                    for _ in range(1_000):
                        await self.say(source, "USD", socket)
                await asyncio.sleep(0.1 if mode == "flood" else self.pace)

    async def say(self, source: str, currency: str, socket: web.WebSocketResponse | None = None) -> None:
        """One message, to all who listen where no socket is named."""
        mode = self.modes.get(source, "")
        text = mangled(mode, json.dumps(self.message(source, currency)))
        for one in [socket] if socket is not None else list(self.sockets[source]):
            self.said[source] += 1
            await one.send_str(text)

    def message(self, source: str, currency: str) -> Any:
        """What a source tells by itself."""
        bid, ask, last, at = self._sides(source, currency)
        if self.modes.get(source) == "error body":
            return {
                "coinbase": {"type": "error", "message": "rate limit"},
                "kraken": {"error": "rate limit", "method": "subscribe", "success": False},
                "bitstamp": {"event": "bts:error", "channel": "", "data": {"code": None, "message": "rate limit"}},
                "bitfinex": {"event": "error", "msg": "rate limit", "code": 10305},
            }[source]
        if source == "coinbase":
            return {"type": "ticker", "sequence": 1, "product_id": f"BTC-{currency}", "price": _text(last),
                    "best_bid": _text(bid), "best_ask": _text(ask), "side": "buy", "time": _iso(at)}  # fmt: skip
        if source == "kraken":
            told = {"symbol": f"BTC/{currency}", "bid": bid, "ask": ask, "last": last, "timestamp": _iso(at)}
            return {"channel": "ticker", "type": "update", "data": [told]}
        if source == "bitstamp":
            price = "1" if mode_breaks(self.modes.get(source, "")) else _text(last)
            data = {"id": 1, "timestamp": str(int(at)), "price_str": last if price == "1" else price,
                    "microtimestamp": str(int(at * 1e6)), "type": 0}  # fmt: skip
            return {"event": "trade", "channel": f"live_trades_btc{currency.lower()}", "data": data}
        return [CURRENCIES["bitfinex"].index(currency) + 1, [bid, 1.0, ask, 1.0, 1.0, 0.01, last, 1_000.0, last, last]]


async def _refuse(mode: str) -> None:
    """Answer as a source does that does not want to, or does not come to it."""
    if mode == "429":
        raise web.HTTPTooManyRequests
    if mode == "429 with a wish":
        raise web.HTTPTooManyRequests(headers={"Retry-After": "3"})
    if mode == "503":
        raise web.HTTPServiceUnavailable
    if mode == "redirect":
        raise web.HTTPFound("http://127.0.0.1:9/elsewhere")
    if mode in ("hang", "silent"):
        await asyncio.sleep(HANGS)


def mode_breaks(mode: str) -> bool:
    """Whether the price itself is no number then."""
    return mode in ("null", "NaN", "words")


def mangled(mode: str, text: str) -> str:
    """The text as a source in trouble sends it."""
    if mode == "html":
        return "<!DOCTYPE html><html><body><h1>Just a moment...</h1></body></html>"
    if mode == "truncated":
        return text[: len(text) // 2]
    return text


def _greetings(source: str) -> list[Any]:
    if source == "coinbase":
        return [{"type": "subscriptions", "channels": [{"name": "ticker", "product_ids": ["BTC-USD"]}]}]
    if source == "kraken":
        return [{"channel": "status", "type": "update", "data": [{"system": "online"}]}, {"channel": "heartbeat"}]
    if source == "bitstamp":
        return [{"event": "bts:subscription_succeeded", "channel": "live_trades_btcusd", "data": {}}]
    subscribed = [
        {
            "event": "subscribed",
            "channel": "ticker",
            "chanId": at + 1,
            "symbol": f"tBTC{currency}",
            "pair": f"BTC{currency}",
        }
        for at, currency in enumerate(CURRENCIES["bitfinex"])
    ]
    return [{"event": "info", "version": 2, "platform": {"status": 1}}, *subscribed, [1, "hb"]]


def _candles(source: str, path: str, query: Any, past: Callable[[int], float]) -> Any:
    """The past as a source tells it: open, high, low and close are the curve, and 1% around it."""

    def row(at: int) -> tuple[float, float, float, float]:
        price = past(at)
        return price, price * 1.01, price * 0.99, price * 1.002

    now = int(time.time())
    if source == "coinbase":
        step = int(query["granularity"])
        first, last = (int(datetime.fromisoformat(query[name]).timestamp()) for name in ("start", "end"))
        return [
            [at, row(at)[2], row(at)[1], row(at)[0], row(at)[3], 1.5]
            for at in range(last, first - 1, -step)
            if at <= now
        ]
    if source == "kraken":
        step = int(query["interval"]) * 60
        last = now // step * step
        rows = [
            [at, *map(_text, row(at)), _text(past(at)), "1.0", 5]
            for at in range(last - 719 * step, last + 1, step)
            if at > int(query["since"])
        ]
        return {"error": [], "result": {f"XXBTZ{query['pair'][3:]}": rows, "last": last}}
    if source == "bitstamp":
        step, first, limit = int(query["step"]), int(query["start"]), int(query["limit"])
        names = ("open", "high", "low", "close")
        ats = [at for at in range(first, first + limit * step, step) if at <= now]
        told = [{"timestamp": str(at), **dict(zip(names, map(_text, row(at)), strict=True))} for at in ats]
        return {"data": {"pair": "BTC/USD", "ohlc": told}}
    if source == "bitfinex":
        step = {"1m": 60, "1h": 3_600, "1D": 86_400}[path.split(":")[1]]
        first, last = int(query["start"]) // 1000, int(query["end"]) // 1000
        return [
            [at * 1000, row(at)[0], row(at)[3], row(at)[1], row(at)[2], 1.0]
            for at in range(-(-first // step) * step, min(last, now) + 1, step)
        ]
    step = {"1m": 60, "1hr": 3_600, "1day": 86_400}[path.rpartition("/")[2]]
    last = now // step * step
    return [[at * 1000, *row(at), 1.0] for at in range(last, last - 365 * step, -step)]


def ecb_archive(days: int = 8_000) -> bytes:
    """The rates of many days up to yesterday, none at weekends, as the ECB packs them."""
    names = sorted(RATES)
    lines = ["Date," + ",".join(names) + ",XYZ,"]
    today = int(time.time()) // 86_400
    for day in range(today - 1, today - days, -1):
        moment = datetime.fromtimestamp(day * 86_400, UTC)
        if moment.weekday() < 5:
            lines.append(f"{moment.date().isoformat()}," + ",".join(str(RATES[name]) for name in names) + ",N/A,")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("eurofxref-hist.csv", "\n".join(lines) + "\n")
    return packed.getvalue()


def _text(value: Any) -> Any:
    return f"{value:.2f}" if isinstance(value, float) else value


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
