"""A coin as its sources tell of it, and which coins are listed.

The rule: a coin is listed where it is money or a share of its own.
- Bitcoin is not taken from these sources: its price is that of the market's median, its supply that of the chain.
- A coin that stands for another coin (wrapped, bridged, staked, restaked) is left out: it would be counted twice.
- A coin that stands for money or metal outside (stablecoins, tokens of gold) is listed among coins with what it is a
  claim on, and left out of the list of all assets, where that money or metal stands itself.
Symbols are not unique, so what looks like a known one but is worth less than `_SMALL` is no claim, just another coin.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

import msgspec

from marketcap.answers import Unfit, within

BITCOIN: Final = frozenset({"btc-bitcoin", "bitcoin"})
"""Its id at CoinPaprika and at CoinGecko."""

MOST_PRICE: Final = 10**9
MOST_SUPPLY: Final = 10**20
MOST_VALUE: Final = 10**14
"""USD. All that exists is worth some 10^15."""

_APART: Final = Decimal("0.1")
"""Part by which price times supply may differ from the value that the source states."""

_SMALL: Final = 10**7

_STANDS_FOR: Final = re.compile(
    r"\b(wrapped|bridged|staked|restaked|staking|binance[- ]peg|liquid staking)\b", re.IGNORECASE
)
_DERIVED: Final = frozenset(
    [
        "WBTC",
        "CBBTC",
        "TBTC",
        "BTCB",
        "SOLVBTC",
        "LBTC",
        "FBTC",
        "EBTC",
        "RENBTC",
        "HBTC",
        "UNIBTC",
        "PUMPBTC",
        "KBTC",
        "CLBTC",
        "WETH",
        "STETH",
        "WSTETH",
        "WEETH",
        "EETH",
        "RETH",
        "CBETH",
        "METH",
        "CMETH",
        "RSETH",
        "EZETH",
        "SWETH",
        "OSETH",
        "BETH",
        "WBETH",
        "ETHX",
        "FRXETH",
        "SFRXETH",
        "WBNB",
        "SLISBNB",
        "WSOL",
        "MSOL",
        "JITOSOL",
        "BNSOL",
        "BBSOL",
        "JUPSOL",
        "WTRX",
        "STRX",
        "WAVAX",
        "SAVAX",
        "WPOL",
        "STHYPE",
        "KHYPE",
        "SUSDE",
        "SUSDS",
        "SDAI",
        "SYRUPUSDC",
        "SYRUPUSDT",
    ]
)
_CLAIMS: Final = {
    **dict.fromkeys(
        [
            "USDT",
            "USDC",
            "DAI",
            "USDS",
            "USDE",
            "FDUSD",
            "PYUSD",
            "TUSD",
            "USDP",
            "GUSD",
            "USD1",
            "RLUSD",
            "BUSD",
            "FRAX",
            "FRXUSD",
            "USDD",
            "USD0",
            "USDY",
            "USDG",
            "USDF",
            "USDX",
            "USDTB",
            "CRVUSD",
            "LUSD",
            "GHO",
            "MIM",
            "SUSD",
            "BUIDL",
            "USYC",
            "USDB",
            "USDAI",
            "DEUSD",
            "USDL",
            "AUSD",
            "USDM",
        ],
        "USD",
    ),
    "EURC": "EUR",
    "EURS": "EUR",
    "EURCV": "EUR",
    "PAXG": "XAU",
    "XAUT": "XAU",
    "KAU": "XAU",
    "KAG": "XAG",
}


class Coin(msgspec.Struct, frozen=True, kw_only=True):
    """A coin; amounts in USD."""

    id: str  # the source's own
    symbol: str
    name: str
    price: Decimal
    supply: Decimal  # in circulation
    supply_derived: bool  # worked out from value and price, since the source does not state it
    value: Decimal  # price times supply
    change: Decimal | None  # of the price in 24 hours, percent
    claim_on: str | None  # the currency or metal that it stands for
    as_of: int  # Unix seconds


def stands_for_coin(symbol: str, name: str) -> bool:
    """Whether it is another coin in other clothes."""
    return symbol.upper() in _DERIVED or _STANDS_FOR.search(name) is not None


def coin(
    *, id: str, symbol: str, name: str, price: Decimal, supply: Decimal | None, value: Decimal, change: Decimal | None,
    as_of: int,
) -> Coin | None:  # fmt: skip
    """The coin, checked; None where it is not listed. Raises Unfit where its figures cannot be.

    A supply of 0 is one that the source does not know, as is a value of 0.
    """
    symbol, name = symbol.strip().upper(), name.strip()
    if id in BITCOIN or stands_for_coin(symbol, name):
        return None
    if not symbol or not name:
        raise Unfit("name or symbol is empty, expected both")
    within(price, "price", most=MOST_PRICE)
    within(value, "market_cap", most=MOST_VALUE)
    derived = not supply
    amount = within(supply or value / price, "circulating_supply", most=MOST_SUPPLY)
    worth = price * amount
    if not derived and abs(worth - value) > _APART * value:
        raise Unfit(
            f"price times supply is {float(worth):.6g}, market_cap {float(value):.6g}: expected one to be the other"
        )
    return Coin(
        id=id, symbol=symbol, name=name, price=Decimal(price), supply=amount, supply_derived=derived,
        value=worth if not derived else Decimal(value), change=change,
        claim_on=_CLAIMS.get(symbol) if value >= _SMALL else None, as_of=as_of,
    )  # fmt: skip
