"""How long an Electrum server may take, and how much it may send. Seconds unless a name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """As they are in service; tests make some of them short."""

    connect: float = 8.0  # until a connection stands, its TLS and its greeting included
    silence: float = 30.0  # while answers are waited for: without any, and without a byte of a long one
    longest: float = 120.0  # for one answer, however much comes meanwhile
    ping: float = 60.0  # without a word from the server it is asked whether it is there
    await_server: float = 4.0  # how long a request waits for a server to be well (again)

    in_flight: int = 32  # requests on their way on one connection; ElectrumX works at ten of them at once
    line: int = 32 << 20  # bytes: a history of 125,000 transactions (Fulcrum's limit) has 13 MB
    unasked: int = 2_000  # news of scripts that nobody asked for, on one connection

    again_first: float = 0.25
    again_longest: float = 10.0  # between two attempts to connect
    steady: float = 10.0  # a connection that held for so long was a good one
    well: float = 30.0  # how long a preferred server has been well before it is gone back to
    behind: float = 120.0  # how long its tip may be below the known one before others are preferred
    leave_alone: float = 10.0  # after it said that it has had too much of us

    nonsense: int = 3  # answers that cannot be, within the next, open its circuit
    nonsense_within: float = 60.0
    open_first: float = 30.0
    open_longest: float = 600.0  # how long it is then not asked

    tell: float = 0.1  # between two times that changes of scripts are told
