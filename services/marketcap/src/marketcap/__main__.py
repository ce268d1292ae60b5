"""`python -m marketcap`."""

import sys

from marketcap.app import run
from shared.service import main

sys.exit(main("marketcap", run))
