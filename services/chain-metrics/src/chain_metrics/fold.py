"""Block events -> state and views of the chain. Synchronous, without I/O but for `restore`."""

from __future__ import annotations

from typing import Final

import msgspec

from chain_metrics.headers import Headers
from chain_metrics.metrics import halving_view, retarget_view, tip_view
from shared import domains, layouts, redis
from shared.clock import Moment
from shared.commit import Argument
from shared.errors import StreamGap
from shared.events.base import Event
from shared.events.blocks import BlockConnected, BlockDisconnected, HeadersLoaded
from shared.events.derived import MetricsUpdated
from shared.fold import Changes
from shared.keys import Keys
from shared.networks import NETWORKS
from shared.views import CHAIN_VIEWS, BlockRow, BlocksView

LAYOUT: Final = 1
"""Layout of the state (shared.layouts): `tip` and, by height, `_Header`."""

SHOWN: Final = 144
"""Blocks in the view."""

KEPT: Final = 1_152
"""Blocks kept, so that a reorganisation of 1,008 blocks still leaves a full view."""


class _Header(msgspec.Struct, array_like=True):
    time: int
    bits: int
    row: BlockRow | None = None


class _Tip(msgspec.Struct, array_like=True):
    first: int
    hash: str
    chainwork: str


_header = msgspec.msgpack.Decoder(_Header)


class ChainFold:
    """What is known of the chain: the newest headers, the last blocks, the tip."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._network = NETWORKS[keys.network]
        self._headers = Headers()
        self._rows: dict[int, BlockRow] = {}
        self._tip_hash = ""
        self._changed: set[int] = set()  # heights whose stored header is out of date
        self._began_anew = False
        self._dirty = False

    def reset(self) -> None:
        """Forget everything."""
        self.__init__(self._keys)  # type: ignore[misc]  # the one way that cannot forget a field

    async def restore(self, client: redis.Client) -> None:
        """Read the state that was committed last.

        Raises UnknownLayout where later code wrote it, ValueError where it is lost.
        """
        self.reset()
        await layouts.of_state(client, self._keys.checkpoint(domains.CHAIN), LAYOUT)
        stored: dict[bytes, bytes] = await client.hgetall(self._keys.state(domains.CHAIN))
        raw_tip = stored.pop(b"tip", None)
        if raw_tip is None:
            raise ValueError("what was recorded of the chain is gone")
        tip = msgspec.msgpack.decode(raw_tip, type=_Tip)
        headers = {int(height): _header.decode(raw) for height, raw in stored.items()}
        last = tip.first + len(headers)
        ordered = [(headers[height].time, headers[height].bits) for height in range(tip.first, last)]
        self._headers.load(tip.first, ordered, int(tip.chainwork, 16))
        self._rows = {height: header.row for height, header in sorted(headers.items()) if header.row is not None}
        self._tip_hash = tip.hash

    @property
    def size(self) -> int:
        """Fields that the state has once everything is written; 0 where nothing is known."""
        return len(self._headers) + 1 if len(self._headers) else 0

    def write_all(self) -> None:
        """What is stored is in doubt: the next flush writes everything anew."""
        self._changed.update(range(self._headers.first, self._headers.tip + 1))
        self._began_anew = self._dirty = True

    def apply(self, event: Event) -> None:
        """Fold one event; raises StreamGap where it does not follow from what is known."""
        match event:
            case HeadersLoaded():
                self._begin(event)
            case BlockConnected():
                self._connect(event)
            case BlockDisconnected():
                self._disconnect(event)
        self._dirty = True

    def _begin(self, event: HeadersLoaded) -> None:
        """Keep the rows of blocks that are among these headers: nobody publishes them again."""
        top = event.height + len(event.headers) - 1
        hashes = dict(enumerate(event.hashes, event.height))
        rows = {at: row for at, row in self._rows.items() if at > top - KEPT and hashes.get(at) == row.hash}
        self.reset()
        self._headers.load(event.height, event.headers, int(event.chainwork, 16))
        self._rows, self._tip_hash = rows, event.tip_hash
        self._changed.update(range(self._headers.first, top + 1))
        self._began_anew = True

    def _connect(self, event: BlockConnected) -> None:
        if event.prev_hash != self._tip_hash or event.height != self._headers.tip + 1:
            raise StreamGap(f"block {event.height} {event.hash} does not stand on the tip {self._tip_hash or '(none)'}")
        forgotten = self._headers.push(event.time, int(event.bits, 16))
        if forgotten is not None:
            self._changed.add(forgotten)
        self._tip_hash = event.hash
        self._changed.add(event.height)
        fields = {name: getattr(event, name) for name in BlockRow.__struct_fields__}
        self._rows[event.height] = BlockRow(**fields)
        if event.height - KEPT in self._rows:
            del self._rows[event.height - KEPT]
            self._changed.add(event.height - KEPT)

    def _disconnect(self, event: BlockDisconnected) -> None:
        if event.hash != self._tip_hash:
            raise StreamGap(f"block {event.height} {event.hash} is disconnected but the tip is {self._tip_hash}")
        if len(self._headers) < 2:
            raise StreamGap(f"nothing is known below block {event.height}")
        self._headers.pop()
        self._rows.pop(event.height, None)
        self._changed.add(event.height)
        self._tip_hash = event.prev_hash

    def due_ms(self, now: Moment) -> int | None:
        """Nothing here depends on time."""
        return None

    def flush(self, now: Moment) -> Changes:
        """State, views and event for what changed."""
        changes = Changes()
        if not self._dirty:
            return changes
        commands, keys, headers = changes.commands, self._keys, self._headers
        if self._began_anew:
            commands.add("DEL", keys.state(domains.CHAIN))
        written: list[Argument] = []
        removed: list[Argument] = []
        for height in sorted(self._changed):
            if headers.knows(height):
                place = height - headers.first
                stored = _Header(headers.times[place], headers.bits[place], self._rows.get(height))
                written += (height, msgspec.msgpack.encode(stored))
            else:
                removed.append(height)
        tip = _Tip(headers.first, self._tip_hash, f"{headers.works[-1]:x}")
        written += ("tip", msgspec.msgpack.encode(tip))
        commands.spread("HDEL", keys.state(domains.CHAIN), removed)
        commands.spread("HSET", keys.state(domains.CHAIN), written)
        layouts.mark_state(commands, keys.checkpoint(domains.CHAIN), LAYOUT)
        for name, view in self._views().items():
            commands.add("HSET", keys.views(domains.CHAIN), name, msgspec.json.encode(view))
        changes.views = keys.views(domains.CHAIN)
        event = MetricsUpdated(views=list(CHAIN_VIEWS), height=headers.tip, hash=self._tip_hash)
        changes.events.append(event)
        self._changed, self._began_anew, self._dirty = set(), False, False
        return changes

    def _views(self) -> dict[str, msgspec.Struct]:
        headers, network = self._headers, self._network
        rows = [
            self._rows[height]
            for height in range(headers.tip, max(-1, headers.tip - SHOWN), -1)
            if height in self._rows
        ]
        return {
            "tip": tip_view(network, headers, self._tip_hash),
            "halving": halving_view(network, headers),
            "retarget": retarget_view(network, headers),
            "blocks": BlocksView(blocks=rows),
        }
