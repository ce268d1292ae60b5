"""ZMQ from the node, as hints: what may have changed, in order, and whether something was missed.

Both topics are read from one socket without waiting; the loop above takes what has come. Loss shows in three ways:
a topic's frame counter jumps (a message was dropped), it falls to 0 (the publisher restarted), or the socket
reconnects. Each sets `gap`, and the loop resnapshots. A loss at the tail shows nowhere: only comparing helps.

A node sends all transactions of a block as `rawtx` before it says `C`, which takes it tens of milliseconds where the
block is full. The coinbase comes first and is no transaction of the mempool, so it is a hint of its own: the block can
be asked for at once, and what follows it is left in the socket meanwhile.

libzmq tries one address of a name only, of IPv4 or of IPv6 as an option says. So a name is tried as both in turn.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import deque
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import zmq
from zmq.utils.monitor import recv_monitor_message

from chain_ingest.transaction import Transaction, is_coinbase, parse

QUEUE_CAP: Final = 200_000
"""Messages held at most; beyond it all are dropped and the mempool is read anew."""

RAW_CAP: Final = 20_000
"""Raw transactions held at most, oldest dropped; the node is asked for what is missing."""

READ_AT_ONCE: Final = 2_000
"""Messages read before other tasks get their turn."""

CONNECT_SECONDS: Final = 3.0
"""How long an address may take to accept a connection before it counts as failed."""

PAUSE_SECONDS: Final = 0.2
"""How long messages behind a coinbase are left in the socket at most, if nobody waits for hints before."""

TURN_SECONDS: Final = 0.5
"""Pause before a name that failed is tried as the other kind of address."""

_WRAP: Final = 1 << 32
_EVENTS: Final = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED


class Hint(NamedTuple):
    """One message of the `sequence` topic (bitcoin/doc/zmq.md)."""

    label: str  # C connected, D disconnected, A added, R removed but not by a block; B: a C or D follows
    hash: str  # of the block for C and D, nothing for B, else the txid
    sequence: int  # of the mempool, for A and R; -1 for the others


class Hints:
    """Subscriptions to one node's publishers."""

    def __init__(self, urls: tuple[str, ...], topics: tuple[bytes, ...] = (b"sequence", b"rawtx")) -> None:
        self.urls = urls
        self.gap = ""  # why the mempool must be read anew; the loop clears it
        self.arrived = asyncio.Event()
        self._topics = topics
        self._context = zmq.Context()
        self._sockets: list[zmq.Socket[bytes]] = []
        self._monitors: list[zmq.Socket[bytes]] = []
        self._connected: set[str] = set()
        self._hints: deque[Hint] = deque()
        self._raw: deque[tuple[int, bytes]] = deque(maxlen=RAW_CAP)
        self._blocks_read = 0  # `C` and `D` that came; each raw transaction remembers how many came before it
        self._blocks_taken = 0
        self._transactions: dict[str, Transaction] = {}
        self._counters: dict[tuple[int, bytes], int] = {}
        self._turns: dict[int, asyncio.TimerHandle] = {}  # by place, of names that failed
        self._paused: asyncio.TimerHandle | None = None  # while messages are left in the socket

    @property
    def connected(self) -> bool:
        """Whether every publisher answers."""
        return len(self._connected) == len(self.urls) > 0

    @property
    def silent(self) -> list[str]:
        """Publishers that do not answer."""
        return [url for url in self.urls if url not in self._connected]

    def open(self) -> None:
        """Connect to every publisher; libzmq reconnects by itself from then on."""
        loop = asyncio.get_running_loop()
        for place, url in enumerate(self.urls):
            socket = self._context.socket(zmq.SUB)
            socket.set(zmq.RCVHWM, 0)
            socket.set(zmq.LINGER, 0)
            socket.set(zmq.TCP_KEEPALIVE, 1)
            socket.set(zmq.TCP_KEEPALIVE_IDLE, 30)
            socket.set(zmq.HEARTBEAT_IVL, 5_000)
            socket.set(zmq.HEARTBEAT_TIMEOUT, 15_000)
            socket.set(zmq.RECONNECT_IVL, 100)
            socket.set(zmq.RECONNECT_IVL_MAX, 2_000)
            socket.set(zmq.CONNECT_TIMEOUT, int(CONNECT_SECONDS * 1_000))
            socket.set(zmq.IPV6, _family(url) == 6)
            for topic in self._topics:
                socket.set(zmq.SUBSCRIBE, topic)
            monitor = socket.get_monitor_socket(_EVENTS)
            socket.connect(url)
            self._sockets.append(socket)
            self._monitors.append(monitor)
            loop.add_reader(_descriptor(socket), self._read, place)
            loop.add_reader(_descriptor(monitor), self._read_monitor, place)
            loop.call_soon(self._read_monitor, place)  # what came before the reader was there raises no edge

    def close(self) -> None:
        """Disconnect and free everything."""
        loop = asyncio.get_running_loop()
        for turn in self._turns.values():
            turn.cancel()
        if self._paused is not None:
            self._paused.cancel()
        for socket, monitor in zip(self._sockets, self._monitors, strict=True):
            loop.remove_reader(_descriptor(socket))
            loop.remove_reader(_descriptor(monitor))
            socket.disable_monitor()
            monitor.close(0)
            socket.close(0)
        self._sockets, self._monitors = [], []
        self._context.term()

    async def wait(self, seconds: float) -> None:
        """Return when something has come, or after this time."""
        self._go_on()
        if self.arrived.is_set():
            return
        try:
            await asyncio.wait_for(self.arrived.wait(), seconds)
        except TimeoutError:
            for place in range(len(self._sockets)):  # an edge that was missed must not matter for long
                self._read_monitor(place)
                self._read(place)

    @property
    def pending(self) -> bool:
        """Whether hints wait to be taken."""
        return bool(self._hints)

    def take(self, limit: int) -> list[Hint]:
        """The oldest hints, at most `limit`."""
        if len(self._hints) <= limit:
            taken = list(self._hints)
            self._hints.clear()
            self.arrived.clear()
        else:
            taken = [self._hints.popleft() for _ in range(limit)]
        return taken

    def clear(self) -> None:
        """Drop what waits."""
        self._go_on()
        self._hints.clear()
        self._blocks_taken = self._blocks_read
        self.arrived.clear()

    def transaction(self, txid: str) -> Transaction | None:
        """What `rawtx` said of this transaction; None where that is not known (any more).

        The node sends `rawtx` right before the `A` that it belongs to, so few others are read on the way.
        """
        found = self._transactions.pop(txid, None)
        while found is None and self._raw:
            try:
                transaction = parse(self._raw.popleft()[1])
            except (ValueError, IndexError):
                continue  # not what the node sends by this name: whatever it was is asked of it
            if transaction.txid == txid:
                return transaction
            self._transactions[transaction.txid] = transaction
            if len(self._transactions) > RAW_CAP:
                del self._transactions[next(iter(self._transactions))]
        return found

    def forget_raw(self) -> None:
        """Drop what came before the `C` or `D` that was just handled: the node sends a block's transactions first."""
        self._blocks_taken += 1
        self._transactions.clear()
        while self._raw and self._raw[0][0] < self._blocks_taken:
            self._raw.popleft()

    def _read(self, place: int) -> None:
        """Take what the socket holds. Its descriptor signals edges, so it must be read until it is empty."""
        if place >= len(self._sockets):
            return
        socket = self._sockets[place]
        for _ in range(READ_AT_ONCE):
            if self._paused is not None:
                break
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._message(place, frames)
        else:
            asyncio.get_running_loop().call_soon(self._read, place)
        if self._hints or self.gap:
            self.arrived.set()

    def _go_on(self) -> None:
        """Read what was left in the socket."""
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None
            asyncio.get_running_loop().call_soon(self._read, 0)

    def _message(self, place: int, frames: list[Any]) -> None:
        if len(frames) != 3 or len(frames[2]) != 4:
            return  # not one of the node's own topics
        topic, body, counter = frames[0], frames[1], int.from_bytes(frames[2], "little")
        last = self._counters.get((place, topic))
        self._counters[place, topic] = counter
        if topic == b"rawtx":
            self._raw.append((self._blocks_read, body))
            # Behind what came from another address there may be removals that belong before the block.
            if len(self.urls) == 1 and is_coinbase(body):
                self._hints.append(Hint("B", "", -1))
                self._paused = asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._go_on)
            return
        if last is not None and counter != (last + 1) % _WRAP:
            self.gap = f"ZMQ {topic.decode()} went from message {last} to {counter}"
        if topic == b"hashblock":
            self._blocks_read += 1
            self._hints.append(Hint("C", body.hex(), -1))
        elif topic == b"sequence" and len(body) >= 33:
            sequence = int.from_bytes(body[33:41], "little") if len(body) >= 41 else -1
            self._blocks_read += sequence < 0
            self._hints.append(Hint(chr(body[32]), body[:32].hex(), sequence))
        if len(self._hints) > QUEUE_CAP:
            self.clear()
            self.gap = f"more than {QUEUE_CAP} ZMQ messages waited"

    def _read_monitor(self, place: int) -> None:
        if place >= len(self._monitors):
            return
        monitor, url = self._monitors[place], self.urls[place]
        while int(monitor.get(zmq.EVENTS)) & zmq.POLLIN:
            event = recv_monitor_message(monitor, zmq.NOBLOCK)["event"]
            if event == zmq.EVENT_CONNECT_RETRIED:
                if _family(url) is None and place not in self._turns:
                    self._turns[place] = asyncio.get_running_loop().call_later(TURN_SECONDS, self._turn, place)
                continue
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                for key in [key for key in self._counters if key[0] == place]:
                    del self._counters[key]
                self._connected.add(url)
                self.gap = f"ZMQ connected to {url}"
            else:
                self._connected.discard(url)
                self.clear()  # what the node does from now on counts anew
                self.gap = f"ZMQ lost {url}"
            self.arrived.set()

    def _turn(self, place: int) -> None:
        """Try a name as the other kind of address."""
        del self._turns[place]
        url, socket = self.urls[place], self._sockets[place]
        if url not in self._connected:
            socket.disconnect(url)
            socket.set(zmq.IPV6, not socket.get(zmq.IPV6))
            socket.connect(url)


def _family(url: str) -> int | None:
    """4 or 6 where the address says which; None where it is a name. A socket of the file system counts as 4."""
    parts = urlsplit(url)
    if parts.scheme != "tcp" or not parts.hostname:
        return 4
    try:
        return ipaddress.ip_address(parts.hostname).version
    except ValueError:
        return None


def _descriptor(socket: zmq.Socket[bytes]) -> int:
    return int(socket.get(zmq.FD))
