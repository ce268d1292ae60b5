"""Wallets between web and explorer: what was entered and what was found, sealed, by the name that Redis knows."""

from __future__ import annotations

from typing import Final

import msgspec

from shared.lookups.wallet import Answer, Entered
from shared.sealed import Seal

_ANSWER: Final = msgspec.json.Decoder(Answer)
_ENTERED: Final = msgspec.json.Decoder(Entered)


class SealedWallet:
    """One wallet's seals, by its name (Seal.name): what is about one opens as no other's.

    Opening raises SealExpired when the time is over, SealBroken for what is not ours.
    """

    def __init__(self, seal: Seal, name: str) -> None:
        self._seal = seal
        self.name = name

    def seal_entered(self, entered: Entered, until_ms: int) -> str:
        """What web keeps and sends to the explorer (`wallet.wanted`)."""
        return self._seal.seal(msgspec.json.encode(entered), about=f"entered {self.name}", until_ms=until_ms)

    def open_entered(self, sealed: str, now_ms: int) -> Entered:
        """What a person entered."""
        return _ENTERED.decode(self._seal.open(sealed, about=f"entered {self.name}", now_ms=now_ms))

    def seal_answer(self, answer: Answer, until_ms: int) -> str:
        """What the explorer leaves in Redis."""
        return self._seal.seal(msgspec.json.encode(answer), about=f"answer {self.name}", until_ms=until_ms)

    def open_answer(self, sealed: str, now_ms: int) -> Answer:
        """What was found."""
        answer: Answer = _ANSWER.decode(self._seal.open(sealed, about=f"answer {self.name}", now_ms=now_ms))
        return answer
