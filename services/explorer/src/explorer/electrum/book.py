"""Which scripts are subscribed, what is known of each, and what was told: each difference once.

The book outlives connections. A status counts if it came later than the one before, in the order of the messages of a
connection, so an answer that is read after a notification from behind it does not undo that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from explorer.electrum.answers import Status
from explorer.electrum.script import Script

OnChange = Callable[[str, Status], None]
"""Called with script hash and status, once for each difference; of several in quick succession with the last one.

It returns at once and raises nothing: what it raises ends `Electrum.run`.
"""


@dataclass(slots=True)
class Entry:
    """A script that somebody follows."""

    script: Script
    listeners: list[OnChange] = field(default_factory=list)
    known: bool = False  # whether any server has told its status
    status: Status = None
    told: Status = None
    arrival: int = 0
    sources: set[str] = field(default_factory=set)  # servers whose news of it count


class Book:
    """Every subscription."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.changed: dict[str, Entry] = {}  # whose status may be another than was told
        self._by_script: dict[str, Entry] = {}

    def add(self, script: Script, listener: OnChange) -> Entry:
        """Somebody wants to be told."""
        entry = self.entries.get(script.hash)
        if entry is None:
            entry = self.entries[script.hash] = Entry(script)
        elif script.script is not None:
            entry.script = script
        if script.script is not None:
            self._by_script[script.script] = entry
        entry.listeners.append(listener)
        return entry

    def drop(self, script: Script, listener: OnChange | None) -> bool:
        """Nobody is told any more, or this one is not. Returns whether nobody is left."""
        entry = self.entries.get(script.hash)
        if entry is None:
            return False
        entry.listeners = [one for one in entry.listeners if listener is not None and one != listener]
        if entry.listeners:
            return False
        del self.entries[script.hash]
        self.changed.pop(script.hash, None)
        if entry.script.script is not None:
            self._by_script.pop(entry.script.script, None)
        return True

    def find(self, named: str) -> Entry | None:
        """By hash, or by the script: protocol 1.7 names the script, and ElectrumX 2.0 the hash all the same."""
        return self.entries.get(named) or self._by_script.get(named)

    def heard(self, entry: Entry, status: Status, arrival: int) -> None:
        """The status of an entry came; the first one is not news."""
        if arrival <= entry.arrival:
            return
        entry.status, entry.arrival = status, arrival
        if not entry.known:
            entry.known, entry.told = True, status
        elif status != entry.told:
            self.changed[entry.script.hash] = entry

    def tell(self) -> list[tuple[Entry, Status]]:
        """What is to be told now; it counts as told."""
        news = []
        for entry in self.changed.values():
            if entry.status != entry.told:
                entry.told = entry.status
                news.append((entry, entry.status))
        self.changed.clear()
        return news
