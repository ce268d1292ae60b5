"""Links to other explorers, and payment links (BIP 21, BIP 321): what they lead to."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from shared.networks import NETWORKS, Network
from shared.scripts.reasons import refuse
from shared.scripts.typed import Typed

Leads = Literal["transaction", "block", "address", "key"]


class Target(NamedTuple):
    """What a link leads to."""

    to: Leads
    value: Typed
    output: str = ""  # the number of an output, as it stands behind the #


_LINK: Final = re.compile(r"(https?://[^/?#\s]+|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?)?(?=/)", re.IGNORECASE)
_SEGMENT: Final = re.compile(r"/([^/?#\s]+)")
_OUTPUT: Final = re.compile(r"[#&?]vout=([0-9]{1,20})")
_WORDS: Final[dict[str, Leads]] = {
    "tx": "transaction",
    "txs": "transaction",
    "txid": "transaction",
    "transaction": "transaction",
    "transactions": "transaction",
    "block": "block",
    "blocks": "block",
    "block-height": "block",
    "address": "address",
    "addresses": "address",
    "addr": "address",
    "xpub": "key",
}
_PASSED: Final = frozenset(("btc", "bitcoin", "mainnet", "main", "height", "hash", "id"))
"""What stands between such a word and the value at some."""

_NETWORKS: Final = {
    "testnet": ("test",),
    "testnet3": ("test",),
    "testnet4": ("testnet4",),
    "signet": ("signet",),
    "regtest": ("regtest",),
}
_COINS: Final = {"liquid": "Liquid", "liquidtestnet": "Liquid", "litecoin": "Litecoin", "ltc": "Litecoin"}
_PAYMENT: Final = re.compile(r"bitcoin:(?://)?(?P<address>[^?&#\s]*)(?P<query>[?&#].*)?", re.IGNORECASE | re.DOTALL)
_PREFIXES: Final = "|".join(sorted({network.hrp for network in NETWORKS.values()}))
_QUERIED: Final = re.compile(rf"[?&](?:{_PREFIXES})=([^?&#\s]+)", re.IGNORECASE)


def payment(entered: Typed) -> Typed | None:
    """The address of a payment link; None where the text is none. Raises Unreadable where it names no address."""
    link = _PAYMENT.fullmatch(entered.text)
    if link is None:
        return None
    if link["address"]:
        return entered.part(*link.span("address"))
    queried = _QUERIED.search(entered.text)
    if queried is None:
        raise refuse("payment-link")
    return entered.part(*queried.span(1))


def target(entered: Typed, network: Network) -> Target | None:
    """What a link leads to; None where the text is no link. Raises Unreadable where it leads to nothing of the kind."""
    host = _LINK.match(entered.text)
    if host is None:
        return None
    leads: Leads | None = None
    for segment in _SEGMENT.finditer(entered.text, host.end()):
        word = segment[1].lower()
        if leads is not None and word not in _PASSED:
            output = _OUTPUT.search(entered.text, segment.end())
            return Target(leads, entered.part(*segment.span(1)), output[1] if output else "")
        if word in _NETWORKS and network.name not in _NETWORKS[word]:
            raise refuse("network", *range(*segment.span(1)), networks=_NETWORKS[word], expected=network.name)
        if word in _COINS:
            raise refuse("other-coin", coin=_COINS[word])
        leads = leads or _WORDS.get(word)
    raise refuse("link")
