"""What differs between the versions of the Electrum protocol that we speak."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, Self

from explorer.electrum.script import Script
from shared.errors import ElectrumMalformed, ElectrumRefused

OLDEST: Final = "1.4"
NEWEST: Final = "1.7"

UNKNOWN_METHOD: Final = -32601
"""What a method that the server does not have is refused with (JSON-RPC 2.0)."""

What = Literal["get_balance", "get_history", "get_mempool", "listunspent", "subscribe", "unsubscribe"]

_BY_SCRIPT: Final = (1, 7)
_UNSUBSCRIBES: Final = (1, 4, 2)
_VERSION: Final = re.compile(r"\d{1,4}(\.\d{1,4}){1,2}")

NEWS_OF_SCRIPTS: Final = ("blockchain.scripthash.subscribe", "blockchain.scriptpubkey.subscribe")
NEWS_OF_HEADERS: Final = "blockchain.headers.subscribe"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version of the protocol."""

    version: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> Self:
        """As the server chose it from OLDEST to NEWEST; raises ElectrumMalformed where it chose another."""
        version = tuple(int(part) for part in text.split(".")) if _VERSION.fullmatch(text) else ()
        if not (1, 4) <= version[:2] <= (1, 7):
            raise ElectrumMalformed(f"it speaks protocol {text[:20]!r}; expected {OLDEST} to {NEWEST}")
        return cls(version)

    @property
    def by_script(self) -> bool:
        """Whether a script is named by itself; otherwise by its hash."""
        return self.version >= _BY_SCRIPT

    @property
    def unsubscribes(self) -> bool:
        """Whether a subscription can be ended."""
        return self.version >= _UNSUBSCRIBES

    def call(self, what: What, script: Script) -> tuple[str, str]:
        """Method and parameter. Raises ElectrumRefused where the script must be known and only its hash is."""
        if not self.by_script:
            return f"blockchain.scripthash.{what}", script.hash
        method = f"blockchain.scriptpubkey.{what}"
        if script.script is None:
            raise ElectrumRefused(method, UNKNOWN_METHOD, "from protocol 1.7 on a script is asked for by itself")
        return method, script.script
