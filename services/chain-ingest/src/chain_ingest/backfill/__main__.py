"""`python -m chain_ingest.backfill`."""

import sys

from chain_ingest.backfill.app import run
from shared.service import main

sys.exit(main("backfill", run))
