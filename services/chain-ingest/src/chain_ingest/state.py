"""How chain-ingest stands, in its heartbeat."""

from __future__ import annotations

from chain_ingest.chain import ChainFollower
from chain_ingest.healing import Healing
from chain_ingest.mempool import MempoolFollower
from shared.service import HealthReport


class State:
    """Says it; the details go with every word."""

    def __init__(self, health: HealthReport, chain: ChainFollower, mempool: MempoolFollower, healing: Healing) -> None:
        self._health = health
        self._chain = chain
        self._mempool = mempool
        self._healing = healing

    def say(self, words: list[str]) -> None:
        """What a person should know; all is well where nothing is said."""
        said = "; ".join(part for part in words if part)
        if said:
            self._health.degraded(said, **self._details())
        else:
            self._health.ok(**self._details())

    def hold(self, words: str, progress: str) -> None:
        """Nothing is published of what is not whole yet."""
        self._health.degraded(words, **self._details(progress))

    def note(self, progress: str | None = None) -> None:
        """Details only."""
        self._health.note(**self._details(progress))

    def _details(self, progress: str | None = None) -> dict[str, str | int | None]:
        count, vsize, _ = self._mempool.published.totals
        return {
            "height": self._chain.tip_height,
            "mempool_count": count,
            "mempool_vsize": vsize,
            "progress": progress,
            "repairs": self._healing.repairs,
            "repeats": self._healing.snapshots.repeats,
        }
