"""`python -m explorer`."""

import sys

from explorer.app import run
from shared.service import main

sys.exit(main("explorer", run))
