"""Figures for Prometheus on a port of a service's own, from a thread of their own, to no website."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import prometheus_client

from shared import names
from shared.errors import ConfigError


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _ServerSix(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: standard error is the service's log."""


def serve(host: str, port: int, allowed: Sequence[str]) -> None:
    """Serve until the process ends. Raises ConfigError where it cannot listen."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        kind = _ServerSix if family == socket.AF_INET6 else _Server
        server = make_server(str(address[0]), port, _guarded(names.Names((host.lower(), *allowed))), kind, _Quiet)
    except OSError as error:
        raise ConfigError(
            f"METRICS_PORT={port}: cannot listen there, at ADMIN_HOST={host} ({error.strerror}); "
            "expected a free port, and an address of this machine"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def _guarded(ours: names.Names) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    figures = prometheus_client.make_wsgi_app()

    def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST")
        if host is None or host in ours:
            found: Iterable[bytes] = figures(environ, start)
            return found
        start("421 Misdirected Request", [("Content-Type", "text/plain; charset=utf-8")])
        return [names.refusal(names.bare(host)).encode()]

    return answer
