"""`python -m chain_ingest`."""

import sys

from chain_ingest.app import run
from shared.service import main

sys.exit(main("chain-ingest", run))
