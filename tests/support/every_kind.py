"""Transactions of every script type, made at random of a seed and signed by a wallet of a node.

The payments of the demonstration (local_run.payments) are of the four types that a wallet has addresses of; here are
all that can be paid: keys and bare multisigs without an address, scripts within a hash or a Taproot tree, versions of
witness programs that nobody can spend yet, and data.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Final

from embit import bip32, ec  # type: ignore[import-untyped]  # embit has no types
from embit.networks import NETWORKS  # type: ignore[import-untyped]  # as above

from local_run.node import RegtestNode
from shared.errors import RpcRefused

WALLET: Final = "every-kind"
NOBODY: Final = "50929b74c1a04953b78b4b6035e97a5e078a5a0f28ec96d547bfee9ace803ac0"
"""An x-only key that nobody has (BIP 341), so that the tree of a Taproot output is all that spends it."""

DESCRIPTORS: Final = {
    "p2pk": "pk({0})",
    "p2pkh": "pkh({0})",
    "p2sh-p2wpkh": "sh(wpkh({0}))",
    "p2wpkh": "wpkh({0})",
    "p2tr, key": "tr({0})",
    "p2tr, script": f"tr({NOBODY},pk({{0}}))",
    "multisig": "multi(1,{0},{1})",
    "p2sh": "sh(multi(1,{0},{1}))",
    "p2wsh": "wsh(multi(1,{0},{1}))",
    "p2sh-p2wsh": "sh(wsh(multi(1,{0},{1})))",
}
"""What is paid to and spent again: as many as may be looked at together."""

ODD: Final = ("data", "no data", "witness", "anchor", "long key", "no point")
"""What can be paid and not spent by the wallet."""

WIDE: Final = ("p2pk", "multisig")
"""Of more than 34 bytes: Bitcoin Knots 29.4 lets none such into its mempool, and takes a block that has it."""

_PASSING: Final = frozenset({-25, -26})
"""What a mempool may answer to a wish: too long a chain, too little for a replacement."""

_FEWEST: Final = 20_000  # satoshi of an output


@dataclass(frozen=True, slots=True)
class Coin:
    """An output that can be spent."""

    txid: str
    vout: int
    value: int  # satoshi
    depth: int = 0  # transactions without a block behind each other, this one included


@dataclass(frozen=True, slots=True)
class Made:
    """A transaction that was sent."""

    txid: str
    spends: tuple[Coin, ...]
    pays: tuple[tuple[int, str], ...]  # (satoshi, script in hex)
    fee: int
    raw: str  # hex

    @property
    def alone(self) -> bool:
        """Whether all that it spends was in blocks."""
        return not any(coin.depth for coin in self.spends)


def _compact(number: int) -> bytes:
    return bytes([number]) if number < 0xFD else b"\xfd" + number.to_bytes(2, "little")


def _unsigned(coins: Sequence[Coin], pays: Sequence[tuple[int, str]], version: int, lock: int, sequence: int) -> str:
    parts = [version.to_bytes(4, "little"), _compact(len(coins))]
    for coin in coins:
        parts += [
            bytes.fromhex(coin.txid)[::-1],
            coin.vout.to_bytes(4, "little"),
            b"\0",
            sequence.to_bytes(4, "little"),
        ]
    parts.append(_compact(len(pays)))
    for value, script in pays:
        raw = bytes.fromhex(script)
        parts += [value.to_bytes(8, "little"), _compact(len(raw)), raw]
    return b"".join([*parts, lock.to_bytes(4, "little")]).hex()


class EveryKind:
    """The wallet, the scripts that it is paid by, and what was made of its coins."""

    def __init__(self, node: RegtestNode, seed: int, scripts_each: int, mining: str) -> None:
        """`mining` is the address that is paid by blocks with what the node lets in by a block alone."""
        self.seed = seed
        self.descriptors: list[str] = []
        """The wallet's own, public ones."""
        self.scripts: dict[str, list[str]] = {}
        """Kind -> scripts in hex, those of the wallet."""
        self.made: dict[str, Made] = {}
        """What was sent and not replaced, by txid."""
        self.old: dict[str, Made] = {}
        """What was replaced."""
        self.replaced: dict[str, str] = {}
        """txid -> txid of what went in its place, or in that of one that it spent from."""
        self.due: set[str] = set()
        """Ways of paying that no transaction has gone yet; the first ones that are made go them."""
        self.spent: set[str] = set()
        """Kinds of scripts that some transaction has spent from."""
        self._node = node
        self._mining = mining
        self._chance = random.Random(seed)
        self._each = scripts_each
        self._coins: list[Coin] = []
        self._waiting: list[str] = []
        self._kinds: dict[str, str] = {}  # script -> kind
        self._ways: dict[str, tuple[int, Callable[[], Awaitable[str | None]]]] = {
            "payment": (40, self._payment),
            "batch": (6, self._batch),
            "join": (12, self._join),
            "child": (25, self._child),
            "replacement": (12, self._replacement),
            **{kind: (4, partial(self._keys, kind)) for kind in WIDE},
            **{name: (2, partial(self._odd, name)) for name in ODD},
        }  # name -> how often, and what makes one
        self.due.update(self._ways)

    async def open(self, funds: Sequence[Coin], funding_wallet: str) -> None:
        """Make the wallet, and spread coins of another one over all of its kinds."""
        await self._node.rpc("createwallet", WALLET, False, True)
        root = bip32.HDKey.from_seed(self._chance.randbytes(32), version=NETWORKS["regtest"]["xprv"])
        wanted = []
        for at, (kind, form) in enumerate(DESCRIPTORS.items()):
            private = form.format(f"{root.to_base58()}/{2 * at}/*", f"{root.to_base58()}/{2 * at + 1}/*")
            said = await self._node.rpc("getdescriptorinfo", private)
            self.descriptors.append(said["descriptor"])
            wanted.append({"desc": f"{private}#{said['checksum']}", "timestamp": "now", "range": [0, self._each]})
            self.scripts[kind] = await self._derived(kind, said["descriptor"], root, 2 * at)
        for said in await self._node.rpc("importdescriptors", wanted, wallet=WALLET):
            assert said["success"], said
        every = [script for scripts in self.scripts.values() for script in scripts]
        self._kinds = {script: kind for kind, scripts in self.scripts.items() for script in scripts}
        value = (sum(coin.value for coin in funds) - 100_000) // len(every)
        await self._send(funds, [(value, script) for script in every], funding_wallet)

    async def _derived(self, kind: str, descriptor: str, root: Any, branch: int) -> list[str]:
        if kind not in ("p2pk", "multisig"):  # the others have addresses
            found = await self._node.rpc("deriveaddresses", descriptor, [0, self._each - 1])
            told = await self._node.batch([("validateaddress", (one,)) for one in found])
            return [one["scriptPubKey"] for one in told]
        scripts = []
        for index in range(self._each):
            first, second = (root.derive([branch + side, index]).get_public_key().sec().hex() for side in (0, 1))
            scripts.append(f"21{first}ac" if kind == "p2pk" else f"5121{first}21{second}52ae")
        return scripts

    # --- what is made ----------------------------------------------------------------------------------

    async def make(self, count: int) -> list[str]:
        """So many transactions that are accepted; returns their txids, of those that were replaced, too."""
        made: list[str] = []
        names, weights = list(self._ways), [weight for weight, _ in self._ways.values()]
        barren: set[str] = set()  # due, and could not be made of what there is just now
        while len(made) < count:
            due = sorted(self.due - barren)
            name = self._chance.choice(due) if due else self._chance.choices(names, weights)[0]
            try:
                txid = await self._ways[name][1]()
            except RpcRefused as error:
                if error.code not in _PASSING:
                    raise
                txid = None
            if txid is None:
                barren.add(name)
                continue
            barren.clear()
            self.due.discard(name)
            made.append(txid)
        return made

    async def replace(self) -> str | None:
        """Pay more for one that waits; returns the txid of the new one, None where none could be."""
        try:
            return await self._replacement()
        except RpcRefused as error:
            if error.code not in _PASSING:
                raise
            return None

    def mined(self) -> None:
        """All that waited is in a block."""
        self._waiting.clear()
        self._coins = [Coin(one.txid, one.vout, one.value) for one in self._coins]

    async def _payment(self) -> str | None:
        coins = self._take(self._chance.choice((1, 1, 1, 2)))
        return await self._pay(coins, self._chance.choice((1, 2, 2, 3)))

    async def _batch(self) -> str | None:
        return await self._pay(self._take(1, least=3_000_000), self._chance.randint(8, 40))

    async def _join(self) -> str | None:
        return await self._pay(self._take(self._chance.randint(3, 9)), 1)

    async def _child(self) -> str | None:
        """Spends what waits, so that chains grow."""
        waiting = [coin for coin in self._coins if 0 < coin.depth < 8 and coin.value > 5 * _FEWEST]
        if not waiting:
            return None
        coin = self._chance.choice(waiting)
        self._coins.remove(coin)
        return await self._pay([coin], self._chance.choice((1, 2)))

    async def _odd(self, name: str) -> str | None:
        """With an output that the wallet cannot spend."""
        chance = self._chance
        version, size = chance.randint(2, 16), chance.randint(2, 40)
        key = ec.PrivateKey(chance.randbytes(32), compressed=False).get_public_key().sec().hex()
        note = chance.choice((b"hello <b>you</b> \xc3\xa9", chance.randbytes(chance.randint(1, 75))))
        odd = {
            "data": (0, f"6a{len(note):02x}{note.hex()}"),
            "no data": (0, "6a"),
            "witness": (_FEWEST, f"{0x50 + version:02x}{size:02x}{chance.randbytes(size).hex()}"),
            "anchor": (_FEWEST, "51024e73"),  # P2A
            "long key": (_FEWEST, f"41{key}ac"),  # the form of the first coins
            "no point": (_FEWEST, f"5120{chance.randbytes(32).hex()}"),  # of the curve, most likely
        }[name]
        return await self._pay(self._take(1), chance.choice((1, 2)), [odd])

    async def _keys(self, kind: str) -> str | None:
        """To keys that no hash hides."""
        return await self._pay(self._take(1), 1, [(_FEWEST, self._chance.choice(self.scripts[kind]))])

    async def _replacement(self) -> str | None:
        waiting = [txid for txid in self._waiting if txid in self.made]
        if not waiting:
            return None
        old = self.made[self._chance.choice(waiting)]
        went = self._family(old.txid)
        fee = sum(self.made[txid].fee for txid in went) + 100 * (20 + 60 * len(old.spends) + 45 * len(old.pays))
        at = max(range(len(old.pays)), key=lambda one: old.pays[one][0])
        value, script = old.pays[at]
        if value - (fee - old.fee) < _FEWEST:
            return None
        pays = list(old.pays)
        pays[at] = value - (fee - old.fee), script
        txid = await self._send(old.spends, pays)
        self._coins = [coin for coin in self._coins if coin.txid not in went]
        for one in went:
            self.old[one] = self.made.pop(one)
            for coin in self.old[one].spends:
                if coin.txid not in went and coin not in old.spends:
                    self._coins.append(coin)
            self.replaced[one] = txid
        return txid

    def _family(self, txid: str) -> list[str]:
        """It and all that spends from it, oldest first."""
        family = [txid]
        for one, made in self.made.items():  # in the order in which they were made
            if one not in family and any(coin.txid in family for coin in made.spends):
                family.append(one)
        return family

    # --- how -------------------------------------------------------------------------------------------

    def _take(self, count: int, least: int = 5 * _FEWEST) -> list[Coin]:
        enough = [coin for coin in self._coins if coin.value >= least and coin.depth < 6]
        self._chance.shuffle(enough)
        enough.sort(key=lambda coin: self._kind(coin) in self.spent)  # what was never spent first
        taken = enough[:count]
        self._coins = [coin for coin in self._coins if coin not in taken]
        return taken

    def _kind(self, coin: Coin) -> str | None:
        """Of its script; None of one that was no transaction of ours."""
        made = self.made.get(coin.txid)
        return None if made is None else self._kinds[made.pays[coin.vout][1]]

    async def _pay(self, coins: Sequence[Coin], outputs: int, more: Sequence[tuple[int, str]] = ()) -> str | None:
        """Spend coins to so many scripts of ours, and to others; what is left of them is given back where it fails."""
        chance = self._chance
        size = 20 + 110 * len(coins) + 45 * (outputs + len(more))
        fee = int(size * 2 * chance.uniform(1, 30))
        left = sum(coin.value for coin in coins) - fee - sum(value for value, _ in more)
        if left < outputs * _FEWEST:
            self._coins += coins
            return None
        cuts = sorted(chance.randint(0, left - outputs * _FEWEST) for _ in range(outputs - 1))
        bounds = [0, *cuts, left - outputs * _FEWEST]
        values = [after - before + _FEWEST for before, after in pairwise(bounds)]
        kinds = chance.choices([kind for kind in self.scripts if kind not in WIDE], k=outputs)
        pays = [(value, chance.choice(self.scripts[kind])) for value, kind in zip(values, kinds, strict=True)]
        pays += more
        chance.shuffle(pays)
        try:
            return await self._send(coins, pays)
        except RpcRefused:
            self._coins += coins
            raise

    async def _send(self, coins: Sequence[Coin], pays: Sequence[tuple[int, str]], wallet: str = WALLET) -> str:
        chance = self._chance
        lock = chance.choice((0, 0, 0, 7, 1_600_000_000))
        raw = _unsigned(
            coins, pays, chance.choice((1, 2, 2)), lock, chance.choice((0xFFFFFFFD, 0xFFFFFFFD, 0, 1 << 22))
        )
        signed = await self._node.rpc("signrawtransactionwithwallet", raw, wallet=wallet)
        assert signed["complete"], (signed, self.seed)
        depth = max(coin.depth for coin in coins)
        try:
            txid: str = await self._node.rpc("sendrawtransaction", signed["hex"], 0)
            depth += 1
        except RpcRefused as error:
            if "script-toolarge" not in str(error) or depth:
                raise
            await self._node.rpc("generateblock", self._mining, [signed["hex"]])
            txid = (await self._node.rpc("decoderawtransaction", signed["hex"]))["txid"]
        fee = sum(coin.value for coin in coins) - sum(value for value, _ in pays)
        self.spent |= {kind for coin in coins if (kind := self._kind(coin)) is not None}
        self.made[txid] = Made(txid, tuple(coins), tuple(pays), fee, signed["hex"])
        if depth:
            self._waiting.append(txid)
        self._coins += [
            Coin(txid, vout, value, depth) for vout, (value, script) in enumerate(pays) if script in self._kinds
        ]
        return txid
