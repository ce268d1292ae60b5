"""Variables in files: `.env.main`, `.env.api` and every other `.env.<node>` of a folder, as python-dotenv reads them.

What a file may say without meaning it is refused with the file and the line: a value that a comment cuts short, a
variable set twice, a line that is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from shared.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Variable:
    """A value, and where it stands."""

    value: str
    place: str


def read(directory: Path) -> dict[str, Variable]:
    """Every variable of the folder's files; ConfigError names the file and the line of what is wrong.

    Examples, and copies that editors leave (`.env.main.bak`, `.env.main~`), are left out.
    """
    found: dict[str, Variable] = {}
    for path in sorted(directory.glob(".env.*")) if directory.is_dir() else ():
        if path.suffix == ".example" or re.search(r"[.~]", path.name.removeprefix(".env.")):
            continue
        for binding in parse_stream(StringIO(_text(path))):
            # A binding takes in the empty lines before it.
            blank = re.match(r"\s*", binding.original.string)
            place = f"{path}, line {binding.original.line + (blank[0].count(chr(10)) if blank else 0)}"
            if binding.error:
                raise ConfigError(f"{place} cannot be understood: expected NAME=VALUE, quotes closed")
            if binding.key is None:
                continue
            variable = Variable(_value(binding, place), place)
            before = found.setdefault(binding.key, variable)
            if before.value != variable.value:
                raise ConfigError(
                    f"{binding.key} is set twice, to different values: {before.place}, and {place}; expected once"
                )
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} cannot be read: expected a text in UTF-8, but {error.reason}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _value(binding: Binding, place: str) -> str:
    name, value = binding.key, binding.value
    if value is None:
        raise ConfigError(f"{place}: {name} has no value: expected {name}=VALUE")
    written = binding.original.string.partition("=")[2]
    if not written.lstrip().startswith(("'", '"')) and re.search(r"\s#", written):
        raise ConfigError(
            f"{place}: what follows ' #' in {name} would count as a comment and be cut off; expected the value in "
            f"single quotes ({name}='...'), or the comment on a line of its own"
        )
    return value
