"""A real Chromium, driven by Playwright's synchronous API."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, sync_playwright

from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

#: No sandbox (CI runs as root) and no traffic of the browser's own.
FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-dev-shm-usage",
)
PAGE_TIMEOUT_MILLISECONDS = 20_000


@contextmanager
def chromium() -> Iterator[Browser]:
    """
    Start a headless Chromium.

    While it runs, Playwright keeps an event loop running in this thread: Django's ORM refuses to work in it. Browser
    tests need none, since they look at a server with a database of its own (``server.manage("createsuperuser", ...)``).
    """
    executable = require("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
