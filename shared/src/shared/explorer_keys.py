"""Keys of `{net:explorer}`, a part of shared.keys.Keys: the explorer's own, but for what web says is looked at."""

from __future__ import annotations


class ExplorerKeys:
    """Each says its type, owner and retention, as all keys do."""

    __slots__ = ()

    def _key(self, slot: str, name: str) -> str:
        raise NotImplementedError  # by Keys, which knows the network

    @property
    def watched(self) -> str:
        """Sorted set of web: what somebody looks at (a txid, a script hash) -> until when (Unix ms of Redis' clock)."""
        return self._key("explorer", "watched")

    @property
    def timeline_waiting(self) -> str:
        """Hash of explorer: txid (32 bytes) -> since when, feerate and parents of each in the mempool."""
        return self._key("explorer", "timeline-waiting")

    @property
    def timeline_waits(self) -> str:
        """Hash of explorer: day and band -> how long what was mined had waited; what the newest ten blocks mined."""
        return self._key("explorer", "timeline-waits")

    @property
    def timeline_chapters(self) -> str:
        """Hash of explorer: number -> JSON of each chapter of the timeline, for TIMELINE_DAYS and TIMELINE_MEMORY."""
        return self._key("explorer", "timeline-chapters")

    @property
    def timeline_members(self) -> str:
        """Hash of explorer: `+` or `-` and a hash -> what is (was) in that block, 8 bytes each. Newest ten of each."""
        return self._key("explorer", "timeline-members")

    def timeline_blocks(self, chapter: int) -> str:
        """Hash of explorer, kept as long as its chapter: last 5 bytes of a hash -> a block and what became of it."""
        return self._key("explorer", f"timeline-blocks:{chapter}")

    def timeline(self, chapter: int, bucket: int) -> str:
        """Hash of explorer, kept as long as its chapter: 8 bytes of a txid, and a moment -> what happened.

        There are thousands of each chapter, small enough to be stored as listpacks: hence the short name.
        """
        return self._key("explorer", f"t:{chapter}:{bucket:x}")

    def progress(self, scripthash: str) -> str:
        """String of the explorer, for 30 s: JSON (shared.lookups.address.Working), how far a look-up of a script is."""
        return self._key("explorer", f"progress:{scripthash}")

    def wallet_partial(self, name: str) -> str:
        """String of the explorer, for 30 s: what is known of a wallet while its look-up goes on, sealed."""
        return self._key("explorer", f"wallet-partial:{name}")

    def scanned(self, scripthash: str) -> str:
        """String of the explorer, for ten minutes: what a scan of the node's coins and blocks found of a script."""
        return self._key("explorer", f"scanned:{scripthash}")

    def script(self, scripthash: str) -> str:
        """String of the explorer, for half an hour: the script in hex, of one that was looked up or is watched."""
        return self._key("explorer", f"script:{scripthash}")

    def status_seen(self, scripthash: str) -> str:
        """String of the explorer, for two minutes: Electrum's status of the oldest answer about a script since then."""
        return self._key("explorer", f"seen:{scripthash}")

    def status_told(self, scripthash: str) -> str:
        """String of the explorer, while a script is watched and a minute longer: the status that was told last."""
        return self._key("explorer", f"told:{scripthash}")
