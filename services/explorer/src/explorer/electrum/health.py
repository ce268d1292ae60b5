"""How each Electrum server stands: typed for pages, and in words for a heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from explorer.electrum.server import Server
from explorer.electrum.servers import Servers


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Times in Unix milliseconds; None: never, or not now."""

    node: str
    url: str
    state: Literal["connected", "behind", "left-alone", "unreachable", "connecting"]
    active: bool  # whether it is the one that is asked
    since_ms: int | None  # connected, without a break
    software: str
    protocol: str
    height: int | None  # of its newest block
    error: str  # the last one; over, where it is connected
    error_ms: int | None
    again_ms: int | None  # when it is tried again at the earliest
    nonsense: int  # answers that could not be, since the start


def standing(servers: Servers, now_ms: int) -> list[Standing]:
    """Of each server."""
    active = servers.choose()
    return [
        _standing(server, active=server is active, lags=servers.lags(server), now_ms=now_ms) for server in servers.all
    ]


def _standing(server: Server, *, active: bool, lags: bool, now_ms: int) -> Standing:
    now = asyncio.get_running_loop().time()

    def moment(at: float) -> int:
        return now_ms - int(1000 * (now - at))

    connected = server.since is not None
    state: Literal["connected", "behind", "left-alone", "unreachable", "connecting"]
    if server.circuit.wait:
        state = "left-alone"
    elif connected:
        state = "behind" if lags else "connected"
    else:
        state = "unreachable" if server.error else "connecting"
    wait = max(server.circuit.wait, 0.0 if connected else server.again.wait)
    return Standing(
        node=server.name,
        url=server.endpoint.url,
        state=state,
        active=active,
        since_ms=moment(server.since) if server.since is not None else None,
        software=server.software if connected else "",
        protocol=".".join(map(str, server.dialect.version)) if connected and server.dialect else "",
        height=server.tip.height if connected and server.tip else None,
        error=str(server.error or ""),
        error_ms=moment(server.error_at) if server.error else None,
        again_ms=now_ms + int(1000 * wait) if wait else None,
        nonsense=server.circuit.nonsense,
    )


def details(all_of_them: Sequence[Standing]) -> dict[str, str | None]:
    """One line for each server: `electrum_main`; None where none is configured."""
    if not all_of_them:
        return {"electrum": None}
    return {f"electrum_{one.node.replace('-', '_')}": words(one) for one in all_of_them}


def words(one: Standing) -> str:
    """For a person to read."""
    said = f"{one.software}, protocol {one.protocol}, connected since {_time(one.since_ms)}, at block {one.height}"
    if one.state == "connected":
        return said if one.active else f"{said}, not asked now"
    if one.state == "behind":
        return f"{said}, behind the newest block that is known"
    if one.state == "connecting":
        return "connecting"
    lead = "left alone" if one.state == "left-alone" else "not connected"
    again = f"; tried again at {_time(one.again_ms)}" if one.again_ms else ""
    return f"{lead}: {one.error}{again}"


def _time(moment_ms: int | None) -> str:
    if moment_ms is None:
        return "an unknown time"
    return datetime.fromtimestamp(moment_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
