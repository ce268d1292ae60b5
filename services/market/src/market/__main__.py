"""`python -m market`."""

import sys

from market.app import run
from shared.service import main

sys.exit(main("market", run))
