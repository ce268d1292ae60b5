"""The service: listens, follows the state, tells how it is, and stops within two seconds."""

from __future__ import annotations

import asyncio
import gc
import os
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from shared.addresses import web_url
from shared.errors import DashboardError
from shared.networks import NETWORKS
from shared.service import Service
from web.http.listening import BACKLOG, listen
from web.http.reach import Reach
from web.state.snapshot import Snapshot
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
        reach=Reach.of(settings),
        currency=settings.currency,
        wallet_secret=settings.wallet_secret,
        wallet_example=_demonstrated,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(site.close)
        opened = await _open(stack, "WEB", settings.web_host, settings.web_port, site.application())
        service.log.info("web_listening", addresses=opened)
        service.pulse.asked_at = _at(opened[0])
        if settings.admin_port is not None:
            opened = await _open(stack, "ADMIN", settings.admin_host, settings.admin_port, site.operators())
            service.log.info("web_listening_for_operators", addresses=opened)
        site.start()
        keep()
        await _report(service, site)
        site.dismiss()


def _demonstrated() -> str:
    """The public descriptors of the demonstration's wallet, which is another now and then; empty: there is none."""
    named = os.environ.get("DASHBOARD_DEMO_WALLET_FILE")
    try:
        return Path(named).read_text().strip() if named else ""
    except OSError:
        return ""


def keep() -> None:
    """What is loaded by now stays: full collections, which would take 40 ms each to look it through, leave it out."""
    gc.collect()
    gc.freeze()


async def _open(stack: AsyncExitStack, name: str, host: str, port: int, application: web.Application) -> list[str]:
    """Serve the application until the stack is left; returns what a browser opens. `name` begins its variables."""
    runner = web.AppRunner(
        application, access_log=None, handler_cancellation=True, shutdown_timeout=GRACE, handle_signals=False
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        sockets = listen(host, port)
    except OSError as error:
        reason = error.strerror or error
        at = web_url(host, port).removeprefix("http://")
        raise DashboardError(f"{name}_HOST and {name}_PORT: cannot listen at {at}: {reason}") from error
    for made in sockets:
        await web.SockSite(runner, made, backlog=BACKLOG).start()
    return [web_url(address[0], address[1]) for address in (made.getsockname() for made in sockets)]


def _at(opened: str) -> str:
    """Host, port and path that tell whether we still answer, as shared.alive asks for them."""
    parts = urlsplit(opened)
    return f"{parts.hostname} {parts.port or 80} /healthz"


async def _report(service: Service, site: Site) -> None:
    """Keep the heartbeat's words current until it is time to stop; raises what a task of the site failed with."""
    stopping: asyncio.Future[Any] = asyncio.ensure_future(service.stopping.wait())
    try:
        while not stopping.done():
            error = site.state.snapshot.redis_error
            if error:
                service.health.degraded(error, push_clients=site.push_clients)
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
