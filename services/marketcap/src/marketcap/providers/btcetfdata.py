"""btcetfdata.com: what the spot funds of the United States hold, as their issuers publish it. No key."""

from __future__ import annotations

from typing import Final

import msgspec

from marketcap.answers import Answer, Name, Numeral, Unfit, day, decoder, gathered, read, within
from marketcap.treasuries import MOST_HELD, Claim, satoshi

NAME: Final = "btcetfdata"
TITLE: Final = "BitcoinETFData.com"
HOST: Final = "www.btcetfdata.com"
LINK: Final = "https://btcetfdata.com/"
LIMITS: Final = ((60, 3_600),)
EXPECTED: Final = "holdings of funds by ticker"


class _Fund(msgspec.Struct):
    ticker: Name
    dt: str
    holdings: Numeral
    error: bool | str | None = None


class _Body(msgspec.Struct):
    data: dict[str, msgspec.Raw]


_body = decoder(_Body)
_fund = decoder(_Fund)


def path() -> str:
    """All funds."""
    return "/v1/current.json"


def decode(body: bytes, now: int) -> Answer[Claim]:
    """What each fund holds. A fund that the source marks as wrong is left out and counted. Raises OutsideMalformed."""

    def make(raw: msgspec.Raw) -> Claim:
        fund = _fund.decode(raw)
        if fund.error:
            raise Unfit(f"{fund.ticker:.20} is marked as an error by the source")
        ticker = fund.ticker.strip().upper()
        return Claim(
            name=ticker,
            kind="fund",
            symbol=ticker,
            country="US",
            satoshi=satoshi(within(fund.holdings, "holdings", most=MOST_HELD)),
            cost=None,
            source=TITLE,
            link=LINK,
            as_of=day(fund.dt[: len("YYYY-MM-DD")], "dt", now),
        )

    answer = read(TITLE, EXPECTED, _body, body)
    return gathered(TITLE, EXPECTED, body, answer.data.items(), make, lambda one: one.key)
