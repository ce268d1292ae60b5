"""Figures of assets and holders that several tests of marketcap work out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from marketcap.assets import Asset, Class, Quote
from marketcap.fx import Rates
from marketcap.treasuries import Claim
from shared.networks import COIN
from support.market_bodies import NOW

DAY: Final = 86_400
RATES: Final = Rates(
    units={"USD": Decimal("1.25"), "JPY": Decimal(200), "GBP": Decimal("0.8"), "HKD": Decimal(10)},
    source="ECB",
    link="https://www.ecb.europa.eu/",
    as_of=NOW - DAY,
)


def asset(name: str, value: int | str, kind: Class = "company", **over: Any) -> Asset:
    """One asset of which there is one."""
    return msgspec.structs.replace(
        Asset(
            id=f"{kind}:{name}",
            kind=kind,
            name=name,
            symbol=name[:3].upper(),
            price=Decimal(value),
            quantity=Decimal(1),
            unit="share",
            value=Decimal(value),
            sources=(),
            seen=NOW,
        ),
        **over,
    )


def quote(price: str, **over: Any) -> Quote:
    """A price in USD, of now."""
    return msgspec.structs.replace(
        Quote(
            price=Decimal(price), currency="USD", change=Decimal(1), period="close", source="S", link="https://s/",
            as_of=NOW, fetched=NOW,
        ),
        **over,
    )  # fmt: skip


def claim(name: str, bitcoin: float, **over: Any) -> Claim:
    """What CoinGecko says of a company, without a date."""
    return msgspec.structs.replace(
        Claim(
            name=name, kind="company", symbol=None, country=None, satoshi=round(bitcoin * COIN), cost=None,
            source="CoinGecko", link="https://c/", as_of=NOW, dated=False,
        ),
        **over,
    )  # fmt: skip
