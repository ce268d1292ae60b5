"""What programs may ask for."""

from __future__ import annotations

from typing import Final

from web.pages.page import Page

PAGE: Final = Page("api", "/api", "API", place=60)
