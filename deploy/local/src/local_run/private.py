"""Folders and files that only their user may look into."""

from __future__ import annotations

import os
from pathlib import Path

UMASK = 0o077
"""Of processes whose files are nobody else's business."""


def folder(path: Path) -> None:
    """Make the folder, or close one of ours that others could look into."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def opener(path: str, flags: int) -> int:
    """For `open`: a file that it makes is its user's alone."""
    return os.open(path, flags, 0o600)


def write(path: Path, text: str) -> None:
    """Put the text into the file, which nobody else could read at any moment; its folder is made if need be."""
    folder(path.parent)
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    with open(temporary, "x", encoding="utf-8", opener=opener) as file:
        file.write(text)
    temporary.replace(path)
