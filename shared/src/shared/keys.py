"""Every Redis key and stream: its name, type, owner and retention. No other module spells one.

A key reads `{<network>:<domain>}:<name>`. The braces are a cluster hash tag: a fold's input stream, state,
checkpoint and output stream share a slot, so that one script can commit them together.
"""

from __future__ import annotations

from dataclasses import dataclass

STREAM_KEEP = 50_000
"""Entries that a stream keeps for readers who resume, even when every group has read them."""

STREAM_CAP = 500_000
"""Entries above which a stream is cut although a group has not read them; the fold then rebuilds."""

BLOCKS_KEEP = 2_016
"""As STREAM_KEEP, for blocks, whose entries are some 5 kB each."""

FOLDS = frozenset({"chain-metrics", "chain-history", "mempool"})
"""Services that read a stream through a group of their name: what they have not read is kept for them."""

OPS_KEEP = 2_000
"""Operational events kept."""

LEASE_MS = 6_000
"""A lease that is not renewed ends after this time, and a standby replica takes over."""

SERIES_KEEP = 5_000
"""As STREAM_KEEP, for the announcements that series changed."""

BACKFILL_CAP = 32
"""Entries of the backfill that wait for the fold at most; the workers wait beyond that. Each is some 100 kB."""

CLAIM_MS = 10_000
"""A worker's claim to a part of the backfill, renewed while it works; another may take the part afterwards."""

JOBS_CAP = 1_000
"""Jobs of a domain that wait, run or are deferred at most; whoever asks for more is told so."""

REORG_BLOCKS = 6_048
"""Newest blocks whose statistics can be taken back exactly; as deep as chain-ingest remembers what it published."""

SEGMENT_BLOCKS = 2_016
"""Blocks in one segment of a series by height."""

HOUR_SEGMENT, HOURS_KEEP = 720, 2 * 365 * 24
"""Buckets of an hour: in one segment, and kept (two years; older charts rest on days)."""

DAY_SEGMENT, WEEK_SEGMENT = 512, 512
"""Buckets of a day and of a week in one segment. All are kept."""

FLOW_10S_SEGMENT, FLOW_10S_KEEP = 2_160, 2 * 8_640
"""What entered the mempool by 10 s: two days."""

FLOW_MINUTE_SEGMENT, FLOW_MINUTE_KEEP = 1_440, 31 * 1_440
"""By the minute: 31 days."""

CONGESTION_MINUTE_SEGMENT, CONGESTION_MINUTE_KEEP = 360, 8 * 1_440
"""What waits in the mempool by the minute: eight days."""

MEMPOOL_HOUR_SEGMENT = 720
"""Flow and congestion by the hour. All is kept: no node can tell it again."""

LEFT_KEEP = 20_000
"""Newest transactions that left the mempool and are known again when they return: those of some three full blocks."""

HEALTH_STALE_MS = 10_000
"""A heartbeat older than this counts as a service that is down."""

HEALTH_FORGET_MS = 3_600_000
"""A heartbeat older than this is removed."""

