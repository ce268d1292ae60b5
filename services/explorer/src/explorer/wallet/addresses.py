"""Addresses among what a person pasted: shared.scripts reads them, and a wallet refuses in its own words."""

from __future__ import annotations

from explorer.wallet.refusal import refuse
from shared.errors import Unreadable
from shared.networks import NETWORKS
from shared.scripts import address


def script_of(text: str, network: str, at: int = 0) -> bytes:
    """The script that an address of the network stands for; `at` is where it stands. Raises NotAWallet."""
    try:
        return address.read(text, NETWORKS[network]).script
    except Unreadable as error:
        place = at + error.places[0] if error.places else at
        if error.reason == "network":
            refuse("other-network", at=place or None, word=network)
        refuse("address", at=place or None)
