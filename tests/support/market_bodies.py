"""Answers of sources as they come, small: each call gives new ones, to be spoilt."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from marketcap.providers import bitnodes, btcetfdata, coingecko, coinpaprika, goldapi, sec, yahoo
from marketcap.questions import MONEY

NOW: Final = 1_779_108_600
"""2026-05-18 12:50 UTC, a minute after the coins below."""

Decode = Callable[[bytes], object]

DECODERS: Final[dict[str, Decode]] = {
    "coinpaprika": lambda body: coinpaprika.decode(body, NOW),
    "coingecko_markets": lambda body: coingecko.decode_markets(body, NOW),
    "coingecko_companies": lambda body: coingecko.decode_treasuries(body, "companies", NOW),
    "coingecko_governments": lambda body: coingecko.decode_treasuries(body, "governments", NOW),
    "sec": lambda body: sec.decode(body, NOW),
    "yahoo": lambda body: yahoo.decode(body, "IBM", NOW),
    "goldapi": lambda body: goldapi.decode(body, "XAU", NOW),
    "btcetfdata": lambda body: btcetfdata.decode(body, NOW),
    "bitnodes": lambda body: bitnodes.decode(body, NOW),
    **{one.NAME: partial(one.MONEY.decode, now=NOW) for one in MONEY},
}


def paprika(**over: Any) -> dict[str, Any]:
    """One coin at CoinPaprika; over its quote where the name is one of the quote's."""
    quote = {
        "price": 2_100.5,
        "volume_24h": 11_000_000_000.25,
        "market_cap": 252_060_000_000,
        "percent_change_24h": -1.25,
        "ath_price": None,
    }
    coin = {
        "id": "eth-ethereum",
        "name": "Ethereum",
        "symbol": "ETH",
        "rank": 2,
        "total_supply": 120_000_000,
        "max_supply": 0,
        "beta_value": 1.1,
        "first_data_at": "2015-08-07T00:00:00Z",
        "last_updated": "2026-05-18T12:49:21Z",
        "quotes": {"USD": quote},
    }
    for name, value in over.items():
        (quote if name in quote else coin)[name] = value
    return coin


def gecko(**over: Any) -> dict[str, Any]:
    """One coin at CoinGecko, as of a recorded answer."""
    return {
        "id": "ethereum",
        "symbol": "eth",
        "name": "Ethereum",
        "image": "https://coin-images.coingecko.com/coins/images/279/large/ethereum.png",
        "current_price": 2100.5,
        "market_cap": 252_060_000_000,
        "market_cap_rank": 2,
        "fully_diluted_valuation": 252_060_000_000,
        "price_change_24h": -26.6,
        "price_change_percentage_24h": -1.25,
        "circulating_supply": 120_000_000.0,
        "total_supply": 120_000_000.0,
        "max_supply": None,
        "roi": None,
        "last_updated": "2026-05-18T12:49:21.599Z",
        "sparkline_in_7d": {"price": [2118.2, 2101.1]},
    } | over


BITCOIN_AT_GECKO: Final = {
    "id": "bitcoin",
    "symbol": "btc",
    "name": "Bitcoin",
    "current_price": 77671,
    "market_cap": 1555886872303,
    "circulating_supply": 20030493.0,
    "max_supply": 21000000.0,
    "roi": None,
    "last_updated": "2026-05-18T12:49:21.599Z",
    "price_change_percentage_24h": -0.95302,
}


def treasury(**over: Any) -> dict[str, Any]:
    """One holder at CoinGecko, as of a recorded answer."""
    return {
        "name": "Strategy",
        "symbol": "MSTR.US",
        "country": "US",
        "total_holdings": 843738.0,
        "total_entry_value_usd": 63870055699.0,
        "total_current_value_usd": 64484706340.107254,
        "percentage_of_total_supply": 4.018,
    } | over


