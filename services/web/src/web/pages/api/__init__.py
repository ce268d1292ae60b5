"""What programs may ask for."""

from __future__ import annotations

from typing import Final

from web.pages.page import Page
from web.words.sentence import say

PAGE: Final = Page("api", "/api", say("API"), place=60, under="status")
