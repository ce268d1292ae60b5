"""What a page carries for its script."""

from __future__ import annotations

from typing import Any

import orjson
from markupsafe import Markup


def embedded(value: Any) -> Markup:
    """JSON that cannot end the element that it stands in."""
    text = orjson.dumps(value).decode()
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - nothing is left in it that HTML could take for markup
