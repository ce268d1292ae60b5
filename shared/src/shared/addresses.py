"""Addresses as people write them: checked when they are read, masked for logs, and written so that they open."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Final
from urllib.parse import unquote

from shared.errors import ConfigError

SOCKET_PATH_MAX: Final = 107
"""Bytes that the system takes as the path of a Unix socket."""

_ESCAPES: Final = "in a user or password, # is written %23, / %2F, ? %3F, @ %40, % %25, [ %5B and ] %5D"
_SEVERAL: Final = ("redis+cluster", "redis+sentinel", "rediss+cluster", "rediss+sentinel")
_EVERYWHERE: Final = ("*", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
_HOST: Final = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<name>[^\[\]:]*))(?::(?P<port>.*))?")
_BARE_SIX: Final = re.compile(r"[0-9A-Fa-f.]*(:[0-9A-Fa-f.]*){2,}")


def checked(name: str, value: str, schemes: tuple[str, ...]) -> str:
    """The address, if something may answer there. ConfigError names the variable and what is wrong, secrets masked."""
    fault = _fault(value, schemes) if value else ""
    if fault:
        raise ConfigError(f"{name}={mask_url(value)!r}: {fault}")
    return value


def _fault(value: str, schemes: tuple[str, ...]) -> str:
    expected = f"expected an address that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in schemes:
        return expected
    if "#" in rest:
        return f"a # cannot stand in an address; {_ESCAPES}"
    if scheme in ("unix", "ipc"):
        return _path_fault(scheme, rest)
    authority, path, query = _split(rest)
    login, _, hosts = authority.rpartition("@")
    # What belongs to a password and was not escaped ends it early: its @ then stands where no @ can be.
    if "@" in path or ("@" in query and not login and "=" not in query.partition("@")[0]):
        return f"the password seems to end too early; {_ESCAPES}"
    if re.search(r"%(?![0-9A-Fa-f]{2})|[\[\]]", login):
        return f"the user or password is not written as addresses need it; {_ESCAPES}"
    parts = hosts.split(",") if scheme in _SEVERAL else [hosts]
    faults = (_host_fault(part.strip(), scheme, f"{expected}, then host:port") for part in parts)
    return next(filter(None, faults), "") or _database_fault(scheme, path)


def _split(rest: str) -> tuple[str, str, str]:
    before, _, query = rest.partition("?")
    authority, slash, path = before.partition("/")
    return authority, slash + path, query


def _path_fault(scheme: str, rest: str) -> str:
    path = rest
    if scheme == "unix":
        login, slash, path = rest.partition("?")[0].partition("/")
        path = unquote(slash + path)
        if login and not login.endswith("@"):
            return "expected three slashes and the socket's whole path: unix:///run/redis.sock"
    if path in ("", "*", "/"):
        return f"no path; expected the socket's: {scheme}:///run/NAME.sock"
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        return f"expected a path of at most {SOCKET_PATH_MAX} bytes, which is what the system takes for a socket"
    return ""


def _host_fault(host: str, scheme: str, expected: str) -> str:
    if _BARE_SIX.fullmatch(host):
        return f"an IPv6 address stands in brackets: {scheme}://[::1]:PORT; {expected}"
    found = _HOST.fullmatch(host)
    if found is None:
        return expected
    six, port = found["six"], found["port"]
    address = found["name"] if six is None else six
    fault = ""
    if not address:
        fault = "no host"
    elif (six is not None and not _is_ipv6(six)) or re.search(r"\s", address):
        fault = f"{address!r} is no host"
    elif address in _EVERYWHERE:
        fault = f"{address} is where a server listens, on every interface; expected where to reach it, as 127.0.0.1"
    elif port is None:
        fault = "no port" if scheme == "tcp" else ""
    elif not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65_536):
        fault = f"{port!r} is no port"
    return f"{fault}; {expected}" if fault else ""


def _database_fault(scheme: str, path: str) -> str:
    number = path.strip("/")
    if scheme in ("redis", "rediss") and not re.fullmatch(r"[0-9]{0,9}", number):
        return f"{path!r} is no database: expected a number behind the host, or nothing"
    if scheme.endswith("+cluster") and number not in ("", "0"):
        return f"{path!r}: a cluster has only database 0; expected nothing behind the hosts"
    return ""


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def listening_host(name: str, value: str) -> str:
    """Where a server of ours listens: an address or a name, without brackets; ConfigError where it is neither."""
    host = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if _is_ipv6(host) or re.fullmatch(r"[A-Za-z0-9_.-]+", host):
        return host
    raise ConfigError(
        f"{name}={mask_url(value)!r}: expected an address of this machine without a port, such as 127.0.0.1, ::1, "
        "0.0.0.0 (every IPv4 address), :: (every address) or a name"
    )


def web_url(host: str, port: int) -> str:
    """What a browser on this machine opens to reach a server that listens there."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def mask_url(url: str) -> str:
    """The address with its password replaced, fit for a log; also where it is not a proper address."""
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url)
    lead = scheme[0] if scheme else ""
    credentials, at, host = url[len(lead) :].rpartition("@")
    if at:
        url = f"{lead}{credentials.partition(':')[0]}:***@{host}"
    elif re.match(r":[^:]", host):  # a password whose end is missing
        url = f"{lead}:***"
    return re.sub(r"([?&](?:sentinel_)?password=)[^&]*", r"\1***", url)
