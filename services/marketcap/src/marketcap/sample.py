"""Figures that are made up, for the demonstration where no source answers: rounded, and marked in every view.

They stand still: what they compare with is a price of bitcoin that is made up as well.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from marketcap import published
from marketcap.assets import Asset, Source
from marketcap.board import Board, Nodes, Sample
from marketcap.nodes import Node, counted, network_of
from marketcap.treasuries import Claim, satoshi
from shared.assets import Class, HolderKind, Period
from shared.service import Service
from shared.tasks import pause

AFTER_SECONDS: Final = 15.0
"""Without any source's answer for so long after the start, the sample begins."""

LOOK_SECONDS: Final = 2.0
NAME: Final = "Sample"
NOTE: Final = "Made up for the demonstration"

_COINS: Final = (
    ("Ethereum", "ETH", 3_000, 120.7, None), ("Tether", "USDT", 1, 185_000, "USD"), ("XRP", "XRP", 2.1, 60_500, None),
    ("BNB", "BNB", 880, 138, None), ("Solana", "SOL", 135, 560, None), ("USDC", "USDC", 1, 76_000, "USD"),
    ("TRON", "TRX", 0.28, 94_700, None), ("Dogecoin", "DOGE", 0.14, 152_000, None),
    ("Cardano", "ADA", 0.42, 36_000, None), ("Bitcoin Cash", "BCH", 540, 20, None),
    ("Chainlink", "LINK", 13, 697, None), ("Monero", "XMR", 390, 18.4, None),
    ("Litecoin", "LTC", 84, 76.5, None), ("Zcash", "ZEC", 430, 16.4, None), ("Tether Gold", "XAUT", 4_200, 0.5, "XAU"),
)  # fmt: skip
"""Name, symbol, USD a coin, millions of coins, what it stands for."""

_COMPANIES: Final = (
    ("NVIDIA", "NVDA", "US", 180, 24_300), ("Apple", "AAPL", "US", 275, 14_700),
    ("Alphabet", "GOOGL", "US", 310, 12_100), ("Microsoft", "MSFT", "US", 480, 7_430),
    ("Amazon", "AMZN", "US", 228, 10_700), ("TSMC", "TSM", "TW", 58, 25_900),
    ("Broadcom", "AVGO", "US", 345, 4_720), ("Saudi Aramco", "2222.SR", "SA", 6.5, 242_000),
    ("Meta", "META", "US", 650, 2_520), ("Tesla", "TSLA", "US", 440, 3_320),
    ("Berkshire Hathaway", "BRK-B", "US", 500, 2_160), ("Eli Lilly", "LLY", "US", 1_030, 945),
    ("Walmart", "WMT", "US", 113, 7_970), ("JPMorgan Chase", "JPM", "US", 310, 2_720),
    ("Samsung Electronics", "005930.KS", "KR", 78, 6_700), ("Tencent", "0700.HK", "CN", 78, 9_100),
    ("Visa", "V", "US", 335, 1_930), ("ASML", "ASML", "NL", 1_080, 388), ("SAP", "SAP", "DE", 243, 1_170),
    ("Nestlé", "NESN.SW", "CH", 99, 2_570), ("Strategy", "MSTR", "US", 180, 287),
)  # fmt: skip
"""Name, symbol, country, USD a share, millions of shares."""

_COMMODITIES: Final = (
    ("Gold", "XAU", "troy ounce", 4_200, 7_070), ("Silver", "XAG", "troy ounce", 58, 56_300),
    ("Platinum", "XPT", "troy ounce", 1_650, 322), ("Palladium", "XPD", "troy ounce", 1_450, 322),
    ("Copper", "HG", "pound", 5.3, 1_228_000),
)  # fmt: skip
"""Name, symbol, unit, USD a unit, millions of units."""

_CURRENCIES: Final = (("US dollar", "USD", "US", 1.0, 22_200_000), ("Euro", "EUR", "EU", 1.16, 15_900_000))
"""Name, symbol, country, USD a unit, millions of units."""

_HOLDERS: Final[tuple[tuple[str, HolderKind, str | None, str | None, int], ...]] = (
    ("Strategy", "company", "MSTR", "US", 650_000), ("MARA", "company", "MARA", "US", 53_000),
    ("Twenty One", "company", "XXI", "US", 43_500), ("Metaplanet", "company", "3350.T", "JP", 30_800),
    ("Riot Platforms", "company", "RIOT", "US", 19_300), ("Coinbase", "company", "COIN", "US", 14_500),
    ("Tesla", "company", "TSLA", "US", 11_500), ("Block", "company", "XYZ", "US", 8_800),
    ("United States", "country", None, "US", 325_000), ("China", "country", None, "CN", 190_000),
    ("United Kingdom", "country", None, "GB", 61_000), ("Ukraine", "country", None, "UA", 46_000),
    ("El Salvador", "country", None, "SV", 7_500), ("Bhutan", "country", None, "BT", 6_000),
    ("IBIT", "fund", "IBIT", "US", 775_000), ("FBTC", "fund", "FBTC", "US", 200_000),
    ("GBTC", "fund", "GBTC", "US", 167_000), ("ARKB", "fund", "ARKB", "US", 41_000),
    ("BITB", "fund", "BITB", "US", 41_000),
)  # fmt: skip
"""Name, kind, symbol, country, bitcoin."""

