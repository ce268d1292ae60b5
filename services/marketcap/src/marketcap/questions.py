"""Who is asked what, and how often: each question puts its answer on the board, or fails alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Final, TypeVar

from marketcap import companies, nodes
from marketcap.answers import Answer
from marketcap.assets import Money, Quote
from marketcap.board import Board, Coins, Holders, Nodes
from marketcap.fx import Rates
from marketcap.money import Series
from marketcap.providers import (
    bitnodes,
    boc,
    boe,
    boj,
    btcetfdata,
    coingecko,
    coinpaprika,
    ecb_m2,
    fred,
    goldapi,
    rba,
    sec,
    snb,
    yahoo,
)
from marketcap.stocks import STOCKS
from marketcap.treasuries import Claim
from shared.assets import MOST
from shared.errors import OutsideError, OutsideMalformed, OutsideNotNow, OutsideRefused
from shared.outside import ecb
from shared.outside.client import Outside
from shared.outside.provider import Limit, Provider
from shared.outside.tally import Tally
from shared.series import DAY, HOUR, MINUTE
from shared.service import Service
from shared.tasks import pause

T = TypeVar("T")

SHARES_SECONDS: Final = 15 * MINUTE
"""Within which the price of every share is asked once."""

FIRST_SECONDS: Final = 2.1
"""Between two shares at least: while none is known, as fast as Yahoo's budget allows."""

AGAIN_SECONDS: Final = 60.0
"""After a question that failed; its source's own pause may be longer."""

UNKNOWN_SECONDS: Final = 30 * MINUTE
"""A share of which Yahoo does not say what was asked for is left alone for so long; the others go on."""

PATIENCE_SECONDS: Final = 5.0
"""A frame waits for the SEC's own pause up to this time."""


MONEY: Final = (fred, ecb_m2, boj, boe, boc, rba, snb)
"""Who counts the money of a currency area, one currency each."""


def _provider(module: ModuleType) -> Provider:
    limits = tuple(Limit(requests, seconds) for requests, seconds in module.LIMITS)
    return Provider(module.NAME, module.TITLE, module.HOST, module.LINK, limits)


ASKED: Final = {
    module.NAME: _provider(module)
    for module in (coinpaprika, coingecko, yahoo, sec, goldapi, *MONEY, btcetfdata, bitnodes)
} | {ecb.PROVIDER.name: ecb.PROVIDER}
"""Everybody who is asked, by name."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that is asked every so many seconds."""

    name: str
    every: float
    ask: Callable[[], Awaitable[None]]
    again: float = AGAIN_SECONDS


