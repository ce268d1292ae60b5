"""Writes docs/events.md from the event types themselves: `python tests/docs/events_page.py > docs/events.md`."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Annotated, get_args, get_origin

import msgspec

from shared.domains import STREAMS
from shared.events import base as events_base
from shared.events import ops
from shared.events.base import Event

_HEAD = """\
# Events and streams

A stream entry has the fields `type`, `v` (schema version), `seq` and `data` (JSON). `seq` counts the entries of one
stream from 1 without a hole: a reader that sees a jump has missed something. Where a stream has several writers it may
be 0, which is not counted. Readers tolerate unknown types and fields. `v` rises where a field's meaning changes, not
where a field is added: a service that meets a higher `v` than it knows neither guesses nor skips, but waits at that
entry until it is updated, and says so.

Amounts are integers in satoshi, sizes in virtual bytes or weight units, times in Unix seconds unless the name ends in
`_ms`, hashes and txids lower-case hex in RPC order. `net` is main, test, testnet4, signet or regtest.

Read them with `XREAD` from an id of your own, or over HTTP as Server-Sent Events ([http.md](http.md)). Do not join the
services' consumer groups. How long entries stay is said in `shared/src/shared/keys.py`.

This page is made from the types in `shared/src/shared/events` by `make docs`.

## Ranges
An entry with a number or a text outside these goes to the dead letters.

| type | |
|---|---|
{ranges}
"""

_FIELD = re.compile(r"^    (\w+): (.+?)(?: = .+?)?(?:  # (.*))?$", re.MULTILINE)


def _range(base: type, meta: msgspec.Meta) -> str:
    if base is str:
        least, most = meta.min_length or 0, meta.max_length
        return f"text of {least} characters" if least == most else f"text of {least} to {most} characters"
    if base is int:
        return f"whole number from {meta.ge} to {meta.le}"
    if base is float:
        return f"number from {meta.ge:g} to {meta.le:g}"
    [item] = get_args(base)
    return f"list of {meta.min_length}, each a {_range(*get_args(item))}"


def _ranges() -> str:
    found = [(name, get_args(alias)) for name, alias in vars(events_base).items() if get_origin(alias) is Annotated]
    return "\n".join(f"| `{name}` | {_range(*arguments)} |" for name, arguments in found)


def _event(kind: type[Event]) -> str:
    paragraphs = (inspect.getdoc(kind) or "").split("\n\n")
    source = inspect.getsource(kind.__mro__[1] if kind.__mro__[1] is ops.OpsEvent else kind)
    rows = [
        f"| `{name}` | `{annotation.replace(' | ', ' or ')}` | {comment} |"
        for name, annotation, comment in _FIELD.findall(source)
        if name not in {"TYPE", "VERSION"}
    ]
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return "\n".join([f"### `{kind.TYPE}`", text, "", "| field | type | |", "|---|---|---|", *rows, ""])


def render() -> str:
    """The whole page."""
    parts = [_HEAD.replace("{ranges}", _ranges())]
    for stream in STREAMS:
        parts.append(f"## `{{net:{stream.slot}}}:{stream.name}`\nPublished by {stream.owner}.\n")
        parts += [_event(kind) for kind in stream.family.events]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render())
