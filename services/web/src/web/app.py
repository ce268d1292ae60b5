"""The service: listens, follows the state, tells how it is, and stops within two seconds."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from shared.errors import DashboardError
from shared.networks import NETWORKS
from shared.service import Service
from web.snapshot import Snapshot
from web.website import Site

REPORT: Final = 1.0
"""Seconds between two looks at how web itself is."""

GRACE: Final = 1.5
"""Seconds that requests under way have at the end."""


async def run(service: Service) -> None:
    """Serve until `service.stopping` is set; returns when all is closed. Raises DashboardError if the port is taken."""
    settings = service.settings
    snapshot = Snapshot(NETWORKS[settings.network], demo=os.environ.get("DASHBOARD_DEMO") == "1")
    site = Site(
        snapshot,
        service.keys,
        service.redis,
        connect=service.blocking_redis,
        log=service.log,
        version=service.version,
    )
    runner = web.AppRunner(
        site.application(), access_log=None, handler_cancellation=True, shutdown_timeout=GRACE, handle_signals=False
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.web_host, settings.web_port, backlog=1024).start()
        except OSError as error:
            address = f"{settings.web_host}:{settings.web_port}"
            reason = error.strerror or error
            raise DashboardError(f"WEB_HOST and WEB_PORT: cannot listen at {address}: {reason}") from error
        service.log.info("web_listening", addresses=[f"http://{host[0]}:{host[1]}" for host in runner.addresses])
        site.start()
        await _report(service, site)
        site.dismiss()
    finally:
        await runner.cleanup()
        await site.close()


async def _report(service: Service, site: Site) -> None:
    """Keep the heartbeat's words current until it is time to stop; raises what a task of the site failed with."""
    stopping: asyncio.Future[Any] = asyncio.ensure_future(service.stopping.wait())
    try:
        while not stopping.done():
            error = site.state.snapshot.redis_error
            if error:
                service.health.degraded(f"Redis does not answer: {error}", push_clients=site.push_clients)
            else:
                service.health.ok(push_clients=site.push_clients)
            await asyncio.wait([stopping, site.failed], timeout=REPORT, return_when=asyncio.FIRST_COMPLETED)
            if site.failed.done():
                site.failed.result()
    finally:
        stopping.cancel()
        with suppress(asyncio.CancelledError):
            await stopping
        if not site.failed.done():
            site.failed.cancel()
