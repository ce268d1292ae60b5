"""What Electrum servers refuse with, as errors of ours. Each software has its own words, and no two the same codes."""

from __future__ import annotations

import re
from typing import Final

from shared.errors import (
    ElectrumBusy,
    ElectrumError,
    ElectrumGone,
    ElectrumMalformed,
    ElectrumRefused,
    ElectrumTooLong,
    RpcError,
    RpcRefused,
)

_EXCESSIVE: Final = -101  # aiorpcx: JSONRPC.EXCESSIVE_RESOURCE_USAGE, upon which ElectrumX hangs up
_BUSY: Final = -102  # aiorpcx: JSONRPC.SERVER_BUSY

_TOO_LONG: Final = re.compile(
    # ElectrumX: "history too large"; Fulcrum: "History too large"; electrs: "too many history entries",
    # "too popular", "N transactions found, query may take a long time"; aiorpcx, beyond MAX_SEND: "response too large".
    r"(history|response)( is)? too (large|long|big)|too many (history|historical|transactions)|too popular"
    r"|transactions found, query may take",
    re.IGNORECASE,
)
_TOO_MUCH: Final = re.compile(
    # electrs while it compacts its index: "unavailable index".
    r"excessive resource|server busy|unavailable index|too many (requests|connections)|rate limit|try again|ratelimit",
    re.IGNORECASE,
)
_GONE: Final = re.compile(
    # Bitcoin Core: "No such mempool or blockchain transaction", which each server hands on in words of its own.
    r"no such (mempool|blockchain)|transaction not (found|indexed)|missing transaction",
    re.IGNORECASE,
)
GET: Final = "blockchain.transaction.get"
_LONGEST: Final = 200

_PLAIN: Final = (
    (ElectrumGone, "what is asked for is changing at this moment"),
    (ElectrumTooLong, "the script has more transactions than the Electrum server tells of"),
    (ElectrumBusy, "the Electrum server wants to be left alone for a while"),
    (ElectrumMalformed, "what the Electrum server answers cannot be read"),
)


def understood(method: str, code: int, message: str) -> ElectrumError:
    """The error that stands for a refusal of a call."""
    said = printable(message)
    if _TOO_LONG.search(message):
        return ElectrumTooLong(f"the script has more transactions than the server tells of ({said})")
    if code in (_EXCESSIVE, _BUSY) or _TOO_MUCH.search(message):
        return ElectrumBusy(f"the server wants to be left alone for a while ({said})")
    return (ElectrumGone if method == GET and _GONE.search(message) else ElectrumRefused)(method, code, said)


def plain(error: ElectrumError | RpcError) -> str:
    """Why nobody answers, in words of ours: what a server says is for the log."""
    if isinstance(error, RpcRefused):
        return f"the node refuses {error.method} (code {error.code})"
    if isinstance(error, ElectrumRefused) and not isinstance(error, ElectrumGone):
        return f"the Electrum server refuses {error.method} (code {error.code})"
    if isinstance(error, ElectrumMalformed) and str(error).startswith("the answer to "):
        return f"{str(error).partition(':')[0]} cannot be read"
    return next((words for kind, words in _PLAIN if isinstance(error, kind)), str(error))


def printable(text: str) -> str:
    """What a server says of itself, short and without letters that could be mistaken for something of ours."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST]).strip()
