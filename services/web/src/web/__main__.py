"""Starts the web service."""

import sys

from shared.service import main
from web.app import run

sys.exit(main("web", run))
