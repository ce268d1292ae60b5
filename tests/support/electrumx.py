"""A real ElectrumX over a real node, for the tests of one module; and a certificate for it."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local_run.electrumx import Certificate, Credentials, ElectrumX, Listening, find_electrumx
from local_run.errors import ServerFailed, SetupError
from local_run.node import RegtestNode


@dataclass(frozen=True)
class Shown:
    """A certificate that nobody vouches for, and its SHA-256."""

    files: Certificate
    pin: str


class Followed(NamedTuple):
    """A node with the wallet `w`, and an ElectrumX that has all of its blocks."""

    node: RegtestNode
    server: ElectrumX


def certificate(folder: Path) -> Shown:
    """One for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "electrum")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    files = Certificate(folder / "electrum.crt", folder / "electrum.key")
    files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Shown(files, made.fingerprint(hashes.SHA256()).hex())


async def needs_electrumx() -> None:
    """Skip the test where ElectrumX cannot be had; its environment is one for all workers, made by the first."""
    try:
        await find_electrumx()
    except ServerFailed:
        raise
    except SetupError as error:
        pytest.skip(f"no ElectrumX: {error}")


@contextlib.asynccontextmanager
async def served(
    folder: Path, *, shown: Shown | None = None, variables: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[RegtestNode, ElectrumX]]:
    """A node with 101 blocks of its wallet `w`, and an ElectrumX that has all of them. Skips where there is none."""
    await needs_electrumx()
    asks = Credentials.new()
    async with RegtestNode(folder / "node", extra=[asks.argument, "-txindex=1"]) as node:
        await node.rpc("createwallet", "w")
        await node.rpc("generatetoaddress", 101, await node.rpc("getnewaddress", wallet="w"))
        listening = Listening(0, 0, 0, 0) if shown else Listening()
        files = shown.files if shown else None
        async with ElectrumX(
            folder / "electrumx", node, asks, listening=listening, certificate=files, variables=variables
        ) as server:
            yield node, server
