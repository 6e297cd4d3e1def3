"""
Take the screenshots of the README: a real site, the demo's traffic, a real Chromium.

    make screenshots ARGS='--seconds 120'
"""

# A script: it stands by itself, prints, and starts what it takes pictures of.
# ruff: noqa: ANN401, INP001, S603, T201

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.browser import chromium
from tests.support.processes import ROOT, environment
from tests.support.servers import DAPHNE, Server, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

IMAGES = ROOT / "docs" / "images"
OPERATOR = "ops"


@dataclass(frozen=True)
class Shot:
    """One picture of the page: the window's size in pixels, and the theme."""

    name: str
    width: int
    height: int
    scheme: str = "light"
    selector: str | None = None


SHOTS = (
    Shot("page-light", 1440, 1000),
    Shot("page-dark", 1440, 1000, "dark"),
    Shot("page-phone", 390, 844),
    Shot("events", 1440, 1000, selector="[data-testid=event-stream]"),
    Shot("presence", 1440, 1000, selector="[data-testid=presence]"),
    Shot("consumers", 1440, 1000, selector="section:has(> .table-scroll)"),
)


@contextmanager
def site(folder: Path) -> Iterator[tuple[Server, str]]:
    """Run a site with data of its own; yields it with an operator's password."""
    server = make_server(DAPHNE, "hub.asgi:application", folder=folder, env={})
    server.manage("migrate", "-v", "0")
    password = server.manage("hub_operator", OPERATOR, "--operate").rpartition(" ")[2].strip()
    with server:
        yield server, password


@contextmanager
def traffic(server: Server) -> Iterator[None]:
    """Send the demo's visitors for as long as the pictures take."""
    command = [sys.executable, "manage.py", "demo_traffic", "--url", server.ws_url, "--profile", "calm", "--seed", "7"]
    running = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.terminate()
        running.wait(30)


def log_in(page: Page, server: Server, password: str) -> None:
    """Log in, and wait until the numbers are live."""
    page.goto(f"{server.url}/")
    page.get_by_label("User name").fill(OPERATOR)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("[data-testid=feed-state][data-state=live]")
    page.wait_for_selector("[data-testid=event-row]")


def shown(page: Page, selector: str) -> Locator:
    """Bring a part of the page into sight; the roster is asked for only then."""
    part = page.locator(selector).first
    part.scroll_into_view_if_needed()
    page.wait_for_timeout(1500)
    return part


def take(browser: Browser, shot: Shot, state: Any) -> Path:
    """Take one picture in a fresh window of somebody who is logged in."""
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme=shot.scheme,  # type: ignore[arg-type]
        storage_state=state["cookies"],
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(state["url"])
    page.wait_for_selector("[data-testid=event-row]")
    page.wait_for_timeout(2500)
    path = IMAGES / f"{shot.name}.png"
    target = page if shot.selector is None else shown(page, shot.selector)
    target.screenshot(path=path)
    context.close()
    return path


def take_login(browser: Browser, server: Server) -> Path:
    """Take the picture of the login."""
    page = browser.new_page(viewport={"width": 720, "height": 560})
    page.goto(f"{server.url}/login/")
    path = IMAGES / "login.png"
    page.screenshot(path=path)
    page.close()
    return path


def main() -> None:
    """Take them all."""
    parser = ArgumentParser(description="Take the screenshots of the README.")
    parser.add_argument("--seconds", type=float, default=75.0, help="traffic before the first one (default: 75)")
    seconds = parser.parse_args().seconds
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, site(Path(folder)) as (server, password), traffic(server):
        time.sleep(seconds)
        with chromium() as browser:
            context = browser.new_context()
            log_in(context.new_page(), server, password)
            state = {"url": f"{server.url}/", "cookies": context.storage_state()}
            for path in [take_login(browser, server), *(take(browser, shot, state) for shot in SHOTS)]:
                print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
