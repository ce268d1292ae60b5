"""Transactions as people make them: single payments, batches, replacements, children that pay, chains."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

import msgspec

from local_run.errors import SetupError
from local_run.wallets import Wallets
from shared.errors import RpcRefused

MIN_FEE_RATE: Final = 1.0
MAX_FEE_RATE: Final = 200.0
"""sat/vB, of a first version; replacements may go beyond."""

_MEDIAN_FEE_RATE: Final = 2.0  # in natural logarithm: 7.4 sat/vB
_FEE_RATE_SPREAD: Final = 1.2
_MEDIAN_AMOUNT: Final = -3.5  # in natural logarithm: 0.03 bitcoin
_AMOUNT_SPREAD: Final = 2.2
_SMALLEST: Final = Decimal("0.0001")  # bitcoin, well above dust at every feerate
_SATOSHI: Final = Decimal("0.00000001")
_ZERO: Final = Decimal(0)
_FEE_RESERVE: Final = Decimal("0.006")  # bitcoin: more than any of these transactions pays
_MOST_INPUTS: Final = 30
_LARGE_SHARE: Final = 0.02  # of payments that move a visible part of all there is

# What a wallet or a mempool may answer to a reasonable wish, such as a coin spent meanwhile, a chain that
# became too long, or no funds until the next block. bitcoin/src/rpc/protocol.h
_PASSING: Final = frozenset({-1, -4, -5, -6, -8, -25, -26, -27})


@dataclass(frozen=True)
class _Sent:
    txid: str
    fee_rate: float


class _Coin(msgspec.Struct):
    txid: str
    vout: int
    amount: Decimal  # bitcoin

    @property
    def outpoint(self) -> dict[str, object]:
        return {"txid": self.txid, "vout": self.vout}


class NoCoins(SetupError):
    """What is left of the confirmed coins is not enough; the next block brings more."""


class Payments:
    """Makes transactions from the paying wallet to itself, so that the funds come back.

    It chooses the coins itself, among those that were confirmed at the last block: the wallet's own search
    takes the node ten times as long as all the rest of a payment.
    """

    def __init__(self, wallets: Wallets, chance: random.Random) -> None:
        self._wallets = wallets
        self._chance = chance
        self._recent: deque[_Sent] = deque(maxlen=12)
        self._coins: list[_Coin] = []
        self._kinds: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "payment": (64, self.payment),
            "batch": (8, self.batch),
            "replacement": (12, self.replacement),
            "child_pays": (8, self.child_pays),
            "chain": (3, self.chain),
            "data": (5, self.data),
        }

    async def make_one(self) -> str:
        """One of a kind chosen at random; returns its name, or nothing when it could not be made just now.

        Raises as shared.rpc does for what will not pass by itself.
        """
        (name,) = self._chance.choices(list(self._kinds), [weight for weight, _ in self._kinds.values()])
        try:
            await self._kinds[name][1]()
        except NoCoins:
            return ""
        except RpcRefused as error:
            if error.code in _PASSING:
                return ""
            raise
        return name

    async def block_mined(self) -> None:
        """Look at the coins that there are now; what was sent so far cannot be replaced any more."""
        self._recent.clear()
        self._coins = await self._wallets.pay("listunspent", 1, kind=list[_Coin])

    async def payment(self) -> None:
        """One recipient, and change."""
        await self._send([{await self._wallets.address(): self._amount()}])

    async def batch(self) -> None:
        """Many recipients, as from an exchange."""
        count = self._chance.randint(5, 40)
        await self._send([{address: self._amount(count)} for address in await self._wallets.addresses(count)])

    async def data(self) -> None:
        """A payment with a few bytes beside it."""
        note = self._chance.randbytes(20).hex()
        await self._send([{await self._wallets.address(): self._amount()}, {"data": note}])

    async def replacement(self) -> None:
        """Pay more for one of the last transactions (BIP 125); makes one first when there is none."""
        if not self._recent:
            await self.payment()
        sent = self._recent.pop()
        fee_rate = round(sent.fee_rate * self._chance.uniform(1.3, 2.5) + 2, 1)
        answer = await self._wallets.pay("bumpfee", sent.txid, {"fee_rate": fee_rate})
        self._recent.append(_Sent(answer["txid"], fee_rate))

    async def child_pays(self) -> None:
        """A parent that pays too little, and a child that pays for both."""
        parent = await self._send([{await self._wallets.address(): self._amount()}], fee_rate=MIN_FEE_RATE)
        await self._spend(parent, fee_rate=self._chance.uniform(20, 100))

    async def chain(self) -> None:
        """Several transactions, each spending the one before."""
        last = await self._send([{await self._wallets.address(): self._amount()}])
        for _ in range(self._chance.randint(2, 7)):
            last = await self._spend(last, fee_rate=self._fee_rate())

    async def tidy(self, *, fewest: int, most: int) -> None:
        """Keep the number of coins in bounds: split the largest when they are few, join the smallest when many."""
        self._coins.sort(key=lambda coin: coin.amount)
        if self._coins and len(self._coins) < fewest:
            parts = min(fewest, 80)  # outputs in one transaction
            part = (self._coins[-1].amount * Decimal("0.9") / parts).quantize(_SATOSHI, ROUND_DOWN)
            if part > _SMALLEST:
                await self._send([{address: part} for address in await self._wallets.addresses(parts)], fee_rate=5)
        elif len(self._coins) > most:
            joined, self._coins = self._coins[: most // 2], self._coins[most // 2 :]
            options = {"inputs": [coin.outpoint for coin in joined]}
            await self._wallets.pay("sendall", [await self._wallets.address()], None, None, 2, options)

    async def _send(self, outputs: list[dict[str, Any]], fee_rate: float | None = None) -> str:
        rate = round(fee_rate or self._fee_rate(), 1)
        amount = sum((Decimal(value) for output in outputs for key, value in output.items() if key != "data"), _ZERO)
        options = {
            "inputs": [coin.outpoint for coin in self._take(amount + _FEE_RESERVE)],
            "add_inputs": False,
            "change_address": await self._wallets.address(),
        }
        answer = await self._wallets.pay("send", outputs, None, "unset", rate, options)
        self._recent.append(_Sent(answer["txid"], rate))
        txid: str = answer["txid"]
        return txid

    def _take(self, amount: Decimal) -> list[_Coin]:
        """Coins worth at least so much, gone from the list: one where one is enough, else the largest ones."""
        enough = [coin for coin in self._coins if coin.amount >= amount]
        if enough:
            taken = [self._chance.choice(enough)]
        else:
            taken, total = [], _ZERO
            for coin in sorted(self._coins, key=lambda coin: coin.amount, reverse=True)[:_MOST_INPUTS]:
                taken.append(coin)
                total += coin.amount
                if total >= amount:
                    break
            if total < amount:
                raise NoCoins(f"{total} bitcoin in coins; expected {amount}")
        gone = {id(coin) for coin in taken}
        self._coins = [coin for coin in self._coins if id(coin) not in gone]
        return taken

    async def _spend(self, parent: str, fee_rate: float) -> str:
        """Spend what `parent` paid to an address of ours, whole, confirmed or not."""
        details = (await self._wallets.pay("gettransaction", parent))["details"]
        coin = next(entry for entry in details if entry["category"] == "receive")
        amount = Decimal(str(coin["amount"]))
        answer = await self._wallets.pay(
            "send",
            [{await self._wallets.address(): amount}],
            None,
            "unset",
            round(fee_rate, 1),
            {
                "inputs": [{"txid": parent, "vout": coin["vout"]}],
                "add_inputs": False,
                "subtract_fee_from_outputs": [0],
            },
        )
        txid: str = answer["txid"]
        return txid

    def _fee_rate(self) -> float:
        drawn = self._chance.lognormvariate(_MEDIAN_FEE_RATE, _FEE_RATE_SPREAD)
        return min(max(drawn, MIN_FEE_RATE), MAX_FEE_RATE)

    def _amount(self, among: int = 1) -> Decimal:
        """Bitcoin, over orders of magnitude, and within what there is for `among` recipients."""
        balance = sum((coin.amount for coin in self._coins), _ZERO)
        if self._chance.random() < _LARGE_SHARE:
            drawn = float(balance) * self._chance.uniform(0.02, 0.2)
        else:
            drawn = self._chance.lognormvariate(_MEDIAN_AMOUNT, _AMOUNT_SPREAD)
        bounded = min(Decimal(drawn), balance / 5 / among)
        return max(bounded, _SMALLEST).quantize(_SATOSHI, ROUND_DOWN)
