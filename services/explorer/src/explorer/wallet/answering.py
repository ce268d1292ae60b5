"""Answers look-ups of wallets. What was entered is opened here, and never leaves: an answer is sealed again.

An account is kept of each wallet that is looked at: what was found once is not asked for twice, its scripts are
followed at the Electrum server, and whoever looks is told when something changed. It lives in the memory of this
replica; another one begins anew.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from explorer.address.scan import Scans
from explorer.core.node import Node
from explorer.core.times import times_of
from explorer.electrum.client import Electrum
from explorer.electrum.level import level, newest
from explorer.wallet import looking, merging
from explorer.wallet.account import Account
from explorer.wallet.read import read
from explorer.wallet.refusal import NotAWallet
from explorer.wallet.scanned import bounded
from shared import redis
from shared.bus import ANNOUNCE
from shared.domains import CHANGES
from shared.errors import BadEntry, ConfigError, ElectrumError, RpcError, SealBroken, SealExpired
from shared.events.lookups import WalletChanged, WalletWanted
from shared.jobs import CHANGES_KEEP
from shared.keys import Keys
from shared.logging import Trouble
from shared.lookups.parts import Tip
from shared.lookups.wallet import USED_MOST, Answer, Entered, Found
from shared.sealed import Seal
from shared.wallets import SealedWallet
from shared.work import Alive

KEPT_MS: Final = 1_000
"""How long an answer holds: with the account at hand the next one costs little."""

SEALED_MS: Final = 120_000
"""How long an answer can be opened."""

PARTIAL_MS: Final = 30_000
PARTIAL_SECONDS: Final = 0.5
"""How long what is known meanwhile is kept, and how often it is told."""

ACCOUNTS: Final = 32
"""Wallets that are remembered."""

IDLE_SECONDS: Final = 60.0
FORGOTTEN_SECONDS: Final = 900.0
"""After which a wallet that nobody looks at is followed no longer; and forgotten."""

BLOCKS_MEANWHILE: Final = 3
"""Blocks that may come while a wallet is walked and are waited for; the answer is then of the last of them."""

LOOK_SECONDS: Final = 0.25
WATCH_SECONDS: Final = 5.0
"""Between two looks at what changed, and at who looks."""


class LookupFailed(Exception):
    """A look-up of a wallet failed; nothing of what was entered is in the message."""


def so_far(found: Found) -> Found:
    """Without what is untrue while addresses are missing: what changed on some of them is no change of the wallet."""
    return replace(found, unconfirmed=None, received=None, sent=None, history=None, tx_count=None, points=None)


class Wallets:
    """Of one replica. `run` tells of changes; `look_up` needs it to be running for that alone."""

    def __init__(
        self,
        secret: str,
        electrum: Electrum,
        scans: Scans,
        client: redis.Client,
        keys: Keys,
        network: str,
        now_ms: Callable[[], int],
        log: Any,
    ) -> None:
        """Without a secret every look-up is refused."""
        self._seal = Seal(secret) if secret else None
        self._electrum = electrum
        self._scans = scans
        self._redis = client
        self._keys = keys
        self._network = network
        self._now_ms = now_ms
        self._trouble = Trouble(log, "wallets")
        self._announce = client.register_script(ANNOUNCE + "return announce(KEYS[1], unpack(ARGV))")
        self._accounts: dict[str, Account] = {}

    async def look_up(self, node: Node, wanted: WalletWanted, alive: Alive) -> str:
        """The sealed answer.

        Raises ElectrumError and RpcError; BadEntry where the seal is not ours or its time is over; LookupFailed,
        whatever else happened, without a word of what was entered.
        """
        if self._seal is None:
            raise BadEntry("WALLET_SECRET is not set for the explorer: it cannot open what web sealed")
        sealed = SealedWallet(self._seal, wanted.name)
        try:
            return await self._answer(node, wanted, sealed, alive)
        except (ElectrumError, RpcError, ConfigError, BadEntry, TimeoutError, *redis.TROUBLE):
            raise
        except SealExpired:
            raise BadEntry("the time of what was entered is over") from None
        except SealBroken as error:
            raise BadEntry(f"{error}: WALLET_SECRET must be the same for web and explorer") from None
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise LookupFailed(f"{type(error).__name__} in {place.name}, line {place.lineno}") from None

    async def _answer(self, node: Node, wanted: WalletWanted, sealed: SealedWallet, alive: Alive) -> str:
        entered = sealed.open_entered(wanted.sealed, self._now_ms())
        try:
            account = await self._account(wanted.name, entered)
        except NotAWallet as error:
            return self._closed(sealed, error.refused)
        async with account.turn(alive):
            if self._electrum.configured:
                found = await self._of_server(node, account, wanted, sealed, alive)
            else:
                found = await self._of_scan(node, account, wanted, alive)
            await self._redis.delete(self._keys.wallet_partial(wanted.name))
        return self._closed(sealed, found)

    async def _account(self, name: str, entered: Entered) -> Account:
        account = self._accounts.get(name)
        if account is None:
            wallet = await asyncio.to_thread(read, entered.text, self._network, entered.form)
            account = self._accounts.setdefault(name, Account(wallet, name, self._electrum, self._scans))
        return account

    async def _of_server(
        self, node: Node, account: Account, wanted: WalletWanted, sealed: SealedWallet, alive: Alive
    ) -> Found:
        newest_block = await node.tip(wanted.tip)
        tip = await level(self._electrum, newest_block)
        source, walk = account.followed, account.walk(wanted.gap)
        source.alive, account.changed = alive, False
        told_at = time.monotonic()

        async def tell() -> None:
            nonlocal told_at
            alive()
            if not walk.complete and time.monotonic() >= told_at + PARTIAL_SECONDS:
                told_at = time.monotonic()
                partial = so_far(await self._found(account, wanted, tip))
                await self._redis.set(
                    self._keys.wallet_partial(wanted.name), self._closed(sealed, partial), px=PARTIAL_MS
                )

        await looking.again(walk, source)
        await looking.look(walk, source, told=tell)
        for _ in range(BLOCKS_MEANWHILE):
            after = await newest(self._electrum, newest_block)
            if after == tip:
                break
            tip = after  # a block came meanwhile: what it changed is looked at, and the rest is of it as well
            await looking.again(walk, source)
            await looking.look(walk, source, told=tell)
        account.remember(await times_of(node, account.heights_without_time(tip), newest_block), tip)
        return await self._found(account, wanted, tip, max(0, newest_block.height - tip.height))

    async def _of_scan(self, node: Node, account: Account, wanted: WalletWanted, alive: Alive) -> Found:
        source = account.scanned
        source.alive = alive
        await source.begin(node, wanted.gap)
        walk = account.walk(wanted.gap)
        await looking.again(walk, source)
        await looking.look(walk, source, at_once=USED_MOST)
        found = await self._found(account, wanted, source.tip)
        return bounded(replace(found, sources={"balance": "scan", "coins": "scan"}, without="electrum"))

    async def _found(self, account: Account, wanted: WalletWanted, tip: Tip, behind: int = 0) -> Found:
        """In a thread: a wallet with a long history takes a moment, and the walk is ours alone meanwhile."""

        def work() -> Found:
            return merging.found(
                account.walk(wanted.gap),
                tip=tip,
                behind=behind,
                as_of_ms=self._now_ms(),
                times=account.times,
                page=wanted.page,
                coins_page=wanted.coins,
                sources={"balance": "electrum", "coins": "electrum", "history": "electrum", "times": "node"},
            )

        return await asyncio.to_thread(work)

    def _closed(self, sealed: SealedWallet, answer: Answer) -> str:
        return sealed.seal_answer(answer, self._now_ms() + SEALED_MS)

    # --- changes ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tell of changes, and forget what nobody looks at, for ever."""
        watch_at = 0.0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                for account in list(self._accounts.values()):
                    await self._tell(account)
                if time.monotonic() >= watch_at:
                    watch_at = time.monotonic() + WATCH_SECONDS
                    await self._look_who_looks()
                self._trouble.ended()
            except (ElectrumError, *redis.TROUBLE) as error:
                self._trouble.failed(error)

    async def _tell(self, account: Account) -> None:
        """Once the answer that was given last holds no longer: it would be found again."""
        if account.changed and account.idle_seconds > (KEPT_MS + 200) / 1000:
            account.changed = False
            event = WalletChanged(key=account.name)
            await self._announce(keys=[self._keys.stream(CHANGES)], args=[CHANGES_KEEP, *event.fields()])

    async def _look_who_looks(self) -> None:
        if not self._accounts:
            return
        untils = await self._redis.zmscore(self._keys.watched, list(self._accounts))
        now_ms = self._now_ms()
        watched = {name for name, until in zip(self._accounts, untils, strict=True) if (until or 0) > now_ms}
        by_rest = sorted(self._accounts.values(), key=lambda one: one.idle_seconds)
        for at, account in enumerate(by_rest):
            if account.busy or account.name in watched:
                continue
            if account.idle_seconds > FORGOTTEN_SECONDS or at >= ACCOUNTS:
                del self._accounts[account.name]
                await account.followed.leave()
            elif account.idle_seconds > IDLE_SECONDS and account.followed.follows:
                async with account.turn(lambda: None):
                    await account.followed.leave()
