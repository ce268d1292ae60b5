"""Wallets that people entered: sealed here, opened by the explorer alone, named by a random handle for a short while.

The handle stands in the address of a page and nowhere else; Redis knows the wallet by a keyed hash of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from shared.errors import SealExpired
from shared.events.lookups import WalletWanted
from shared.keys import Keys
from shared.lookups.address import Working
from shared.lookups.parts import Away
from shared.lookups.wallet import LONGEST, Answer, Entered, Form, Refused
from shared.scripts.secrets import found as private_key
from shared.sealed import Seal, is_handle, new_handle
from shared.wallets import SealedWallet
from web.lookups.asking import Lookups, Pending
from web.lookups.walks import Walks

LIFE_MS: Final = 3_600_000
"""How long what was entered is kept."""

PATIENCE: Final = 1.0
"""Seconds that a request waits for the whole answer before it shows what is known meanwhile."""

USUAL_GAP: Final = 20
GAPS: Final = (20, 50, 100, 500)
"""Unused addresses behind the last used one that are looked at: BIP 44's, and what a page offers."""

_WORKING: Final = msgspec.json.Decoder(Working)
_READ: Final = str | Away


class Over(Exception):
    """The time of this wallet is over, or there never was one of this handle."""


class Opened(NamedTuple):
    """A wallet that was entered."""

    handle: str
    until_ms: int


class Looked(NamedTuple):
    """What is known of a wallet now; `answer` None: nothing yet."""

    name: str  # what `/live/lookup` is asked about
    until_ms: int
    answer: Answer | Away | None
    going_on: bool = False
    working: Working | None = None  # how far a scan is


class Wallets:
    """Enters wallets and asks for them."""

    def __init__(
        self,
        client: Any,
        keys: Keys,
        lookups: Lookups,
        secret: str,
        now: Callable[[], float],
        example: Callable[[], str] = str,
    ) -> None:
        """Without a secret there are no wallets. `now` tells Unix seconds by Redis' clock; `example` tells
        of a wallet that everybody may look at; empty: of none.
        """
        self.example = example
        self._redis = client
        self._keys = keys
        self._lookups = lookups
        self._seal = Seal(secret) if secret else None
        self._walks = Walks(client, keys, self._seal) if self._seal else None
        if self._walks:
            lookups.on_done(self._walks.done)
        self._now = now

    @property
    def configured(self) -> bool:
        """Whether there is a secret."""
        return self._seal is not None

    async def enter(self, text: str, form: Form = "", *, client: str) -> Opened | Refused:
        """Keep what a person entered, sealed; what nobody should have entered is refused before.

        `client` is who asks. Raises Busy where it entered too many; TROUBLE.
        """
        seal, walks = self._sealing()
        text = text.strip()
        if not text:
            return Refused(why="empty")
        if why := private_key(text):
            return Refused(why=why)
        if len(text) > LONGEST:
            return Refused(why="too-long", most=LONGEST)
        handle, until_ms = new_handle(), self._now_ms() + LIFE_MS
        wallet = SealedWallet(seal, seal.name(handle))
        await walks.enter(client, wallet.name)
        sealed = wallet.seal_entered(Entered(text=text, form=form), until_ms)
        await self._redis.set(self._keys.wallet(wallet.name), sealed, px=LIFE_MS)
        return Opened(handle, until_ms)

    async def look(self, handle: str, *, gap: int, page: int, coins: int, client: str) -> Looked:
        """What the explorer says. Raises Over; Busy; Full and Failed of Lookups.ask; TROUBLE."""
        seal, walks = self._sealing()
        if not is_handle(handle):
            raise Over
        wallet = SealedWallet(seal, seal.name(handle))
        key = self._keys.wallet(wallet.name)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.get(key)
            pipe.pttl(key)
            sealed, left_ms = await pipe.execute()
        if sealed is None:
            raise Over
        until_ms = self._now_ms() + max(0, left_ms)
        wanted = WalletWanted(name=wallet.name, sealed=sealed.decode(), page=page, coins=coins, gap=gap)
        question = f"wallet:{wallet.name}:{gap}:{page}:{coins}"
        await walks.begin(client, wallet.name)
        try:
            held = await self._lookups.ask(question, wanted, _READ, PATIENCE)
        except Pending:
            return await self._meanwhile(wallet, until_ms)
        except Exception:
            await walks.end(wallet.name)
            raise
        await walks.end(wallet.name)
        answer = held.answer if isinstance(held.answer, Away) else wallet.open_answer(held.answer, self._now_ms())
        return Looked(wallet.name, until_ms, answer)

    async def _meanwhile(self, wallet: SealedWallet, until_ms: int) -> Looked:
        """What is known while the look-up goes on."""
        sealed, working = await self._redis.mget(
            self._keys.wallet_partial(wallet.name), self._keys.progress(wallet.name)
        )
        try:
            answer = None if sealed is None else wallet.open_answer(sealed.decode(), self._now_ms())
        except SealExpired:
            answer = None
        said = None if working is None else _WORKING.decode(working)
        return Looked(wallet.name, until_ms, answer, going_on=True, working=said)

    def _sealing(self) -> tuple[Seal, Walks]:
        if self._seal is None or self._walks is None:
            raise RuntimeError("without a secret nobody asks for wallets")
        return self._seal, self._walks

    def _now_ms(self) -> int:
        return int(self._now() * 1000)