_DEMONSTRATED: Final[tuple[str, HolderKind, str | None, str | None, int]] = (
    published.DEMONSTRATED, "company", None, None, 25,
)  # fmt: skip
"""Of the chain that the demonstration generates: it has some of that."""

_NODES: Final = (
    ("US", "ipv4", "/Satoshi:29.0.0/", 19), ("DE", "ipv4", "/Satoshi:28.1.0/", 14),
    ("FR", "ipv4", "/Satoshi:29.1.0/", 6), ("CA", "ipv4", "/Satoshi:29.2.0/Knots:20251110/", 5),
    ("NL", "ipv6", "/Satoshi:27.0.0/", 4),
    ("FI", "ipv6", "/Satoshi:29.0.0/", 3), (None, "onion", "/Satoshi:29.0.0/", 52),
    (None, "onion", "/Satoshi:29.2.0/Knots:20251110/", 13), (None, "i2p", "/Satoshi:29.0.0/", 4),
    (None, "onion", "/btcd:0.24.2/", 1),
)  # fmt: skip
"""Country, network, user agent, parts."""

_ADDRESSES: Final = {"ipv4": "192.0.2.1:8333", "ipv6": "[2001:db8::1]:8333", "onion": "x.onion:8333", "i2p": "x.i2p:0"}
_PARTS: Final = 200
"""Nodes for each part."""


def possible(service: Service, demonstration: bool) -> bool:
    """Whether figures may be made up here: in the demonstration, which runs on regtest alone."""
    return demonstration and service.settings.network == "regtest"


async def run(service: Service, board: Board) -> None:
    """Wait whether anybody answers; where nobody does, show what is made up until somebody does."""
    stopping = service.stopping
    await pause(stopping, AFTER_SECONDS)
    while not stopping.is_set() and not board.heard:
        now = service.clock.now_ms // 1000
        if board.sample is None:
            service.log.warning("sample_assets", why="no source answers: figures of assets are made up from now on")
            board.pretend(made(now))
        elif now - board.sample.nodes.as_of >= 3_600:
            board.pretend(made(now))  # figures that are not renewed would be dropped after a week
        await pause(stopping, LOOK_SECONDS)
    if board.sample is not None and board.heard:
        service.log.warning("sample_assets_end", why="a source answers")
        board.pretend(None)


def made(now: int) -> Sample:
    """All of it, as of this Unix second; with the demonstration's own holder where that has published addresses."""
    demonstrated = (_DEMONSTRATED,) if published.demonstrated() else ()
    coins = [_asset("coin", name, symbol, None, symbol, price, millions, now, claim_on=claim, period="24 h")
             for name, symbol, price, millions, claim in _COINS]  # fmt: skip
    companies = [_asset("company", name, symbol, country, "share", price, millions, now, period="close")
                 for name, symbol, country, price, millions in _COMPANIES]  # fmt: skip
    commodities = [_asset("commodity", name, symbol, None, unit, price, millions, now)
                   for name, symbol, unit, price, millions in _COMMODITIES]  # fmt: skip
    currencies = [_asset("currency", name, symbol, country, symbol, price, millions, now, period="year")
                  for name, symbol, country, price, millions in _CURRENCIES]  # fmt: skip
    claims = tuple(
        Claim(
            name=name, kind=kind, symbol=symbol, country=country, satoshi=satoshi(Decimal(amount)), cost=None,
            source=NAME, link="", as_of=now, dated=False,
        )
        for name, kind, symbol, country, amount in (*_HOLDERS, *demonstrated)
    )  # fmt: skip
    found = [
        Node(address=_ADDRESSES[network], network=network_of(_ADDRESSES[network]) or "ipv4", user_agent=agent,
             country=country)
        for country, network, agent, parts in _NODES for _ in range(parts * _PARTS)
    ]  # fmt: skip
    return Sample(
        assets={
            "coin": tuple(coins), "company": tuple(companies), "commodity": tuple(commodities),
            "currency": tuple(currencies),
        },
        claims=claims,
        nodes=Nodes(counts=counted(found), as_of=now, height=None, source=NAME, link=""),
    )  # fmt: skip


def _asset(
    kind: Class, name: str, symbol: str, country: str | None, unit: str, price: float, millions: float, now: int, *,
    claim_on: str | None = None, period: Period | None = None,
) -> Asset:  # fmt: skip
    cost, quantity = Decimal(str(price)), Decimal(str(millions)) * 10**6
    change = None if period is None else Decimal(sum(symbol.encode()) % 81 - 40) / 10
    return Asset(
        id=f"{kind}:{symbol}", kind=kind, name=name, symbol=symbol, country=country, price=cost, quantity=quantity,
        unit=unit, value=cost * quantity, change=change, period=period, claim_on=claim_on,
        sources=(
            Source(of="price", name=NAME, link="", as_of=now, estimate=True, note=NOTE),
            Source(of="quantity", name=NAME, link="", as_of=now, estimate=True, note=NOTE),
        ),
        seen=now,
    )  # fmt: skip
