"""Entries that are well formed and cannot be true: every number is absurd, every other value as in a real one."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, ClassVar, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from shared import domains, redis
from shared.events.backfill import BACKFILL
from shared.events.base import Event, Family
from shared.events.blocks import BLOCKS
from shared.events.derived import FEES, METRICS, SERIES
from shared.events.lookups import CHANGES
from shared.events.mempool import MEMPOOL
from shared.events.ops import OPS
from shared.events.prices import PRICES
from shared.events.rankings import RANKINGS
from shared.keys import Keys

HUGE: Final = 10**18

STREAMS: Final[dict[str, Callable[[Keys], tuple[str, Family]]]] = {
    "blocks": lambda keys: (keys.stream(domains.BLOCKS), BLOCKS),
    "txs": lambda keys: (keys.stream(domains.TXS), MEMPOOL),
    "metrics": lambda keys: (keys.stream(domains.METRICS), METRICS),
    "series": lambda keys: (keys.stream(domains.SERIES), SERIES),
    "fees": lambda keys: (keys.stream(domains.FEES), FEES),
    "backfill": lambda keys: (keys.stream(domains.BACKFILL), BACKFILL),
    "prices": lambda keys: (keys.stream(domains.PRICES), PRICES),
    "rankings": lambda keys: (keys.stream(domains.RANKINGS), RANKINGS),
    "changes": lambda keys: (keys.stream(domains.CHANGES), CHANGES),
    "ops": lambda keys: (keys.stream(domains.OPS), OPS),
}


def families() -> Iterator[Family]:
    """The family of each stream."""
    keys = Keys("regtest")
    for named in STREAMS.values():
        yield named(keys)[1]


def kinds(family: Family) -> list[type[Event]]:
    """The events of a family."""
    return list(family.events)


async def add(client: redis.Client, stream: str, kind: type[Event]) -> None:
    """Append such an entry, numbered as the next one."""
    newest = await client.xrevrange(stream, count=1)
    seq = int(newest[0][1][b"seq"]) + 1 if newest else 1
    data = msgspec.json.encode(_struct(kind))
    await client.xadd(stream, {"type": kind.TYPE, "v": kind.VERSION, "seq": seq, "data": data})


def _struct(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {name: _value(hints[name]) for name in kind.__struct_fields__ if get_origin(hints[name]) is not ClassVar}


_PLAIN: Final[dict[Any, Any]] = {bool: True, int: HUGE, Decimal: HUGE, float: 1e300, str: "ff" * 32, dict: {}}


def _value(hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _PLAIN or origin in _PLAIN:
        return _PLAIN[hint if hint in _PLAIN else origin]
    if origin in (Union, types.UnionType):
        return _value(next(each for each in arguments if each is not types.NoneType))
    if origin is Literal:
        return arguments[0]
    if origin in (list, tuple):
        return [_value(each) for each in arguments]
    return _struct(hint)
