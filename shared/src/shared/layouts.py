"""Layout versions: in which form a series or a fold's state is stored, so that no other form is ever misread.

A series names its layout in the hash `Keys.series_layouts`, a fold that of its state in the field LAYOUT of its
checkpoint. Nothing said means 1, the form of the time before there were versions. What is older than the code is
converted by its one writer, under its lease: it reads the old form when it restores, and the next guarded commit writes
the new form and its version together, so that a kill at any point leaves the one or the other. What is newer than the
code is neither read nor written: `UnknownLayout` says so until the newer software is back.
"""

from __future__ import annotations

from typing import Final

from shared.commit import Commands
from shared.errors import UnknownLayout
from shared.redis import Client

FIRST: Final = 1
"""What is stored where nothing says its layout."""

LAYOUT: Final = "layout"
"""Field of a checkpoint: the layout of the state beside it."""


def understood(stored: bytes | None, newest: int, what: str) -> int:
    """The layout that `what` is stored in, at most `newest`; raises UnknownLayout where this code cannot know it."""
    if stored is None:
        return FIRST
    if not stored.isdigit() or not FIRST <= int(stored) <= newest:
        raise UnknownLayout(
            f"{what} is stored in layout {stored.decode(errors='replace')}, this version of the software knows those "
            f"up to {newest}: nothing is read or changed until the newer version runs again"
        )
    return int(stored)


async def of_state(client: Client, checkpoint: str, newest: int) -> int:
    """The layout of the state beside a checkpoint, at most `newest`; raises UnknownLayout."""
    return understood(await client.hget(checkpoint, LAYOUT), newest, f"the state beside {checkpoint}")


def mark_state(commands: Commands, checkpoint: str, version: int) -> None:
    """Say which layout the state beside a checkpoint has; belongs into the commit that writes it so."""
    commands.add("HSET", checkpoint, LAYOUT, version)
