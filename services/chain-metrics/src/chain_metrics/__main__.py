"""`python -m chain_metrics`."""

import sys

from chain_metrics.app import run
from shared.service import main

sys.exit(main("chain-metrics", run))
