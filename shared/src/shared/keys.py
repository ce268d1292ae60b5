"""Every Redis key and stream: its name, type, owner and retention. No other module spells one.

A key reads `{<network>:<slot>}:<name>`. The braces are a cluster hash tag: a fold's input stream, state,
checkpoint and output stream share a slot, so that one script can commit them together. Most keys follow from what
shared.domains declares; the others stand below with the service that owns them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.explorer_keys import ExplorerKeys

if TYPE_CHECKING:
    from shared.domains import Domain, Stream

STREAM_KEEP = 50_000
"""Entries that a stream keeps for readers who resume, even when every group has read them."""

STREAM_CAP = 500_000
"""Entries above which a stream is cut although a group has not read them; the fold then rebuilds."""

BLOCKS_KEEP = 2_016
"""As STREAM_KEEP, for blocks, whose entries are some 5 kB each."""

OPS_KEEP = 2_000
"""Operational events kept."""

LEASE_MS = 6_000
"""A lease that is not renewed ends after this time, and a standby replica takes over."""

SERIES_KEEP = 5_000
"""As STREAM_KEEP, for the announcements that series changed."""

ASSETS_KEEP = 16
"""As STREAM_KEEP, for what sources say of assets, whose entries are up to 200 kB each; all is told again."""

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

PRICE_MINUTE_SEGMENT, PRICE_MINUTES_KEEP = 1_440, 3 * 1_440
"""Prices by the minute: three days, so that two whole ones are always there."""

PRICE_HOUR_SEGMENT, PRICE_HOURS_KEEP = 720, 91 * 24
"""By the hour: 91 days."""

QUOTE_MINUTE_SEGMENT, QUOTE_MINUTES_KEEP = 1_440, 90 * 1_440
"""What each source said, by the minute: 90 days, some 24 MB."""

LEFT_KEEP = 20_000
"""Newest transactions that left the mempool and are known again when they return: those of some three full blocks."""

EXPECTED_KEEP = 1_008
"""Newest blocks of which is kept what was expected in them: those of a week."""

CHANGES_KEEP = 10_000
"""As STREAM_KEEP, for what the explorer tells of what somebody looks at."""

HEALTH_STALE_MS = 10_000
"""A heartbeat older than this counts as a service that is down."""

HEALTH_FORGET_MS = 3_600_000
"""A heartbeat older than this is removed."""

FOLDED_SEQ = "seq"
"""Field beside the views of a fold: sequence of the last entry of its stream that they contain."""


@dataclass(frozen=True, slots=True)
class Keys(ExplorerKeys):
    """The keys of one network."""

    network: str

    def _key(self, slot: str, name: str) -> str:
        return f"{{{self.network}:{slot}}}:{name}"

    # --- of any stream, by its producer --------------------------------------------------------------

    def stream(self, stream: Stream) -> str:
        """The stream itself. Owner, events and retention as declared."""
        return self._key(stream.slot, stream.name)

    def producer(self, stream: Stream) -> str:
        """Hash of its producer: `cursor` (sequence of the last entry), `commits`; of chain-ingest also `work`
        (chainwork published), and `block` (last block whose transactions left), `count` (how many `published` must
        hold) and `layout` (of its records) of the mempool.
        """
        return self._key(stream.slot, "producer")

    def published(self, stream: Stream) -> str:
        """Hash of chain-ingest, what its stream says. chain: height -> hash of each block that is connected, newest
        REORG_BLOCKS; mempool: txid (32 bytes) -> fee, vsize, time, inputs of each transaction.
        """
        return self._key(stream.slot, "published")

    def resync(self, stream: Stream) -> str:
        """String, set by a fold that lost entries, or by the command that rebuilds (shared.anew); the producer begins
        anew and deletes it in the same commit.
        """
        return self._key(stream.slot, "resync")

    def confirmed(self, slot: str) -> str:
        """Hash of chain-ingest: when node and stream were last seen to agree (shared.views.Confirmed)."""
        return self._key(slot, "confirmed")

    # --- of any domain, by its owner -----------------------------------------------------------------

    def views(self, domain: Domain) -> str:
        """Hash: view name -> JSON (shared.views), what web renders; FOLDED_SEQ."""
        return self._key(domain.slot, f"{domain.prefix}views")

    def state(self, domain: Domain) -> str:
        """Hash: what the fold needs to go on. Its fields are the owner's business."""
        return self._key(domain.slot, f"{domain.prefix}state")

    def checkpoint(self, domain: Domain) -> str:
        """Hash: `cursor` (entry id and sequence of the last entry folded), `commits`, `layout` of the state,
        `attempts:ID` (at an entry that fails); of the mempool also `synced`, `flow_until`, `count` (how many the state
        must hold).
        """
        return self._key(domain.slot, f"{domain.prefix}checkpoint")

    # --- of any slot ---------------------------------------------------------------------------------

    def series(self, slot: str, name: str, segment: int) -> str:
        """String: one segment of a series (shared.series), fixed-width records one after the other."""
        return self._key(slot, f"series:{name}:{segment}")

    def series_index(self, slot: str) -> str:
        """Set of `NAME:SEGMENT`: the segments that exist. Owner: the service that writes the slot's series."""
        return self._key(slot, "series-index")

    def series_layouts(self, slot: str) -> str:
        """Hash of series name -> layout version of its records (shared.layouts). Owner as of `series_index`."""
        return self._key(slot, "series-layouts")

    def lease(self, slot: str, holder: str) -> str:
        """String with LEASE_MS: the fencing token of the active replica of `holder` (a service)."""
        return self._key(slot, f"lease:{holder}")

    def fence(self, slot: str, holder: str) -> str:
        """Counter of the fencing tokens handed out for that lease."""
        return self._key(slot, f"fence:{holder}")

    def dead(self, slot: str) -> str:
        """Stream of entries that could not be folded, with their error. Keeps OPS_KEEP."""
        return self._key(slot, "dead")

    # --- {net:chain}: owner chain-history --------------------------------------------------------------

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
        """Hash of chain-history: day -> blocks, weight, subsidy and fees by pool (shared.pools). All are kept."""
        return self._key("chain", "history-pools")

    def claim(self, what: str) -> str:
        """String with CLAIM_MS, of one backfill worker: nobody else fetches `what` meanwhile."""
        return self._key("chain", f"claim:{what}")

    # --- {net:mempool}: owner mempool ------------------------------------------------------------------

    @property
    def mempool_left(self) -> str:
        """List of mempool: txids (32 bytes) of what left, so that it counts once when it returns. Newest LEFT_KEEP."""
        return self._key("mempool", "left")

    @property
    def mempool_expected(self) -> str:
        """Hash of mempool: block hash (32 bytes) -> JSON (shared.expected), newest EXPECTED_KEEP; `since`: when that
        began (Unix ms of Redis' clock), `pending`: of a block whose transactions are leaving.
        """
        return self._key("mempool", "expected")

    # --- {net:marketcap}: owner marketcap --------------------------------------------------------------

    @property
    def asset_answers(self) -> str:
        """Hash of marketcap, by part: JSON of what sources said last, so that a restart asks nobody; `asked`: when."""
        return self._key("marketcap", "answers")

    def ranks(self, kind: str) -> str:
        """Hash of marketcap, of one list (shared.assets.LISTS): day -> JSON of `[id, rank, USD]` of the first 100.

        Days are Unix time over 86,400; today's is rewritten every ten minutes. All are kept: nobody can tell it again.
        """
        return self._key("marketcap", f"ranks:{kind}")

    # --- {net:ops}: every service ----------------------------------------------------------------------

    @property
    def health(self) -> str:
        """Hash, one field a service instance, written by that instance: its heartbeat as JSON (shared.views.Health)."""
        return self._key("ops", "health")

    # --- {net:outside}: every service that asks somebody outside ------------------------------------------

    def outside_record(self, provider: str) -> str:
        """Hash of whoever asks a source: how often, how it went, until when it is left alone (shared.outside)."""
        return self._key("outside", f"record:{provider}")

    def outside_asked(self, provider: str) -> str:
        """List of whoever asks a source: when it was, newest first, as many and as long as its limits need."""
        return self._key("outside", f"asked:{provider}")

    # --- {net:explorer}: web ----------------------------------------------------------------------------

    def wallet(self, name: str) -> str:
        """String with a limit that web sets: what was entered (shared.wallets), sealed. `name` is Seal.name."""
        return self._key("explorer", f"wallet:{name}")

    @property
    def wallets_entered(self) -> str:
        """Sorted set of web: keyed hash of a client, `:`, a wallet's name -> until when it is kept (Unix ms)."""
        return self._key("explorer", "wallets-entered")

    @property
    def wallets_walked(self) -> str:
        """Sorted set of web: the same of wallets that are looked up now -> until when at the latest, ten minutes."""
        return self._key("explorer", "wallets-walked")

    # --- of a slot whose work anybody may do ----------------------------------------------------------

    def requests(self, slot: str) -> str:
        """Stream of jobs (shared.jobs), from whoever asks; whoever does one deletes it. JOBS_CAP with `retries`."""
        return self._key(slot, "requests")

    def jobs(self, slot: str) -> str:
        """Hash of what is asked for -> its entry's id in `requests`, or `+` and the entry while it is deferred."""
        return self._key(slot, "jobs")

    def retries(self, slot: str) -> str:
        """Sorted set of what failed and is tried again, by when (Unix milliseconds of Redis' clock)."""
        return self._key(slot, "retries")

    def answer(self, slot: str, what: str) -> str:
        """String with a limit that the service sets: JSON (shared.jobs.Answer) about `what` was asked for."""
        return self._key(slot, f"answer:{what}")


def same_slot(one: str, other: str) -> bool:
    """Whether two keys have the same hash tag, so that one script may change both."""
    return one.partition("}")[0] == other.partition("}")[0]
