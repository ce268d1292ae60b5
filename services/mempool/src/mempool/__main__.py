"""`python -m mempool`."""

import sys

from mempool.app import run
from shared.service import main

sys.exit(main("mempool", run))
