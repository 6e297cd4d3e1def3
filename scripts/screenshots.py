"""
Take the screenshots of README and docs: a real site, the demo's traffic, a real Chromium; and then, real trouble.

    make screenshots ARGS='--seconds 120'
"""

# A script: it stands by itself, prints, and starts what it takes pictures of.
# ruff: noqa: ANN401, S603, T201

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from websockets.sync.client import ClientConnection, connect

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.browser import chromium
from tests.support.processes import ROOT, environment
from tests.support.receivers import ROUTING_KEY, PagerDuty, Slack
from tests.support.servers import DAPHNE, Server, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

IMAGES = ROOT / "docs" / "images"
OPERATOR = "ops"


@dataclass(frozen=True)
class Shot:
    """One picture of the page: the window's size in pixels, the theme, and the rule whose alert is open."""

    name: str
    width: int
    height: int
    scheme: str = "light"
    selector: str | None = None
    rule: str | None = None


SHOTS = (
    Shot("page-light", 1440, 1000),
    Shot("page-dark", 1440, 1000, "dark"),
    Shot("page-phone", 390, 844),
    Shot("events", 1440, 1000, selector="[data-testid=event-stream]"),
    Shot("presence", 1440, 1000, selector="[data-testid=presence]"),
    Shot("consumers", 1440, 1000, selector="section:has(> .table-scroll)"),
)
#: The alert that is opened, and taken care of.
OPENED = "frames_dropped"
#: Those of trouble; what blocks all of the process fires for half a minute only, so alerts come first.
TROUBLE = tuple(
    Shot(name=f"{name}-{scheme}", width=1440, height=1000, scheme=scheme, selector=f"[data-testid={part}]", rule=rule)
    for name, part, rule in (
        ("alerts", "alerts", None),
        ("alert", "alert-dialog", OPENED),
        ("slow", "slow", None),
        ("dropped", "dropped", None),
    )
    for scheme in ("light", "dark")
)
#: Screens of the kitchen that hang, seconds that the bank does not answer, and seconds until the shop is in trouble.
SCREENS = 3
PATIENCE = 300
SINKING = 15


@contextmanager
def site(folder: Path) -> Iterator[tuple[Server, str]]:
    """Run a site with data of its own, and with somebody to tell; yields it with an operator's password."""
    with Slack() as slack, PagerDuty() as pagerduty:
        receivers = {
            "chat": {"type": "slack", "url": slack.webhook},
            "pager": {"type": "pagerduty", "routing_key": ROUTING_KEY, "url": f"{pagerduty.url}/v2/enqueue"},
        }
        env = {"HUB_RECEIVERS": json.dumps(receivers)}
        server = make_server(DAPHNE, "scripts.trouble:application", folder=folder, env=env)
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


def keep_ordering(orders: ClientConnection, over: threading.Event) -> None:
    """Send the kitchen 25 orders a second."""
    while not over.wait(1):
        orders.send("order 25")


@contextmanager
def trouble(server: Server) -> Iterator[None]:
    """
    Bring the shop into trouble, for as long as the pictures take.

    What blocks all of the process is over when it begins; a consumer that waits for its bank, a client that does not
    read and a kitchen whose screens hang are not.
    """
    with ExitStack() as stack:

        def customer(tenant: str, consumer: str, **options: Any) -> ClientConnection:
            url = f"{server.ws_url}/shop/{tenant}/{consumer}/"
            return stack.enter_context(connect(url, close_timeout=1, compression=None, ping_interval=None, **options))

        # Without a queue for what nobody reads, it stays where it is.
        asleep = customer("globex", "prices", max_queue=1)
        screens = [customer("acme", "kitchen") for _ in range(SCREENS)]
        orders, checkout = customer("acme", "kitchen"), customer("initech", "checkout")
        search, invoices = customer("globex", "search"), customer("umbrella", "invoices")
        for screen in screens:
            screen.send(f"hang {PATIENCE}")
        checkout.send(str(PATIENCE))
        asleep.send("20")
        search.send("1.4")
        invoices.send("2.5")
        over = threading.Event()
        ordering = threading.Thread(target=keep_ordering, args=(orders, over), daemon=True)
        # Before the connections are closed, and in this order.
        stack.callback(ordering.join)
        stack.callback(over.set)
        ordering.start()
        time.sleep(SINKING)
        yield


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
    if shot.rule is not None:
        open_alert(page, shot.rule)
    path = IMAGES / f"{shot.name}.png"
    target: Any = page if shot.selector is None else shown(page, shot.selector)
    target.screenshot(path=path)
    context.close()
    return path


def open_alert(page: Page, rule: str) -> None:
    """Open the worst alert of a rule, and take care of it if nobody does yet."""
    page.locator(f"[data-rule={rule}] .alert-open").first.click()
    page.wait_for_selector("[data-testid=alert-changes]")
    if page.get_by_test_id("alert-acknowledge").inner_text().startswith("Acknowledge"):
        page.keyboard.press("k")
    page.wait_for_timeout(2500)


def take_login(browser: Browser, server: Server) -> Path:
    """Take the picture of the login."""
    page = browser.new_page(viewport={"width": 720, "height": 560})
    page.goto(f"{server.url}/login/")
    path = IMAGES / "login.png"
    page.screenshot(path=path)
    page.close()
    return path


def told(path: Path) -> None:
    """Say what has been taken."""
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KiB", flush=True)


def main() -> None:
    """Take them all."""
    parser = ArgumentParser(description="Take the screenshots of README and docs.")
    parser.add_argument("--seconds", type=float, default=75.0, help="traffic before the first one (default: 75)")
    seconds = parser.parse_args().seconds
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, site(Path(folder)) as (server, password), traffic(server):
        time.sleep(seconds)
        with chromium() as browser:
            context = browser.new_context()
            log_in(context.new_page(), server, password)
            state = {"url": f"{server.url}/", "cookies": context.storage_state()}
            told(take_login(browser, server))
            for shot in SHOTS:
                told(take(browser, shot, state))
            with trouble(server):
                for shot in TROUBLE:
                    told(take(browser, shot, state))


if __name__ == "__main__":
    main()
