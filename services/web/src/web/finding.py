"""Finds what a package's modules declare, so that a new module is found without being named anywhere else."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Final, TypeVar

T = TypeVar("T")

_MISSING: Final = object()


def declared(package: str, path: Iterable[str], name: str, kind: type[T], *, folders: bool = False) -> Iterator[T]:
    """What the modules (or only the `folders`) right below a package declare as `name`; some may declare none.

    Raises TypeError for one of another kind: a declaration that is not found would be missed by nobody.
    """
    for module in sorted(pkgutil.iter_modules(path), key=lambda module: module.name):
        if folders and not module.ispkg:
            continue
        found = getattr(import_module(f"{package}.{module.name}"), name, _MISSING)
        if found is _MISSING:
            continue
        if not isinstance(found, kind):
            raise TypeError(f"{package}.{module.name}.{name} is a {type(found).__name__}: expected a {kind.__name__}")
        yield found
