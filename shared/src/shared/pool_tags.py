"""Which mining pool found a block: by its tag in the coinbase script, or by the address that it pays.

The built-in table holds tags of pools that mine today; a file in the form of mempool/mining-pools' `pools-v2.json`
(POOLS_FILE) replaces it and adds addresses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from shared.errors import ConfigError

_TAGS: Final = {
    "Foundry USA": ("Foundry USA Pool", "/2cDw/"),
    "AntPool": ("Mined by AntPool", "Mined By AntPool", "/AntPool/"),
    "F2Pool": ("F2Pool", "七彩神仙鱼", "🐟"),
    "ViaBTC": ("/ViaBTC/", "viabtc.com deploy"),
    "Binance Pool": ("/Binance/",),
    "MARA Pool": ("MARA Pool", "MARA Made in USA"),
    "Luxor": ("/LUXOR/", "Luxor Tech"),
    "SpiderPool": ("SpiderPool",),
    "SBI Crypto": ("SBICrypto", "SBI Crypto"),
    "SECPOOL": ("SecPool",),
    "Braiins Pool": ("/slush/",),
    "OCEAN": ("OCEAN.XYZ",),
    "BTC.com": ("/BTC.COM/", "/BTC.com/", "btccom"),
    "Poolin": ("/poolin.com", "/poolin/"),
    "ULTIMUSPOOL": ("/ultimus/",),
    "EMCDPool": ("/EMCD/", "/one_more_mcd/", "get___emcd"),
    "Huobi.pool": ("/HuoBi/", "/Huobi/"),
    "NiceHash": ("/NiceHash/",),
    "Solo CK": ("/solo.ckpool.org/",),
    "BTCC": ("/BTCC/", "BTCChina Pool"),
    "GHash.IO": ("ghash.io",),
    "BitFury": ("/Bitfury/", "/BitFury/"),
    "Eligius": ("Eligius",),
}


class _Pool(msgspec.Struct):
    name: str
    tags: list[str] = []
    addresses: list[str] = []


class Pools:
    """A table of pools, asked by coinbase script and the addresses paid."""

    def __init__(self, file: Path | None = None) -> None:
        self._tags: list[tuple[bytes, str]] = []
        self._addresses: dict[str, str] = {}
        for pool in _load(file) if file else [_Pool(name, list(tags)) for name, tags in _TAGS.items()]:
            self._tags += ((tag.encode(), pool.name) for tag in pool.tags if tag)
            self._addresses.update(dict.fromkeys(pool.addresses, pool.name))

    @property
    def needs_addresses(self) -> bool:
        """Whether the table knows addresses at all."""
        return bool(self._addresses)

    def find(self, coinbase_script: bytes, addresses: list[str]) -> str | None:
        """The pool's name; an address wins, since a tag can be written by anyone."""
        for address in addresses:
            if name := self._addresses.get(address):
                return name
        for tag, name in self._tags:
            if tag in coinbase_script:
                return name
        return None


def _load(file: Path) -> list[_Pool]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[_Pool])
    except OSError as error:
        raise ConfigError(f"POOLS_FILE={str(file)!r} cannot be read: {error.strerror}") from error
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"POOLS_FILE={str(file)!r}: {error}; expected a list of objects with name, tags and addresses"
        ) from error
