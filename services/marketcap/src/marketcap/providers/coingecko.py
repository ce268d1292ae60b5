"""CoinGecko: coins, and the bitcoin of companies and governments. A demo key: 30 requests a minute, 10,000 a month."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from marketcap.answers import (
    MONTH,
    Answer,
    Moment,
    Name,
    Number,
    country,
    decoder,
    gathered,
    malformed,
    numbered,
    percent,
    read,
    seconds,
    within,
)
from marketcap.coins import Coin, coin
from marketcap.treasuries import MOST_COST, MOST_HELD, Claim, satoshi

NAME: Final = "coingecko"
TITLE: Final = "CoinGecko"
HOST: Final = "api.coingecko.com"
LINK: Final = "https://www.coingecko.com/"
LINK_TREASURIES: Final = "https://www.coingecko.com/en/treasuries/bitcoin"
LIMITS: Final = ((30, 60), (10_000, MONTH))
KEY_HEADER: Final = "x-cg-demo-api-key"
PAGE: Final = 250
"""Rows of a page at most, of both lists."""

EXPECTED_COINS: Final = "a list of coins in USD"
EXPECTED_TREASURIES: Final = "a list of holders of bitcoin"

Kind = Literal["companies", "governments"]


class _Market(msgspec.Struct):
    id: Name
    symbol: Name
    name: Name
    current_price: Number
    market_cap: Number
    last_updated: Moment
    circulating_supply: Number | None = None
    price_change_percentage_24h: Number | None = None


class _Treasuries(msgspec.Struct):
    companies: list[msgspec.Raw] | None = None
    governments: list[msgspec.Raw] | None = None


class _Treasury(msgspec.Struct):
    name: Name
    total_holdings: Number
    symbol: str | None = None
    country: str | None = None
    total_entry_value_usd: Number | None = None


_markets = decoder(list[msgspec.Raw])
_market = decoder(_Market)
_treasuries = decoder(_Treasuries)
_treasury = decoder(_Treasury)


def markets_path(page: int = 1) -> str:
    """One page of coins, largest first; pages count from 1."""
    return f"/api/v3/coins/markets?vs_currency=usd&order=market_cap_desc&per_page={PAGE}&page={page}"


def treasuries_path(kind: Kind, page: int = 1) -> str:
    """One page of holders, largest first. The kind is a part of the path: as a parameter it would be ignored."""
    return f"/api/v3/{kind}/public_treasury/bitcoin?per_page={PAGE}&page={page}"


def decode_markets(body: bytes, now: int) -> Answer[Coin]:
    """The coins that are listed. Raises OutsideMalformed."""

    def make(raw: msgspec.Raw) -> Coin | None:
        market = _market.decode(raw)
        return coin(
            id=market.id, symbol=market.symbol, name=market.name, price=market.current_price,
            supply=market.circulating_supply, value=market.market_cap,
            change=percent(market.price_change_percentage_24h, "price_change_percentage_24h"),
            as_of=seconds(market.last_updated, "last_updated", now),
        )  # fmt: skip

    rows = read(TITLE, EXPECTED_COINS, _markets, body)
    return gathered(TITLE, EXPECTED_COINS, body, numbered(rows), make, lambda one: one.id)


def decode_treasuries(body: bytes, kind: Kind, now: int) -> Answer[Claim]:
    """Who holds how much, as of now: the source gives no dates. Raises OutsideMalformed.

    A cost of 0 is one that nobody knows.
    """
    expected = f"{EXPECTED_TREASURIES} under {kind!r}"
    answer = read(TITLE, expected, _treasuries, body)
    # A government's own figures were seen under "companies" as well: the question alone says what they are.
    found = answer.governments if kind == "governments" and answer.governments is not None else answer.companies
    if found is None:
        raise malformed(TITLE, expected, "neither", body)

    def make(raw: msgspec.Raw) -> Claim:
        holder = _treasury.decode(raw)
        cost = holder.total_entry_value_usd
        return Claim(
            name=holder.name.strip(),
            kind="company" if kind == "companies" else "country",
            symbol=(holder.symbol or "").strip().upper().removesuffix(".US") or None,
            country=country(holder.country),
            satoshi=satoshi(within(holder.total_holdings, "total_holdings", most=MOST_HELD)),
            cost=within(cost, "total_entry_value_usd", most=MOST_COST) if cost else None,
            source=TITLE,
            link=LINK_TREASURIES,
            as_of=now,
            dated=False,
        )

    return gathered(TITLE, expected, body, numbered(found), make, lambda one: one.key)
