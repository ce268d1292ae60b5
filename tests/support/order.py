"""Which modules of tests run first, so that all workers of a run end at about the same time."""

from __future__ import annotations

from typing import Final

LONG: Final = (
    "web/test_chart_browser", "faults/test_wrong_node", "faults/test_wrong_redis", "faults/test_kill",
    "faults/test_conditions", "web/test_lists_browser", "faults/test_backfill", "local/test_debian",
    "shared/test_redis_refuses", "local/test_generator", "faults/test_distributed", "web/test_chart_api",
    "faults/test_wrong_clocks", "web/test_miners_browser", "chain_ingest/test_agreement", "web/test_chart_live",
    "explorer/test_explorer_agrees", "explorer/test_electrum_pages", "faults/test_lost_history",
    "faults/test_reorganisation", "chain_ingest/test_lost_records", "local/test_run", "market/test_market_history",
    "mempool/test_mempool_flow_live", "e2e/test_truth", "web/test_esplora_lookups", "local/test_venv",
)  # fmt: skip
"""The modules that take longest, by folder and name. A worker takes one module at a time: the last ones are short.
"""
