"""The installed Chromium, and pages opened in it."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


IN_BROWSER = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH: apt-get install chromium"),
    pytest.mark.asyncio(loop_scope="module"),
]
"""Marks of a module whose tests share one browser."""


async def opened(
    browser: Browser,
    url: str,
    *,
    width: int = 1280,
    scheme: Any = "light",
    script: bool = True,
    language: str = "en-GB",
) -> Page:
    """A page in a context of its own; what its console complains about is in `page.complaints`."""
    context = await browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=script, locale=language
    )
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.complaints = complaints  # type: ignore[attr-defined]
    await page.goto(url)
    if script:
        await expect(page.locator("#dot")).to_have_attribute("data-state", "live", timeout=15_000)
    return page
