"""What a visitor may know: that a service has trouble and which, but no address, path, name of a machine or process.

Only the operator's listener shows everything: from where the public one is reached it cannot tell. In doubt words are
masked.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import msgspec

from shared.domains import FOLDS
from shared.views import Health
from web.state.reading import State
from web.state.snapshot import Notice, Snapshot, StreamReport
from web.words.sentence import altered

_PROGRESS: Final = ("progress", "paused", "node")
"""Words among a heartbeat's details that help a visitor; figures do anyway."""


def _address_if_ipv6(found: re.Match[str]) -> str:
    try:
        ipaddress.IPv6Address(found[1])
    except ValueError:  # a time of day, for example
        return found[0]
    return "[address]"


_FRACTIONS: Final = (
    r"(?:sat|tx|blocks|[kM]?i?B)/(?:vB|s)|and/or|I/O|(?:application|text)/[\w+-]+|\d[\d.]*(?:/\d[\d.]*)+"
)
"""What has a slash and is no path."""

# Each begins at one place of a run of characters at most, so that its time grows with the length and no faster.
_MASKS: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(r"\b([A-Z][A-Z0-9_]+=)('[^']*'|\"[^\"]*\"|\S+)"), r"\1…"),  # a variable's value
    # also unix:/path, of redis-py
    (re.compile(r"(?i)(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*:/[^\s'\",;)]*[^\s'\",;:.)]"), "[address]"),
    (re.compile(r"(['\"])/.*?\1"), "[path]"),
    (re.compile(rf"(?<![\w/.~-])(?!(?:{_FRACTIONS})(?![\w/]))[\w.~-]*/[^\s'\",;)]*[^\s'\",;:.)]"), "[path]"),
    (re.compile(r"\{[\w-]+:[\w-]+\}:[\w:.-]*\w"), "[key]"),
    (re.compile(r"(?<=[\w-])@[\w.-]+"), ""),  # SERVICE@MACHINE
    (
        re.compile(r"(?<![\w:.])\[?([0-9A-Fa-f]*:[0-9A-Fa-f:]*(?:[0-9A-Fa-f]|::)(?:\.\d+)*)(?:%\w+)?(?:\](?::\d+)?)?"),
        _address_if_ipv6,
    ),
    (re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)(?::\d+)?"), "[address]"),
    (re.compile(r"(?<![\w.-])(?=[\w.-]*[A-Za-z])[\w-]+(?:\.[\w-]+)*:\d{2,5}(?![\w:])"), "[address]"),  # NAME:PORT
    (re.compile(r"(?i)\b(host|connecting to|resolve|nodename from) (?!\[)[\w.-]+"), r"\1 [address]"),
    (re.compile(r"(?<![\w.-])(?:[\w-]+\.)+(?!(?:dat|conf|log)\b)[A-Za-z]{2,}(?![\w-]|\.\w)"), "[address]"),  # a domain
    (
        re.compile(r"(?i)\b(user) (?!(?:is|or|and|has|names?)\b)('[^']*'|\"[^\"]*\"|\S*[^\s.,:;)])"),
        r"\1 [name]",
    ),
)


def masked(words: str) -> str:
    """The words without addresses, paths, keys, names of machines and users, and values of variables."""
    for pattern, instead in _MASKS:
        words = pattern.sub(instead, words)
    return words


def public(snapshot: Snapshot) -> Snapshot:
    """The snapshot as a visitor may know it."""
    return replace(
        snapshot,
        public=True,
        services=_services(snapshot.services),
        streams=tuple(_stream(stream) for stream in snapshot.streams),
        redis=None,
        redis_error=masked(snapshot.redis_error),
        unreadable=tuple(masked(words) for words in snapshot.unreadable),
        truth={name: replace(truth, incomplete=masked(truth.incomplete)) for name, truth in snapshot.truth.items()},
    )


def _stream(stream: StreamReport) -> StreamReport:
    """Of its readers those that are ours; what others call themselves is their business."""
    groups = tuple(group for group in stream.groups if group.name in FOLDS)
    return replace(stream, key="", error=masked(stream.error), groups=groups)


def _services(services: tuple[Health, ...]) -> tuple[Health, ...]:
    """Instances are told apart by number, which stays the same while none comes or goes."""
    count: dict[str, int] = {}
    found = []
    for health in services:
        number = count[health.service] = count.get(health.service, 0) + 1
        name = health.service if number == 1 else f"{health.service}/{number}"
        details = {key: told for key, value in health.details.items() if (told := _told(key, value)) is not None}
        found.append(
            msgspec.structs.replace(
                health, instance=name, reason=masked(health.reason), version="", pid=0, details=details
            )
        )
    return tuple(found)


def _told(key: str, value: Any) -> Any:
    if isinstance(value, str):
        return masked(value) if key in _PROGRESS else None
    return value


class PublicState(State):
    """A state as a visitor may know it: all is the other's but the snapshot, so that whoever reads it can tell no more.

    The other one reads; this one is only asked.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._seen: Snapshot | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    @property
    def snapshot(self) -> Snapshot:  # type: ignore[override]  # nothing is written here
        """Made once for each snapshot of the other."""
        if self._seen is not self._state.snapshot:
            self._seen = self._state.snapshot
            self._public = public(self._seen)
        return self._public

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What is wrong now, in words for a visitor."""
        return tuple(replace(notice, text=altered(notice.text, masked)) for notice in self._state.notices)
