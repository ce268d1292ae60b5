"""`python -m local_run`, which `make run` calls."""

from __future__ import annotations

import asyncio
import sys

from local_run.app import main

if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
