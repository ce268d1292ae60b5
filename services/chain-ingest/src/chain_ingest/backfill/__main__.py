"""`python -m chain_ingest.backfill`."""

import os
import sys

from chain_ingest.backfill.app import run
from shared.service import main

os.nice(10)  # the past gives way to the present on the processor, too
sys.exit(main("backfill", run))
