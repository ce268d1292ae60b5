"""Events of `{net:ops}:events`, published by every service about itself."""

from __future__ import annotations

from typing import ClassVar

from shared.events.base import Event, Family, UnixMs


class OpsEvent(Event, frozen=True, kw_only=True, gc=False):
    """Base: who says it, and what about."""

    service: str
    instance: str
    detail: str
    time_ms: UnixMs


class ServiceStarted(OpsEvent, frozen=True, kw_only=True, gc=False):
    """The service is up."""

    TYPE: ClassVar[str] = "service.started"


class ServiceDegraded(OpsEvent, frozen=True, kw_only=True, gc=False):
    """The service runs, but a part that it needs does not."""

    TYPE: ClassVar[str] = "service.degraded"


class ServiceRecovered(OpsEvent, frozen=True, kw_only=True, gc=False):
    """What was degraded works again."""

    TYPE: ClassVar[str] = "service.recovered"


class NodeChanged(OpsEvent, frozen=True, kw_only=True, gc=False):
    """Another node is in use, or the node restarted."""

    TYPE: ClassVar[str] = "node.changed"


class GapDetected(OpsEvent, frozen=True, kw_only=True, gc=False):
    """Something was missed: a ZMQ message, or entries of a stream."""

    TYPE: ClassVar[str] = "gap.detected"


class GapRepaired(OpsEvent, frozen=True, kw_only=True, gc=False):
    """The state is exact again."""

    TYPE: ClassVar[str] = "gap.repaired"


OPS = Family(ServiceStarted, ServiceDegraded, ServiceRecovered, NodeChanged, GapDetected, GapRepaired)
