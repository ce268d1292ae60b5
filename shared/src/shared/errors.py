"""The one tree of errors.

DashboardError
├── ConfigError            a variable is missing or wrong: the service stops at once
├── RedisUnavailable       Redis does not answer within the limit
├── Fenced                 another replica holds the lease, or the state moved on without us
├── StreamGap              entries of an input stream are gone: the state must be rebuilt from the node
├── BadEntry               a stream entry does not decode as the event that it says it is
│   └── TooNew             it is of a version that this build does not know yet
├── TooLong                a series is asked for more than any chain has
├── UnknownLayout          a series or state is stored in a form that this version does not know
├── Unreadable             what a person entered is not what it should be (`reason`, `places`, `fields`)
├── SealBroken             sealed content does not open: of another secret, about something else, or damaged
│   └── SealExpired        its time is over
├── OutsideError           a source outside (an exchange, a central bank) was not asked, or did not answer
│   ├── OutsideOff         OUTSIDE=off: nobody outside is asked
│   ├── OutsideNotNow      its budget is spent, it asked to be left alone, or its circuit is open (`wait` seconds)
│   ├── OutsideUnreachable no connection, or no answer within the limit
│   ├── OutsideRefused     it answered with an error of its own (`retry_after` seconds where it says so)
│   └── OutsideMalformed   the answer is not what was asked for
├── ElectrumError          an Electrum server was not asked, or did not answer
│   ├── ElectrumUnreachable no connection, or no answer within the limit
│   ├── ElectrumUntrusted  its certificate is not the one that is expected
│   ├── ElectrumWrongNetwork it serves another network
│   ├── ElectrumMalformed  the answer is not what was asked for
│   ├── ElectrumBusy       it asks to be left alone for a while
│   ├── ElectrumTooLong    the history of a script is longer than it tells
│   └── ElectrumRefused    it answered with an error of its own (`code`)
│       └── ElectrumGone   it knows no such transaction, or no longer
└── RpcError               a call to the node failed
    ├── RpcUnreachable     no connection, or no answer within the limit
    ├── RpcUnauthorized    401: user, password or cookie are wrong
    ├── RpcForbidden       403: the node does not let this user make this call, or nobody from here
    ├── RpcOverloaded      503: the node's work queue is full
    ├── RpcWarmingUp       -28: the node is starting
    ├── RpcMalformed       the answer is not what was asked for
    └── RpcRefused         the node answered this call with an error of its own (`code`)
"""

from __future__ import annotations


class DashboardError(Exception):
    """Root of every error that this project raises on purpose."""


class ConfigError(DashboardError):
    """A setting is missing or wrong; the message names it, its value (masked) and what is expected."""


class RedisUnavailable(DashboardError):
    """Redis did not answer within the limit."""


class Fenced(DashboardError):
    """A commit was refused: the lease went to another replica, or the checkpoint moved on."""


class StreamGap(DashboardError):
    """Entries of an input stream were lost before they were folded."""


class BadEntry(DashboardError):
    """A stream entry's data does not match the type that it names."""


class TooNew(BadEntry):
    """A stream entry is of a newer version than this build knows: it waits until the service is updated."""


class TooLong(DashboardError):
    """So many records of a series are asked for that a number in the question must be wrong."""


class UnknownLayout(DashboardError):
    """What is stored has another layout than this version of the software reads: it is left as it is."""


class Unreadable(DashboardError):
    """What a person entered cannot be read: `reason` is one of shared.scripts.reasons, for which pages have sentences.

    `places` are the wrong characters, counted from 0, where that can be known. `fields` go into the sentence. Nothing
    here repeats what was entered beyond single characters and the prefix of an address.
    """

    def __init__(
        self, message: str, reason: str, places: tuple[int, ...], fields: dict[str, int | str | tuple[str, ...]]
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.places = places
        self.fields = fields


class SealBroken(DashboardError):
    """Sealed content does not open: it is of another secret, about something else, or damaged."""


class SealExpired(SealBroken):
    """The time of sealed content is over."""


class OutsideError(DashboardError):
    """A source outside was not asked, or did not answer."""


class OutsideOff(OutsideError):
    """`OUTSIDE=off`: nobody but node, Redis and Electrum server is asked."""


class OutsideNotNow(OutsideError):
    """The source may not be asked for another `wait` seconds."""

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.wait = wait


class OutsideUnreachable(OutsideError):
    """No connection to the source, or no answer in time."""


class OutsideRefused(OutsideError):
    """The source answered with an error; `retry_after` in seconds, None where it does not say."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OutsideMalformed(OutsideError):
    """What the source answered is not what was asked for: another shape, or a number that cannot be."""


class ElectrumError(DashboardError):
    """An Electrum server was not asked, or did not answer."""


class ElectrumUnreachable(ElectrumError):
    """No connection to an Electrum server, or no answer in time."""


class ElectrumUntrusted(ElectrumError):
    """The certificate that the server shows is not pinned, or no authority of this machine vouches for it."""


class ElectrumWrongNetwork(ElectrumError):
    """The server's first block is another network's."""


class ElectrumMalformed(ElectrumError):
    """What the server answered is not what was asked for."""


class ElectrumBusy(ElectrumError):
    """The server had too much of us, or of others, and wants to be left alone for a while."""


class ElectrumTooLong(ElectrumError):
    """The script has more transactions than the server tells of one."""


class ElectrumRefused(ElectrumError):
    """The server answered with an error; `code` as the server chose it, -32601 for a method that it does not know."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} (code {code})")
        self.method = method
        self.code = code


class ElectrumGone(ElectrumRefused):
    """The server knows no such transaction: of one that it had told of, that it left the mempool since."""


class RpcError(DashboardError):
    """A call to the node failed."""


class RpcUnreachable(RpcError):
    """No connection to the node, or no answer in time."""


class RpcUnauthorized(RpcError):
    """The node refused user and password, or the cookie."""


class RpcForbidden(RpcError):
    """The node forbids this call to this user (`rpcwhitelist`), or every call from here (`rpcallowip`)."""


class RpcMalformed(RpcError):
    """What the node answered does not decode as what was asked for."""


class RpcOverloaded(RpcError):
    """The node's RPC work queue is full (HTTP 503)."""


class RpcWarmingUp(RpcError):
    """The node is starting and does not answer calls yet (code -28)."""


class RpcRefused(RpcError):
    """The node answered with an error; `code` as in bitcoin/src/rpc/protocol.h."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} (code {code})")
        self.method = method
        self.code = code