def fact(**over: Any) -> dict[str, Any]:
    """One row of a frame."""
    return {
        "accn": "0000320193-26-000013",
        "cik": 320193,
        "entityName": "Apple Inc.",
        "loc": "US-CA",
        "end": "2026-04-17",
        "val": 14_681_140_000,
    } | over


def frame(*rows: Any, **over: Any) -> dict[str, Any]:
    """A frame of these rows."""
    return {
        "taxonomy": "dei",
        "tag": "EntityCommonStockSharesOutstanding",
        "ccp": "CY2026Q1I",
        "uom": "shares",
        "label": "Entity Common Stock, Shares Outstanding",
        "description": "Indicate number of shares or other units outstanding.",
        "pts": len(rows),
        "data": [*rows],
    } | over


def chart(**over: Any) -> dict[str, Any]:
    """Yahoo's chart of one day."""
    meta = {
        "currency": "USD",
        "symbol": "IBM",
        "exchangeName": "NYQ",
        "instrumentType": "EQUITY",
        "firstTradeDate": -252322200,
        "regularMarketTime": 1_778_875_202,
        "regularMarketPrice": 214.79,
        "chartPreviousClose": 210.0,
        "priceHint": 2,
        "dataGranularity": "1d",
        "range": "1d",
    } | over
    return {
        "chart": {
            "result": [{"meta": meta, "timestamp": [1_778_875_202], "indicators": {"quote": [{"close": [None]}]}}],
            "error": None,
        }
    }


def spot(**over: Any) -> dict[str, Any]:
    """The price of gold."""
    return {
        "currency": "USD",
        "name": "Gold",
        "price": 4500.25,
        "symbol": "XAU",
        "updatedAt": "2026-05-18T12:49:59Z",
        "updatedAtReadable": "a few seconds ago",
    } | over


def fund(**over: Any) -> dict[str, Any]:
    """One fund."""
    return {
        "ticker": "IBIT",
        "dt": "2026-05-15",
        "holdings": 773_512.4321,
        "change": -1_204.5,
        "update_ts": "2026-05-16 03:12:44",
        "error": False,
    } | over


def node(**over: Any) -> list[Any]:
    """The places of one node."""
    places = {
        "protocol": 70016,
        "user_agent": "/Satoshi:29.0.0/",
        "since": 1_779_000_000,
        "services": 3081,
        "height": 949_000,
        "hostname": "host.example",
        "city": "Falkenstein",
        "country": "DE",
        "lat": 50.47,
        "lon": 12.36,
        "tz": "Europe/Berlin",
        "asn": "AS24940",
        "org": "Hetzner Online GmbH",
    } | over
    return [*places.values()]


def snapshot(nodes: dict[str, Any], **over: Any) -> dict[str, Any]:
    """A snapshot of these nodes."""
    return {
        "timestamp": NOW - 300,
        "total_nodes": len(nodes),
        "latest_height": 949_001,
        "nodes": nodes,
    } | over


M2: Final = (
    "observation_date,M2SL\n2025-02-01,21700.0\n2025-03-01,21763.0\n2025-04-01,.\n2026-02-01,\n2026-03-01,22851.15\n"
)

_KEY: Final = "BSI.M.U2.Y.V.M20.X.1.U2.2300.Z01.E"
ECB: Final = (
    "KEY,FREQ,REF_AREA,TIME_PERIOD,OBS_VALUE,OBS_STATUS,TITLE\r\n"
    f'{_KEY},M,U2,2025-03,15600000,A,"Monetary aggregate M2, euro area"\r\n'
    f'{_KEY},M,U2,2026-03,16068000,P,"Monetary aggregate M2, euro area"\r\n'
)

SNB: Final = (
    '\ufeff"CubeId";"snbmonagg"\r\n"PublishingDate";"2026-05-11 09:00"\r\n\r\n"Date";"D0";"D1";"Value"\r\n'
    '"2025-03";"B";"GM2";"800000"\r\n"2026-02";"B";"GM2";""\r\n"2026-03";"B";"GM2";"820000"\r\n'
)

