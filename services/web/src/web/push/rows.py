"""What is another in a long card: rows that are as open pages have them are named, not sent again.

A row is one line, `<tr data-key="KEY" …>…</tr>` or the same of `<g>`. In its place stands an empty one with
`data-same`, and `static/cards.js` keeps what it has.
"""

from __future__ import annotations

import re
from typing import Final

_ROW: Final = re.compile(r'<(tr|g)\b[^>]*? data-key="([^"]*)"[^>]*>.*</\1>')


def thinned(html: str, mark: str, before: str) -> str:
    """The card without its rows that are in `before` as well; both marks are cards without their ages."""
    lines, marks = html.split("\n"), mark.split("\n")
    if len(lines) != len(marks):  # nobody can tell which line is which
        return html
    known = set(before.split("\n"))
    return "\n".join(_named(line) if same in known else line for line, same in zip(lines, marks, strict=True))


def _named(line: str) -> str:
    """A row by its key alone; whatever else a line is stays."""
    row = _ROW.fullmatch(line)
    return line if row is None else f'<{row[1]} data-key="{row[2]}" data-same></{row[1]}>'
