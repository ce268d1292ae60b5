"""The walk through a wallet's chains: which scripts to ask for, when it is complete, and what is known meanwhile.

A chain is looked at until `gap` scripts behind the last used one were not used (BIP 44). The walk does no input or
output: `batch` says what to ask for, `tell` takes the answers, in any order, as often as they change. It works with
scripts, so a script that two chains share is asked for once and counts once.

What is answered is the whole state: a new walk that is told the same answers goes on where the other one ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from explorer.wallet.branches import Branch, Wallet
from shared.lookups.address import Unspent
from shared.lookups.parts import Part
from shared.networks import NETWORKS
from shared.scripts.address import write

GAP: Final = 20
"""BIP 44's."""

SCRIPTS_MOST: Final = 20_000
"""Scripts of one wallet that are looked at; of one with more the answer says that it is cut short."""

SLICE_SECONDS: Final = 0.002
"""How long scripts are derived at a time, so that an event loop goes on."""


class Touch(Part, frozen=True, kw_only=True):
    """A transaction that touches a script."""

    txid: str
    height: int | None  # None: it waits in the mempool
    position: int | None = None  # in its block; None: unknown
    time: int | None = None
    change: int | None = None  # satoshi of this script alone; None: not worked out
    fee: int | None = None


class Told(Part, frozen=True, kw_only=True):
    """What is known of a script."""

    used: bool
    confirmed: int | None = None
    unconfirmed: int | None = None
    tx_count: int | None = None
    history: list[Touch] | None = None  # None: unknown
    coins: list[Unspent] | None = None


UNUSED: Final = Told(used=False, confirmed=0, unconfirmed=0, tx_count=0, history=[], coins=[])
"""Of a script of which somebody who has all histories says that it has none."""


class Chain:
    """How far one chain was looked at."""

    def __init__(self, branch: Branch, gap: int) -> None:
        self.branch = branch
        self.scripts: list[bytes] = []  # derived so far, by index
        self._gap = gap
        self._used: set[int] = set()
        self._last = -1  # index of the last one that was used
        self._answered = 0  # all before this index were

    @property
    def limit(self) -> int:
        """Scripts that must be looked at, as far as is known."""
        wanted = self._last + 1 + self._gap
        return wanted if self.branch.count is None else self.branch.count

    @property
    def used(self) -> set[int]:
        """Indices of those that were used."""
        return self._used

    @property
    def next_index(self) -> int | None:
        """The first behind the last used one; None of a chain that has an end."""
        return self._last + 1 if self.branch.count is None else None

    def derive(self) -> bytes:
        """The next script."""
        script = self.branch.script(len(self.scripts))
        self.scripts.append(script)
        return script

    def answered(self, told: Mapping[bytes, Told]) -> int:
        """How many from the first on were answered without a hole; an answer is never taken back."""
        while self._answered < len(self.scripts) and self.scripts[self._answered] in told:
            self._answered += 1
        return self._answered

    def note(self, index: int, *, used: bool) -> None:
        """Whether the script of this index was used, as is known now."""
        if used:
            self._used.add(index)
            self._last = max(self._last, index)
        elif index in self._used:
            self._used.remove(index)
            self._last = max(self._used, default=-1)


class Walk:
    """The look-up of one wallet. It is used by one task at a time."""

    def __init__(self, wallet: Wallet, gap: int = GAP, most: int = SCRIPTS_MOST) -> None:
        self.wallet = wallet
        self.gap = gap
        self.chains = [Chain(branch, gap) for branch in wallet.branches]
        self._most = max(most, len(self.chains))
        self._derived = 0
        self._told: dict[bytes, Told] = {}
        self._places: dict[bytes, list[tuple[int, int]]] = {}  # chain and index
        self._waiting: dict[bytes, None] = {}  # to be asked for, in order
        self._asked: set[bytes] = set()
        self._addresses: dict[bytes, str | None] = {}

    # --- what to ask for ---------------------------------------------------------------------------

    def batch(
        self, most: int = 100, *, seconds: float = SLICE_SECONDS, clock: Callable[[], float] = time.perf_counter
    ) -> list[bytes]:
        """Scripts to ask for now, each once. Fewer than `most` when deriving took `seconds`: come again (`more`)."""
        until = clock() + seconds
        while len(self._waiting) < most and self._derive() and clock() < until:
            pass
        batch = list(self._waiting)[:most]
        for script in batch:
            del self._waiting[script]
        self._asked.update(batch)
        return batch

    @property
    def more(self) -> bool:
        """Whether `batch` has something, or has to derive before it knows."""
        return bool(self._waiting) or self._shortest() is not None

    def again(self) -> None:
        """What was asked for and not answered is asked for anew: whoever was asked is gone."""
        self._waiting = {**dict.fromkeys(sorted(self._asked, key=lambda script: self._places[script])), **self._waiting}
        self._asked.clear()

    def _shortest(self) -> int | None:
        """The chain to derive of: of those that are not at their limit the one that came the least far."""
        if self._derived >= self._most:
            return None
        open_ones = [at for at, chain in enumerate(self.chains) if len(chain.scripts) < chain.limit]
        return min(open_ones, key=lambda at: len(self.chains[at].scripts), default=None)

    def _derive(self) -> bool:
        at = self._shortest()
        if at is None:
            return False
        chain = self.chains[at]
        index, script = len(chain.scripts), chain.derive()
        self._derived += 1
        places = self._places.setdefault(script, [])
        places.append((at, index))
        told = self._told.get(script)
        if told is not None:
            chain.note(index, used=told.used)
        elif len(places) == 1:
            self._waiting[script] = None
        return True

    # --- what is known -----------------------------------------------------------------------------

    def tell(self, script: bytes, told: Told) -> None:
        """What is known of a script from now on; also of one that was not asked for yet."""
        self._told[script] = told
        self._asked.discard(script)
        self._waiting.pop(script, None)
        for at, index in self._places.get(script, ()):
            self.chains[at].note(index, used=told.used)

    def told(self, script: bytes) -> Told | None:
        """What is known of a script."""
        return self._told.get(script)

    def address(self, script: bytes) -> str | None:
        """Its address, worked out once: a wallet is shown many times."""
        if script not in self._addresses:
            self._addresses[script] = write(script, NETWORKS[self.wallet.network])
        return self._addresses[script]

    @property
    def answers(self) -> Mapping[bytes, Told]:
        """All that was told: told to a new walk, it goes on from here."""
        return self._told

    @property
    def scripts(self) -> Iterator[tuple[bytes, Chain, int]]:
        """Each script that belongs to the wallet as far as it is known, once, at its first place, chain by chain."""
        for at, chain in enumerate(self.chains):
            for index, script in enumerate(chain.scripts[: chain.limit]):
                if self._places[script][0] == (at, index):
                    yield script, chain, index

    @property
    def truncated(self) -> bool:
        """Whether there is more than may be looked at."""
        return self._derived >= self._most and any(len(chain.scripts) < chain.limit for chain in self.chains)

    @property
    def complete(self) -> bool:
        """Whether everything was asked for and answered, or as much as may be."""
        return not self.more and all(map(self.is_complete, self.chains))

    def is_complete(self, chain: Chain) -> bool:
        """Whether a chain was looked at to its end, as far as is known."""
        end = chain.limit if self._derived < self._most else min(chain.limit, len(chain.scripts))
        return chain.answered(self._told) >= end
