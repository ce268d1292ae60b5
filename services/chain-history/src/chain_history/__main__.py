"""`python -m chain_history`."""

import sys

from chain_history.app import run
from shared.service import main

sys.exit(main("chain-history", run))
