"""A page that is made of something that was asked for, kept until that is something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from web.http.answers import Answer
from web.http.document import Aging
from web.http.readers import Spoken

T = TypeVar("T")


class Made(Generic[T]):
    """One page and what it was made of."""

    def __init__(self, render: Callable[[Any], Answer], age: Aging) -> None:
        self._shown: tuple[T, ...] = ()
        self.document = Spoken(lambda: render(self._shown), age=age)

    def show(self, *parts: T) -> Spoken:
        """Made anew only if a part is another object than before, or the page is old."""
        if len(parts) != len(self._shown) or any(a is not b for a, b in zip(parts, self._shown, strict=True)):
            self._shown = parts
            self.document.invalidate()
        return self.document
