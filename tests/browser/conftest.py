"""A site with an operator and a little real traffic, and a browser that is logged in to it."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack

import pytest
from playwright.sync_api import expect
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.support.browser import PAGE_TIMEOUT_MILLISECONDS
from tests.support.servers import DAPHNE, make_server

expect.set_options(timeout=PAGE_TIMEOUT_MILLISECONDS)

TENANTS = ("acme", "globex", "initech")


class Traffic(threading.Thread):
    """Visitors who chat, and come back when the server does; every few seconds one of them upsets a handler."""

    def __init__(self, ws_url):
        super().__init__(daemon=True)
        self.ws_url = ws_url
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            try:
                with ExitStack() as stack:
                    self.talk([stack.enter_context(self.visit(tenant)) for tenant in TENANTS])
            except (OSError, WebSocketException, TimeoutError):
                self.ended.wait(0.2)

    def visit(self, tenant, room="lobby"):
        return connect(f"{self.ws_url}/ws/demo/{tenant}/chat/{room}/", open_timeout=5, close_timeout=1)

    def talk(self, visitors):
        for visitor in visitors:
            visitor.send(json.dumps({"type": "join", "name": "ann"}))
        turn = 0
        while not self.ended.wait(0.1):
            turn += 1
            # The first tenant talks most, so that sorting has something to sort.
            for visitor in visitors[: 1 + turn % 3]:
                visitor.send(json.dumps({"type": "say", "text": "hello"}))
            if turn % 10 == 0:
                with self.visit("acme", "errors") as upset:
                    upset.send("{not JSON")

    def stop(self):
        self.ended.set()
        self.join(timeout=15)


class Site:
    """A running site, with the name and password of an operator."""

    name = "ops"

    def __init__(self, server, *, traffic=True):
        self.server = server
        server.manage("migrate", "-v", "0")
        self.password = server.manage("hub_operator", self.name).rpartition(" ")[2].strip()
        server.start()
        self.traffic = Traffic(server.ws_url) if traffic else None
        if self.traffic is not None:
            self.traffic.start()

    def log_in(self, page, password=None):
        page.goto(f"{self.server.url}/")
        page.get_by_label("User name").fill(self.name)
        page.get_by_label("Password").fill(password or self.password)
        page.get_by_role("button", name="Log in").click()

    def stop(self):
        if self.traffic is not None:
            self.traffic.stop()
        self.server.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site that a module's tests share."""
    folder = tmp_path_factory.mktemp("browser")
    made = Site(make_server(DAPHNE, "hub.asgi:application", folder=folder, env={}))
    yield made
    made.stop()


@pytest.fixture
def complaints(browser_page):
    """Everything that the browser complains about: errors, exceptions, violations of the policy."""
    found = []
    browser_page.on(
        "console", lambda message: found.append(message.text) if message.type in ("error", "warning") else None
    )
    browser_page.on("pageerror", lambda error: found.append(str(error)))
    return found


@pytest.fixture
def page(site, browser_page, complaints):
    """The operator page, live."""
    site.log_in(browser_page)
    expect(browser_page.get_by_test_id("feed-state")).to_have_attribute("data-state", "live")
    return browser_page
