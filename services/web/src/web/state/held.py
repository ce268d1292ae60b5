"""What Redis holds for web, decoded: views and heartbeats, and which of it cannot be read. No I/O.

What cannot be read is named once in the log and told on the pages for as long as it stands; the rest goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson
import structlog
from redis.exceptions import ResponseError

from shared import domains
from shared.clock import SKEW_MS
from shared.keys import FOLDED_SEQ
from shared.views import Confirmed, Health, View
from web.state import truth

VIEWS: Final = {domain.name: domain.views for domain in domains.DOMAINS}
"""The views of each domain, by their names in its hash."""

_HEARTBEAT: Final = "heartbeat of "
_health_decoder: Final = msgspec.json.Decoder(Health)
_decoders: Final[dict[type[View], msgspec.json.Decoder[Any]]] = {
    kind: msgspec.json.Decoder(kind) for views in VIEWS.values() for kind in views.values()
}


class Held:
    """What was read last. `unreadable` says what of it is no use, and why."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self._log = log
        self.unreadable: dict[str, str] = {}
        self.folded: dict[str, int | None] = {}
        self._raw: dict[str, dict[str, bytes]] = {domain: {} for domain in VIEWS}

    def checked(self, key: str, reply: Any) -> Any:
        """The reply, or None where Redis refuses this key."""
        if isinstance(reply, ResponseError):
            self._told(key, reply)
            return None
        self.unreadable.pop(key, None)
        return reply

    def views(self, domain: str, raw: Mapping[bytes, bytes]) -> dict[type[View], View | None]:
        """The views of a domain that are others than before; None for one that is gone, or cannot be read."""
        found = {name: raw[name.encode()] for name in VIEWS[domain] if name.encode() in raw}
        known = self._raw[domain]
        updates: dict[type[View], View | None] = {}
        for name, kind in VIEWS[domain].items():
            if found.get(name) != known.get(name):
                updates[kind] = self._view(domain, name, found.get(name))
        self._raw[domain] = found
        self.folded[domain] = self.count(domain, raw.get(FOLDED_SEQ.encode()))
        return updates

    def _view(self, domain: str, name: str, raw: bytes | None) -> View | None:
        kind = VIEWS[domain][name]
        what = name if sum(name in views for views in VIEWS.values()) == 1 else f"{name} of {domain}"
        self.unreadable.pop(what, None)
        if raw is None:
            return None
        try:
            view: View = _decoders[kind].decode(raw)
            orjson.dumps(msgspec.to_builtins(view))  # refuses whole numbers beyond 64 bits, which count nothing
        except (msgspec.DecodeError, TypeError) as error:
            self._told(what, error)
            return None
        return view

    def count(self, domain: str, raw: bytes | None) -> int | None:
        """The last entry that the views of a domain contain; None where nothing says."""
        what = f"{FOLDED_SEQ} beside the views of {domain}"
        try:
            found = truth.folded(raw)
        except ValueError as error:
            self._told(what, error)
            return None
        self.unreadable.pop(what, None)
        return found

    def confirmed(self, key: str, raw: Mapping[bytes, bytes] | None, now_ms: int) -> Confirmed | None:
        """What chain-ingest confirmed last; None where there is nothing to read."""
        what = f"what {key} says"  # the key itself is what Redis may refuse
        try:
            found = truth.confirmed(raw or {}, now_ms)
        except ValueError as error:
            self._told(what, error)
            return None
        self.unreadable.pop(what, None)
        return found

    def heartbeats(self, raw: Mapping[bytes, bytes], now_ms: int) -> tuple[Health, ...]:
        """The heartbeats, by instance."""
        services = []
        wrong = {what for what in self.unreadable if what.startswith(_HEARTBEAT)}
        for field, value in sorted(raw.items()):
            what = f"{_HEARTBEAT}{field.decode(errors='replace')[:80]}"
            try:
                health = _health_decoder.decode(value)
                error = _unlikely(health, now_ms)
            except msgspec.DecodeError as failure:
                error = str(failure)
            if error:
                self._told(what, error)
                wrong.discard(what)
            else:
                services.append(_clipped(health))
        for what in wrong:
            del self.unreadable[what]
        return tuple(services)

    def _told(self, what: str, error: Exception | str) -> None:
        text = f"{what}: {error}"
        if what not in self.unreadable:
            self._log.error("unreadable", what=what, error=str(error))
        self.unreadable[what] = text


def _clipped(health: Health) -> Health:
    """Without what is longer than anybody reads, so that showing it costs a bounded time."""
    details = {
        name: value[: truth.WORDS] if isinstance(value, str) else value for name, value in health.details.items()
    }
    return msgspec.structs.replace(health, reason=health.reason[: truth.WORDS], details=details)


def _unlikely(health: Health, now_ms: int) -> str:
    """Why a heartbeat cannot be believed: one from the future would outlive the service that wrote it."""
    ahead = health.time_ms > now_ms + SKEW_MS
    return f"its time, {health.time_ms}, is ahead of Redis' clock" if ahead else ""