FOLDED_SEQ = "seq"
"""Field beside the views of a fold: sequence of the last entry of its stream that they contain."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one network."""

    network: str

    def _key(self, domain: str, name: str) -> str:
        return f"{{{self.network}:{domain}}}:{name}"

    # --- {net:chain}: owner chain-ingest ---------------------------------------------------------------

    @property
    def blocks(self) -> str:
        """Stream of `headers.loaded`, `block.connected`, `block.disconnected`. Keeps BLOCKS_KEEP."""
        return self._key("chain", "blocks")

    @property
    def chain_producer(self) -> str:
        """Hash of chain-ingest: `cursor` (sequence of the last entry), `commits`, `work` (chainwork published)."""
        return self._key("chain", "producer")

    @property
    def chain_published(self) -> str:
        """Hash of chain-ingest: height -> hash of each block that the stream says is connected. Newest 6,048."""
        return self._key("chain", "published")

    @property
    def chain_resync(self) -> str:
        """String, set by a fold that lost entries; chain-ingest begins anew and deletes it in the same commit."""
        return self._key("chain", "resync")

    # --- {net:chain}: owner chain-metrics --------------------------------------------------------------

    @property
    def chain_checkpoint(self) -> str:
        """Hash of chain-metrics: `cursor` (entry id and sequence of the last entry folded), `commits`, `layout` of the
        state, `attempts:ID` (at an entry that fails)."""
        return self._key("chain", "checkpoint")

    @property
    def chain_state(self) -> str:
        """Hash of chain-metrics: what the fold needs to go on (`tip`; height -> header and row)."""
        return self._key("chain", "state")

    @property
    def chain_views(self) -> str:
        """Hash of chain-metrics: view name -> JSON (shared.views), what web renders."""
        return self._key("chain", "views")

    @property
    def metrics(self) -> str:
        """Stream of chain-metrics: `metrics.updated`. Keeps BLOCKS_KEEP."""
        return self._key("chain", "metrics")

    # --- {net:chain}: owner chain-history --------------------------------------------------------------

    @property
    def history_checkpoint(self) -> str:
        """Hash of chain-history: as of chain-metrics."""
        return self._key("chain", "history-checkpoint")

    @property
    def history_state(self) -> str:
        """Hash of chain-history: `state` (what is covered, where it ends), `pool:ID` (a pool's name)."""
        return self._key("chain", "history-state")

    @property
    def history_recent(self) -> str:
        """Hash of chain-history: height -> its largest transactions, packed. Newest REORG_BLOCKS."""
        return self._key("chain", "history-recent")

    @property
    def history_largest(self) -> str:
        """Hash of chain-history: `DAY:HALVING` -> the largest transactions of that day, packed. All are kept."""
        return self._key("chain", "history-largest")

    @property
    def history_pools(self) -> str:
        """Hash of chain-history: day -> blocks by mining pool, packed. All are kept."""
        return self._key("chain", "history-pools")

    @property
    def history_views(self) -> str:
        """Hash of chain-history: view name -> JSON (shared.views), what web renders."""
        return self._key("chain", "history-views")

    @property
    def series_updates(self) -> str:
        """Stream of chain-history: `series.updated`, at most one a second. Keeps SERIES_KEEP."""
        return self._key("chain", "series-updates")

    @property
    def backfill(self) -> str:
        """Stream from the backfill's workers to chain-history, which deletes what it has folded. BACKFILL_CAP."""
        return self._key("chain", "backfill")

    def claim(self, what: str) -> str:
        """String with CLAIM_MS, of one backfill worker: nobody else fetches `what` meanwhile."""
        return self._key("chain", f"claim:{what}")

    # --- {net:mempool}: owner chain-ingest -------------------------------------------------------------

    @property
    def txs(self) -> str:
        """Stream of `mempool.reset`, `tx.added`, `tx.removed`, `mempool.synced`. STREAM_KEEP, cut at STREAM_CAP."""
        return self._key("mempool", "txs")

    @property
    def mempool_producer(self) -> str:
        """Hash of chain-ingest: `cursor`, `commits`, `block` (last block whose transactions left), `count` (how many
        `mempool_published` must hold), `layout` (of its records)."""
        return self._key("mempool", "producer")

    @property
    def mempool_published(self) -> str:
        """Hash of chain-ingest: txid (32 bytes) -> fee, vsize, time, inputs of what the stream has in the mempool."""
        return self._key("mempool", "published")

    @property
    def mempool_resync(self) -> str:
        """String, set by a fold that lost entries; chain-ingest begins anew and deletes it in the same commit."""
        return self._key("mempool", "resync")

    # --- {net:mempool}: owner mempool ------------------------------------------------------------------

    @property
    def mempool_checkpoint(self) -> str:
        """Hash of mempool: as of chain-metrics, and `synced`, `flow_until`, `count` (how many the state must hold)."""
        return self._key("mempool", "checkpoint")

    @property
    def mempool_state(self) -> str:
        """Hash of mempool: txid (32 bytes) -> packed transaction."""
        return self._key("mempool", "state")

    @property
    def mempool_left(self) -> str:
        """List of mempool: txids (32 bytes) of what left, so that it counts once when it returns. Newest LEFT_KEEP."""
        return self._key("mempool", "left")

    @property
    def mempool_views(self) -> str:
        """Hash of mempool: view name -> JSON (shared.views), what web renders."""
        return self._key("mempool", "views")

    @property
    def fees(self) -> str:
        """Stream of mempool: `mempool.updated`, at most one a second. Keeps BLOCKS_KEEP."""
        return self._key("mempool", "fees")

    # --- {net:ops}: every service ----------------------------------------------------------------------

    @property
    def ops(self) -> str:
        """Stream of `service.*`, `node.changed`, `chain.rolled_back`, `gap.*`. Keeps OPS_KEEP."""
        return self._key("ops", "events")

    @property
    def health(self) -> str:
        """Hash, one field a service instance, written by that instance: its heartbeat as JSON (shared.views.Health)."""
        return self._key("ops", "health")

    # --- of any domain ---------------------------------------------------------------------------------

    def confirmed(self, domain: str) -> str:
        """Hash of chain-ingest: when node and stream of the domain were last seen to agree (shared.views.Confirmed)."""
        return self._key(domain, "confirmed")

    def series(self, domain: str, name: str, segment: int) -> str:
        """String: one segment of a series (shared.series), fixed-width records one after the other."""
        return self._key(domain, f"series:{name}:{segment}")

    def series_index(self, domain: str) -> str:
        """Set of `NAME:SEGMENT`: the segments that exist. Owner: the service that writes the domain's series."""
        return self._key(domain, "series-index")

    def series_layouts(self, domain: str) -> str:
        """Hash of series name -> layout version of its records (shared.layouts). Owner as of `series_index`."""
        return self._key(domain, "series-layouts")

    def lease(self, domain: str, holder: str) -> str:
        """String with LEASE_MS: the fencing token of the active replica of `holder` (a service)."""
        return self._key(domain, f"lease:{holder}")

    def fence(self, domain: str, holder: str) -> str:
        """Counter of the fencing tokens handed out for that lease."""
        return self._key(domain, f"fence:{holder}")

    def dead(self, domain: str) -> str:
        """Stream of entries that could not be folded, with their error. Keeps OPS_KEEP."""
        return self._key(domain, "dead")

    def requests(self, domain: str) -> str:
        """Stream of jobs (shared.jobs), from whoever asks; whoever does one deletes it. JOBS_CAP with `retries`."""
        return self._key(domain, "requests")

    def jobs(self, domain: str) -> str:
        """Hash of what is asked for -> its entry's id in `requests`, or `+` and the entry while it is deferred."""
        return self._key(domain, "jobs")

    def retries(self, domain: str) -> str:
        """Sorted set of what failed and is tried again, by when (Unix milliseconds of Redis' clock)."""
        return self._key(domain, "retries")

    def answer(self, domain: str, what: str) -> str:
        """String with a limit that the service sets: JSON (shared.jobs.Answer) about `what` was asked for."""
        return self._key(domain, f"answer:{what}")

    def streams(self) -> dict[str, str]:
        """Public streams by the short name that `/api/v1/events?streams=` uses."""
        return {
            "blocks": self.blocks,
            "txs": self.txs,
            "fees": self.fees,
            "metrics": self.metrics,
            "series": self.series_updates,
            "ops": self.ops,
        }


def same_slot(one: str, other: str) -> bool:
    """Whether two keys have the same hash tag, so that one script may change both."""
    return one.partition("}")[0] == other.partition("}")[0]
