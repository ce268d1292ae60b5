"""What belongs to another coin or another layer, and is told so instead of being called wrong."""

from __future__ import annotations

import re
from typing import Final

from shared.scripts.reasons import refuse

PREFIXES: Final = {
    "ltc": "Litecoin",
    "tltc": "Litecoin",
    "ex": "Liquid",
    "lq": "Liquid",
    "tex": "Liquid",
    "tlq": "Liquid",
    "vtc": "Vertcoin",
    "dgb": "DigiByte",
    "btg": "Bitcoin Gold",
    "grs": "Groestlcoin",
    "addr": "Cardano",
    "npub": "Nostr",
    "nsec": "Nostr",
}
"""Before the 1 of a bech32 text."""

FIRST_BYTES: Final = {22: "Dogecoin", 30: "Dogecoin", 48: "Litecoin", 50: "Litecoin", 58: "Litecoin", 76: "Dash"}
"""Of a base58 address."""

_LIGHTNING: Final = re.compile("(lightning:|ln(bc|tb|tbs|bcrt)[0-9]|ln(url|o|r|i)1)", re.IGNORECASE)
_SILENT: Final = re.compile("(sp|tsp|sprt)1q", re.IGNORECASE)
_FORMS: Final = (
    (re.compile("bitcoincash:", re.IGNORECASE), "Bitcoin Cash"),
    (re.compile("litecoin:", re.IGNORECASE), "Litecoin"),
    (re.compile("ethereum:|0x[0-9a-f]{40}([0-9a-f]{24})?$", re.IGNORECASE), "Ethereum"),
)


def refuse_elsewhere(text: str) -> None:
    """Raises Unreadable where the text begins as something does that is nowhere on the Bitcoin chain."""
    if _SILENT.match(text):
        raise refuse("silent-payment")
    if _LIGHTNING.match(text):
        raise refuse("lightning")
    for form, coin in _FORMS:
        if form.match(text):
            raise refuse("other-coin", coin=coin)
    prefix = text[:6].lower().partition("1")[0]
    if prefix in PREFIXES and "1" in text[:6]:
        raise refuse("other-coin", coin=PREFIXES[prefix])
