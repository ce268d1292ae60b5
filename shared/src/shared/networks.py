"""Consensus parameters that differ by network (bitcoin/src/kernel/chainparams.cpp)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

COIN: Final = 100_000_000
"""Satoshi in one bitcoin."""

TARGET_SPACING: Final = 600
"""Seconds between blocks that the difficulty aims at."""

RETARGET_INTERVAL: Final = 2016
"""Blocks between two difficulty adjustments."""

INITIAL_SUBSIDY: Final = 50 * COIN


@dataclass(frozen=True, slots=True)
class Network:
    """One Bitcoin network. `rpc_chain` is what `getblockchaininfo` calls it."""

    name: str
    rpc_chain: str
    halving_interval: int
    retargets: bool
    allows_min_difficulty: bool
    pow_limit_bits: int
    genesis_time: int
    genesis_hash: str
    p2pkh: int
    """First byte of a base58 address of a public key's hash (base58Prefixes)."""
    p2sh: int
    """First byte of a base58 address of a script's hash."""
    hrp: str
    """What a bech32 address begins with, before its 1 (bech32_hrp)."""
    patience_seconds: int = TARGET_SPACING
    """How long a node that has fewer blocks than were published may stand still before it is followed down."""

    def subsidy(self, height: int) -> int:
        """Satoshi that a block at `height` may create (GetBlockSubsidy)."""
        halvings = height // self.halving_interval
        return INITIAL_SUBSIDY >> halvings if halvings < 64 else 0

    def supply(self, height: int) -> int:
        """Satoshi created by the schedule up to and with `height`, the unspendable genesis output included.

        An upper bound of what exists: a few early miners claimed less than they were allowed.
        """
        total = 0
        start = 0
        while start <= height:
            subsidy = self.subsidy(start)
            if subsidy == 0:
                break
            blocks = min(self.halving_interval, height - start + 1)
            total += blocks * subsidy
            start += self.halving_interval
        return total

    @property
    def last_halving(self) -> int:
        """Number of the halving after which the subsidy is zero (33 with a start of 50 BTC)."""
        return INITIAL_SUBSIDY.bit_length()


_MAIN_LIMIT: Final = 0x1D00FFFF

NETWORKS: Final = {
    n.name: n
    for n in (
        Network(
            name="main",
            rpc_chain="main",
            halving_interval=210_000,
            retargets=True,
            allows_min_difficulty=False,
            pow_limit_bits=_MAIN_LIMIT,
            genesis_time=1231006505,
            genesis_hash="000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
            p2pkh=0,
            p2sh=5,
            hrp="bc",
        ),
        Network(
            name="test",
            rpc_chain="test",
            halving_interval=210_000,
            retargets=True,
            allows_min_difficulty=True,
            pow_limit_bits=_MAIN_LIMIT,
            genesis_time=1296688602,
            genesis_hash="000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
            p2pkh=111,
            p2sh=196,
            hrp="tb",
        ),
        Network(
            name="testnet4",
            rpc_chain="testnet4",
            halving_interval=210_000,
            retargets=True,
            allows_min_difficulty=True,
            pow_limit_bits=_MAIN_LIMIT,
            genesis_time=1714777860,
            genesis_hash="00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
            p2pkh=111,
            p2sh=196,
            hrp="tb",
        ),
        Network(
            name="signet",
            rpc_chain="signet",
            halving_interval=210_000,
            retargets=True,
            allows_min_difficulty=False,
            pow_limit_bits=0x1E0377AE,
            genesis_time=1598918400,
            genesis_hash="00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
            p2pkh=111,
            p2sh=196,
            hrp="tb",
        ),
        Network(
            name="regtest",
            rpc_chain="regtest",
            halving_interval=150,
            retargets=False,
            allows_min_difficulty=True,
            pow_limit_bits=0x207FFFFF,
            genesis_time=1296688602,
            genesis_hash="0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
            p2pkh=111,
            p2sh=196,
            hrp="bcrt",
            patience_seconds=2,  # blocks come when their owner wants, and nobody else has them
        ),
    )
}
"""Every network that can be configured, by its name."""
