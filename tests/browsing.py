"""A real Chromium for tests of pages."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium (apt install chromium)"
)
# What it would ask of Google's hosts at every start is refused by a closed network.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Tab:
    """A page that remembers what went wrong in it and whom it asked."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self.asked.add(r.url))
        self.page.goto(url)
        self.url = url

    def _heard(self, message: ConsoleMessage) -> None:
        self.complaints.append(message.text)

    def close(self) -> None:
        """Close it; nothing may have gone wrong, and nobody else been asked."""
        self.context.close()
        assert self.complaints == []
        assert all(u.startswith((self.url, "data:", "blob:")) for u in self.asked)
