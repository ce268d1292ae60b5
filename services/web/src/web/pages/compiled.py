"""Templates as they were compiled: kept in memory for all sites of a process, and on disk for the next process.

To compile all of them takes 0.9 s of a processor, to load what was compiled a tenth of that. They lie where Python
keeps what it compiled of modules, and by its rules: in `__pycache__` or under PYTHONPYCACHEPREFIX, not at all with
PYTHONDONTWRITEBYTECODE, and where nobody may write nothing is kept.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from importlib.util import cache_from_source
from pathlib import Path
from pickle import UnpicklingError
from typing import Final

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

_HERE: Final = Path(__file__).parent


class Compiled(BytecodeCache):
    """Bytecode by what Jinja calls it; a template whose source is another is compiled anew, as Jinja checks."""

    def __init__(self, folder: Path) -> None:
        """`folder` keeps it from one start to the next; it may be missing, or closed to us."""
        self._folder = folder
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket with what is kept."""
        kept = self._kept.get(bucket.key)
        if kept is None:
            try:
                kept = self._path(bucket).read_bytes()
            except OSError:
                return
            self._kept[bucket.key] = kept
        with contextlib.suppress(ValueError, EOFError, TypeError, UnpicklingError):  # cut short: it is made anew
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        kept = self._kept[bucket.key] = bucket.bytecode_to_string()
        if sys.dont_write_bytecode:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True, parents=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:  # whole, or not at all
                try:
                    file.write(kept)
                    os.fchmod(file.fileno(), 0o644)  # as Python's own are: whoever runs web may read it
                    os.replace(file.name, self._path(bucket))
                except OSError:
                    os.unlink(file.name)

    def _path(self, bucket: Bucket) -> Path:
        return self._folder / f"template-{bucket.key}.{sys.implementation.cache_tag}"


COMPILED: Final = Compiled(Path(cache_from_source(str(_HERE / "templates"))).parent)
"""Of this process."""
