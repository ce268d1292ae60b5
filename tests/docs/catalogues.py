"""Brings the catalogues of web up to what its sources say: `make words`. English stands in the sources.

Gathered are the messages of Python, templates and scripts, and what web says without spelling it: the words of
shared.domains, why a wallet is refused, and the names of cards and of the figures in heartbeats.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from shared.domains import DOMAINS, SERVICES
from shared.lookups.wallet import SENTENCES
from support.imports import ROOT
from web.pages.found import CARDS
from web.words.formats import named
from web.words.language import FOLDER

SOURCES: Final = ROOT / "services/web/src/web"

_TEMPLATES: Final = {
    "extensions": "jinja2.ext.loopcontrols",
    "trim_blocks": "true",
    "lstrip_blocks": "true",
    "newstyle_gettext": "true",
    "silent": "false",
}
_KEYWORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("_", "gettext", "say", "note")),
    **dict.fromkeys(("ngettext", "count"), (1, 2)),
    **dict.fromkeys(("pgettext", "pnote"), ((1, "c"), 2)),
}
_KEYWORDS_OF_SCRIPTS: Final[dict[str, Any]] = {"t": None, "tn": (1, 2), "tp": ((1, "c"), 2)}

_WAYS: Final = (
    ([("**.py", "python"), ("**.html", "jinja2")], _KEYWORDS),
    ([("static/**.js", "javascript")], _KEYWORDS_OF_SCRIPTS),
)

_NOISE: Final = tuple(
    f'"{name}' for name in ("Report-Msgid", "POT-", "PO-", "Last-Tr", "Language-Team", "Generated-By", "Project-Id")
)
"""Lines of a catalogue's head that say nothing, or when it was written."""

FIGURES: Final = (
    "awaited", "blocks_per_second", "first_header", "headers", "height", "jobs", "lag", "lost", "mempool_count",
    "mempool_vsize", "node", "node_version", "passed_over", "paused", "progress", "push_clients", "rate", "repairs",
    "repeats", "resyncs", "seconds_left", "seq", "stream", "total", "transactions", "unavailable", "zmq",
)  # fmt: skip
"""What heartbeats tell by name; one that is missing here stays English."""


def _gathered() -> Iterator[tuple[str, Any, str, str | None]]:
    """File, message, comment and context of each message, as often as it stands somewhere."""
    options = {"**.html": _TEMPLATES}
    for methods, keywords in _WAYS:
        for file, _, message, _, context in extract_from_dir(SOURCES, methods, options, keywords=keywords):
            yield file, message, "", context
    for domain in DOMAINS:
        yield "shared/domains.py", domain.title, "subject of a sentence: … is not known", None
        yield "shared/domains.py", domain.waiting, "a sentence without its full stop", None
    for service in SERVICES:
        yield "shared/domains.py", service.work, "completes: the service that …", None
    for sentence in SENTENCES.values():
        yield "shared/lookups/wallet.py", sentence, "", None
    for name in (*CARDS, *FIGURES):
        yield "names", named(name), "", None


def gathered() -> Catalog:
    """Every message, by the files that it stands in."""
    found = Catalog(charset="utf-8")
    for file, message, comment, context in sorted(_gathered(), key=lambda one: (one[0], str(one[1]))):
        found.add(message, locations=[(file, 0)], auto_comments=[comment] if comment else (), context=context)
    return found


def updated(path: Path, messages: Catalog) -> Catalog:
    """The catalogue at a path with these messages: what was translated stays, what is said no more goes."""
    with path.open("rb") as file:
        held = read_po(file, locale=Locale.parse(path.stem))
    held.update(messages, no_fuzzy_matching=True, update_creation_date=False)
    held.obsolete.clear()
    return held


def write(path: Path, catalogue: Catalog) -> None:
    """In the order of the files."""
    text = io.BytesIO()
    write_po(text, catalogue, width=120, include_lineno=False, ignore_obsolete=True)
    lines = text.getvalue().decode().lstrip().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith(_NOISE)))


def missing(catalogue: Catalog) -> list[str]:
    """Messages that are not translated."""
    return [str(message.id) for message in catalogue if message.id and not _whole(message.string)]


def _whole(string: Any) -> bool:
    return all(string) if isinstance(string, tuple | list) else bool(string)


def main() -> int:
    """Updates every catalogue, and fails where a translation is missing."""
    messages, lacking = gathered(), []
    for path in sorted(FOLDER.glob("*.po")):
        catalogue = updated(path, messages)
        write(path, catalogue)
        lacking += [f"{path.name}: not translated: {message}" for message in missing(catalogue)]
    print("\n".join(lacking) or "every message is translated")
    return bool(lacking)


if __name__ == "__main__":
    sys.exit(main())