class Questions:
    """All of them. What a source says that cannot be is counted in its tally."""

    def __init__(self, service: Service, outside: Outside, board: Board) -> None:
        self._service = service
        self._outside = outside
        self._board = board
        self.tallies = {name: Tally() for name in ASKED}
        contact, key = service.settings.outside_contact, service.settings.coingecko_api_key
        self._sec = {"User-Agent": f"{outside.agent} {contact}"} if contact else None
        self._key = {coingecko.KEY_HEADER: key} if key else None
        self._unknown: dict[str, int] = {}  # Unix seconds at which a share was asked for in vain

    @property
    def every(self) -> tuple[Question, ...]:
        """What is asked, side by side."""
        return (
            Question("coins", 5 * MINUTE, self._coins),
            Question("metals", 5 * MINUTE, self._metals),
            Question("filings", DAY, self._filings, again=10 * MINUTE),
            *(
                Question(f"money in {one.MONEY.currency}", DAY, partial(self._money, one), again=10 * MINUTE)
                for one in MONEY
            ),
            Question("rates", 6 * HOUR, self._rates, again=10 * MINUTE),
            Question("companies' bitcoin", HOUR, partial(self._treasuries, "companies"), again=5 * MINUTE),
            Question("countries' bitcoin", HOUR, partial(self._treasuries, "governments"), again=5 * MINUTE),
            Question("funds' bitcoin", HOUR, self._funds, again=5 * MINUTE),
            Question("nodes", HOUR, self._nodes, again=5 * MINUTE),
            Question("shares", FIRST_SECONDS, self._share, again=FIRST_SECONDS),
        )

    @property
    def _now(self) -> int:
        return self._service.clock.now_ms // 1000

    async def _get(
        self, name: str, path: str, decode: Callable[[bytes], T], headers: dict[str, str] | None = None
    ) -> T:
        provider = ASKED[name]
        return await self._outside.get(provider, path, decode, headers=headers)

    def _rows(self, name: str, answer: Answer[T]) -> tuple[T, ...]:
        """The rows of an answer; what was left out of it is counted."""
        for why in answer.refused:
            self.tallies[name].refuse(why)
        return answer.rows

    # --- assets --------------------------------------------------------------------------------------

    async def _coins(self) -> None:
        """With a key CoinGecko is asked, and the other where it fails; without one the other way round."""
        first, second = (self._paprika, self._gecko) if self._key is None else (self._gecko, self._paprika)
        try:
            await first()
        except OutsideError as error:
            try:
                await second()
            except OutsideError:
                raise error from None

    async def _paprika(self) -> None:
        answer = await self._get("coinpaprika", coinpaprika.path(), lambda body: coinpaprika.decode(body, self._now))
        self._put_coins(coinpaprika, answer)

    async def _gecko(self) -> None:
        path = coingecko.markets_path()
        answer = await self._get("coingecko", path, lambda body: coingecko.decode_markets(body, self._now), self._key)
        self._put_coins(coingecko, answer)

    def _put_coins(self, module: ModuleType, answer: Answer[Any]) -> None:
        rows = sorted(self._rows(module.NAME, answer), key=lambda one: -one.value)[:MOST]
        self._board.put("coins", Coins(rows=tuple(rows), source=module.TITLE, link=module.LINK, fetched=self._now))

    async def _metals(self) -> None:
        """One after the other; the first that fails ends it, with what was heard before."""
        for symbol in goldapi.SYMBOLS:
            answer = await self._get(
                "goldapi", goldapi.path(symbol), partial(goldapi.decode, symbol=symbol, now=self._now)
            )
            [spot] = self._rows("goldapi", answer)
            self._board.parts.metals[symbol] = Quote(
                price=spot.price, currency="USD", change=None, period=None, source=goldapi.TITLE, link=goldapi.LINK,
                as_of=spot.as_of, fetched=self._now,
            )  # fmt: skip
            self._board.touched("metals")

    async def _share(self) -> None:
        """The price of one share, the one that was asked longest ago; nothing where all are young."""
        symbol, due = self._next_share()
        if due > self._now:
            return
        try:
            answer = await self._get("yahoo", yahoo.path(symbol), partial(yahoo.decode, symbol=symbol, now=self._now))
        except (OutsideRefused, OutsideMalformed):
            self._unknown[symbol] = self._now
            raise
        [price] = self._rows("yahoo", answer)
        self._unknown.pop(symbol, None)
        self._board.parts.shares[symbol] = Quote(
            price=price.price, currency=price.currency, change=price.change,
            period=None if price.change is None else "close", source=yahoo.TITLE, link=price.link, as_of=price.as_of,
            fetched=self._now,
        )  # fmt: skip
        self._board.touched("shares")

    def _next_share(self) -> tuple[str, int]:
        """Which share is asked next, and from which Unix second on."""
        known, unknown = self._board.parts.shares, self._unknown
        symbols = dict.fromkeys(
            (
                *(stock.price_symbol for stock in STOCKS if stock.price_source == "yahoo"),
                *companies.symbols(self._board.companies),
            )
        )

        def due(symbol: str) -> int:
            young = symbol in known and known[symbol].fetched >= self._board.anew
            asked = known[symbol].fetched + SHARES_SECONDS if young else 0
            return max(asked, unknown[symbol] + UNKNOWN_SECONDS if symbol in unknown else 0)

        return min(((symbol, due(symbol)) for symbol in symbols), key=lambda one: one[1])

    async def _filings(self) -> None:
        """Shares outstanding, frame by frame; that of a quarter of which nobody has filed yet is refused with 404."""
        answers, failed = [], None
        for path in sec.paths(self._now):
            try:
                answers.append(await self._frame(path))
            except OutsideRefused as error:
                failed = error
        if failed is not None and not answers:
            raise failed
        for answer in answers:
            self._rows("sec", answer)
        self._board.put("filed", self._board.parts.filed | sec.newest(answers))

    async def _frame(self, path: str) -> Answer[sec.Shares]:
        wanted = {company.cik for company in self._board.companies}

        def decode(body: bytes) -> Answer[sec.Shares]:
            """Without the thousands of filers that nobody looks at: frames are kept until all of them are there."""
            answer = sec.decode(body, self._now)
            return Answer(tuple(row for row in answer.rows if row.cik in wanted), answer.refused)

        try:
            return await self._get("sec", path, decode, self._sec)
        except OutsideNotNow as error:
            if error.wait > PATIENCE_SECONDS:
                raise
            await pause(self._service.stopping, error.wait)
        return await self._get("sec", path, decode, self._sec)

    async def _money(self, module: ModuleType) -> None:
        series: Series = module.MONEY
        answer = await self._get(module.NAME, module.path(self._now), lambda body: series.decode(body, self._now))
        self._rows(module.NAME, answer)
        newest, change = series.newest(answer)
        self._board.parts.money[newest.currency] = Money(
            currency=newest.currency, amount=newest.amount, change=change, source=module.TITLE, link=module.LINK,
            as_of=newest.as_of, fetched=self._now, note=series.note,
        )  # fmt: skip
        self._board.touched("money")

    async def _rates(self) -> None:
        provider = ecb.PROVIDER
        rates = await self._get(provider.name, ecb.PATH, ecb.decode)
        as_of = rates.day * DAY
        self._board.put(
            "rates", Rates(units=dict(rates.newest), source=provider.title, link=provider.link, as_of=as_of)
        )

    # --- holders and nodes ---------------------------------------------------------------------------

    async def _treasuries(self, kind: coingecko.Kind) -> None:
        answer = await self._get(
            "coingecko", coingecko.treasuries_path(kind),
            lambda body: coingecko.decode_treasuries(body, kind, self._now), self._key,
        )  # fmt: skip
        self._put_holders(kind, coingecko.TITLE, self._rows("coingecko", answer))

    async def _funds(self) -> None:
        answer = await self._get("btcetfdata", btcetfdata.path(), lambda body: btcetfdata.decode(body, self._now))
        self._put_holders("funds", btcetfdata.TITLE, self._rows("btcetfdata", answer))

    def _put_holders(self, name: str, source: str, claims: tuple[Claim, ...]) -> None:
        self._board.parts.holders[name] = Holders(claims=claims, source=source)
        self._board.touched("holders")

    async def _nodes(self) -> None:
        found = await self._get("bitnodes", bitnodes.path(), lambda body: bitnodes.decode(body, self._now))
        counts = nodes.counted(self._rows("bitnodes", found.nodes))
        self._board.put(
            "nodes",
            Nodes(counts=counts, as_of=found.as_of, height=found.height, source=bitnodes.TITLE, link=bitnodes.LINK),
        )
