"""What templates see of a snapshot: its own attributes, and every view by its name."""

from __future__ import annotations

from typing import Any, Final

from shared.domains import DOMAINS
from web.state.snapshot import Snapshot

_KINDS: Final = {domain.name: domain.views for domain in DOMAINS}


class Seen:
    """`s.tip` is the view of that name. Where several domains have one, `s.of("chain").tip` says whose is meant."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __getattr__(self, name: str) -> Any:
        found = [views[name] for views in _KINDS.values() if name in views]
        if len(found) > 1:
            raise LookupError(f"several domains have a view {name}: expected s.of(DOMAIN).{name}")
        return self._snapshot[found[0]] if found else getattr(self._snapshot, name)

    def of(self, domain: str) -> dict[str, Any]:
        """The views of one domain by their names."""
        return {name: self._snapshot[kind] for name, kind in _KINDS[domain].items()}
