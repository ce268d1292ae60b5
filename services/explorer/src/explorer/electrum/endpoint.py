"""Where an Electrum server is, and how its certificate is judged."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from shared.errors import ConfigError, ElectrumUntrusted
from shared.settings import NodeSettings


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server; `node` is the name of the node that it stands on."""

    node: str
    scheme: str  # tcp, ssl, ws or wss
    host: str
    port: int
    path: str
    pin: str  # SHA-256 of the certificate, hex; empty: this machine's authorities decide

    @classmethod
    def of(cls, node: NodeSettings) -> Self:
        """As settings have it."""
        parts = urlsplit(node.electrum_url)
        if parts.hostname is None or parts.port is None:
            raise ConfigError(f"{node.prefix}_ELECTRUM_URL={node.electrum_url!r}: expected SCHEME://HOST:PORT")
        return cls(node.name, parts.scheme, parts.hostname, parts.port, parts.path, node.electrum_pin)

    @property
    def web(self) -> bool:
        """Whether it is reached over WebSocket."""
        return self.scheme in ("ws", "wss")

    @property
    def secret(self) -> bool:
        """Whether it is reached over TLS."""
        return self.scheme in ("ssl", "wss")

    @property
    def url(self) -> str:
        """As it is written in the settings."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    def context(self) -> ssl.SSLContext | None:
        """How TLS is done; None: it is not. A pinned certificate is judged by `check` alone, whoever signed it."""
        if not self.secret:
            return None
        context = ssl.create_default_context()
        if self.pin:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def check(self, certificate: bytes | None) -> None:
        """Raises ElectrumUntrusted unless the certificate (DER) is the pinned one, where one is."""
        if not self.pin:
            return
        shown = hashlib.sha256(certificate or b"").hexdigest() if certificate else "none"
        if shown != self.pin:
            raise ElectrumUntrusted(f"its certificate has the SHA-256 {shown}; expected {self.pin}, which is pinned")


def distrusted(error: ssl.SSLCertVerificationError) -> ElectrumUntrusted:
    """A certificate that no authority of this machine vouches for, in words."""
    return ElectrumUntrusted(
        f"its certificate is not trusted here ({error.verify_message.rstrip('.')}): where it is the right one, "
        "pin its SHA-256"
    )