BOE: Final = "DATE,LPMAUYN\r\n31 Mar 2025,3000000\r\n28 Feb 2026,3110000\r\n31 Mar 2026,3120000\r\n"

RBA: Final = (
    "\ufeffD3 MONETARY AGGREGATES\r\n"
    'Title,M3,"M3: Seasonally adjusted"\r\n'
    'Description,"M3, $ billion","M3, seasonally adjusted"\r\n'
    "Frequency,Monthly,Monthly\r\nType,Original,Seasonally Adjusted\r\nUnits,$ billion,$ billion\r\n\r\n\r\n"
    "Source,RBA,RBA\r\nPublication date,30-Apr-2026,30-Apr-2026\r\nSeries ID,DMAM3N,DMAM3S\r\n"
    "31/03/2025,3050.1,3060.2\r\n28/02/2026,3240.4,3250.5\r\n31/03/2026,3261.0,3270.3\r\n,,\r\n"
)


def canada(*told: tuple[str, str | None]) -> dict[str, Any]:
    """The Bank of Canada's observations, by their days."""
    found = told or (("2025-03-01", "2650000"), ("2026-02-01", None), ("2026-03-01", "2756000"))
    return {
        "terms": {"url": "https://www.bankofcanada.ca/terms/"},
        "seriesDetail": {"V41552796": {"label": "M2 (gross), SA", "description": "M2", "dimension": {"key": "d"}}},
        "observations": [{"d": day, **({"V41552796": {"v": v}} if v is not None else {})} for day, v in found],
    }


def japan(*told: tuple[int, Any], **over: Any) -> dict[str, Any]:
    """The Bank of Japan's answer, by months (YYYYMM)."""
    found = told or ((202503, 12_600_000), (202602, None), (202603, 12_852_000))
    series = {
        "SERIES_CODE": "MAM1NAM2M2MO",
        "NAME_OF_TIME_SERIES": "M2/Average Amounts Outstanding/Money Stock",
        "UNIT": "100 million yen",
        "FREQUENCY": "MONTHLY",
        "CATEGORY": "Money Stock",
        "LAST_UPDATE": 20260513,
        "VALUES": {"SURVEY_DATES": [month for month, _ in found], "VALUES": [figure for _, figure in found]},
    } | over
    return {
        "STATUS": 200, "MESSAGEID": "M181000I", "MESSAGE": "Successfully completed",
        "DATE": "2026-05-18T21:50:00.000+09:00", "PARAMETER": {}, "NEXTPOSITION": None, "RESULTSET": [series],
    }  # fmt: skip


TABLES: Final = ("boe", "ecb_m2", "fred", "rba", "snb")
"""Sources whose answers are CSV."""

GOOD: Final[dict[str, Callable[[], Any]]] = {
    "coinpaprika": lambda: [paprika()],
    "coingecko_markets": lambda: [gecko()],
    "coingecko_companies": lambda: {
        "total_holdings": 843738.0,
        "total_value_usd": 64484706340.1,
        "market_cap_dominance": 4.02,
        "companies": [treasury()],
    },
    "coingecko_governments": lambda: {"total_holdings": 1, "governments": [treasury(name="Bhutan", symbol="")]},
    "sec": lambda: frame(fact()),
    "yahoo": chart,
    "goldapi": spot,
    "fred": lambda: M2,
    "ecb_m2": lambda: ECB,
    "snb": lambda: SNB,
    "boe": lambda: BOE,
    "rba": lambda: RBA,
    "boc": canada,
    "boj": japan,
    "btcetfdata": lambda: {"data": {"IBIT": fund()}, "batch_ts": "2026-05-16 03:15:00"},
    "bitnodes": lambda: snapshot({"1.2.3.4:8333": node()}),
}


def written(answer: Any) -> bytes:
    """The answer as bytes."""
    return (answer if isinstance(answer, str) else json.dumps(answer)).encode()
