"""The panel Alerts while real errors make real alerts, which a real receiver is told of."""

import json
import re
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from playwright.sync_api import expect
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from hub.alerting.pack import PACK
from tests.browser.conftest import Site
from tests.browser.test_alerts import focused, press, row, tab_to
from tests.browser.test_trouble import Operator
from tests.support.processes import LOCALHOST, free_port
from tests.support.receivers import WEBHOOK_SECRET, Webhook
from tests.support.servers import DAPHNE, make_server

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.timeout(180)]

#: Only errors: what else a loaded machine is slow at is no matter here.
ERRORS = {"look": "count", "above": 2, "window": 4, "keep": 1, "severity": "critical"}
RULES = dict.fromkeys(PACK, False) | {"handler_errors": ERRORS}
#: Each tenant is told of by itself, and soon.
ROUTES = [{"name": "all", "receivers": ["hook"], "by": ["rule", "tenant"], "wait": 0, "interval": 10}]


class Errors(threading.Thread):
    """A visitor who upsets a handler ten times a second."""

    def __init__(self, ws_url, tenant):
        super().__init__(daemon=True)
        self.address = f"{ws_url}/ws/demo/{tenant}/chat/lobby/"
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.1):
            with suppress(OSError, WebSocketException), connect(self.address, close_timeout=1) as visitor:
                visitor.send("{not JSON")


class Alarmed(Site):
    """A site whose errors become alerts, and who is told of them."""

    def __init__(self, folder, hook):
        port = free_port()
        env = {
            "HUB_RULES": json.dumps(RULES),
            "HUB_ROUTES": json.dumps(ROUTES),
            "HUB_RECEIVERS": json.dumps({"hook": {"type": "webhook", "url": hook.url, "secret": WEBHOOK_SECRET}}),
            "HUB_PAGE_URL": f"http://{LOCALHOST}:{port}/",
        }
        super().__init__(make_server(DAPHNE, "hub.asgi:application", folder=folder, env=env, port=port), traffic=False)
        self.server.manage("hub_operator", self.name, "--operate")
        self.hook = hook
        self.database = folder / "var" / "hub.sqlite3"

    @contextmanager
    def errors(self, *tenants):
        """Errors of some tenants, for as long as it lasts."""
        visitors = [Errors(self.server.ws_url, tenant) for tenant in tenants]
        for visitor in visitors:
            visitor.start()
        try:
            yield
        finally:
            for visitor in visitors:
                visitor.over.set()
            for visitor in visitors:
                visitor.join(10)

    def told(self, kind, tenant, seconds=30.0):
        """The newest message of a kind about a tenant."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for message in reversed(list(self.hook.messages.values())):
                if (message["kind"], message["tenants"]) == (kind, [tenant]):
                    return message
            time.sleep(0.05)
        kinds = [(message["kind"], message["tenants"]) for message in self.hook.messages.values()]
        raise AssertionError(f"nobody was told {kind} of {tenant}, but {kinds}")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Webhook() as hook:
        made = Alarmed(tmp_path_factory.mktemp("alarmed"), hook)
        yield made
        made.stop()


def of_tenant(page, tenant):
    """The line of a tenant's alert."""
    return row(page, "handler_errors").filter(has_text=f"tenant {tenant}")


def test_where_nothing_is_wrong_the_panel_says_so_until_something_is(page, site, complaints):
    expect(page.get_by_test_id("alerts-well")).to_be_visible()
    expect(page.get_by_test_id("alerts-count")).to_have_text("nothing fires")
    expect(page.get_by_test_id("alerts-badge")).to_have_count(0)
    with site.errors("umbrella"):
        line = of_tenant(page, "umbrella")
        expect(line).to_contain_text("critical")
        expect(line).to_contain_text("name exception, file and line")
        expect(line).to_contain_text("threshold 2")
        expect(page.get_by_test_id("alerts-well")).to_have_count(0)
        expect(page).to_have_title(re.compile(r"^\(1\) "))
        press(page, "a")
        expect(line.get_by_role("button")).to_be_focused()
    expect(page.get_by_test_id("alerts-well")).to_be_visible(timeout=30_000)
    assert complaints == []


def test_from_the_link_in_a_message_to_what_is_over_by_keyboard_alone(page, site, complaints):
    with site.errors("acme"):
        link = site.told("fired", "acme")["page"]
        assert re.fullmatch(rf"{re.escape(site.server.url)}/#alert=\d+", link)
        page.goto("about:blank")
        page.goto(link)
        summary = page.get_by_test_id("alert-summary")
        expect(summary).to_have_attribute("data-state", "firing")
        expect(summary).to_contain_text("acme")
        assert focused(page, "alert-dialog")
        expect(page.get_by_test_id("alert-deliveries")).to_contain_text("hook fired: delivered")
        # It takes two points to make a line.
        expect(page.get_by_test_id("alert-chart")).to_be_visible(timeout=30_000)
        expect(page.get_by_test_id("alert-chart").get_by_role("img")).to_have_accessible_name(re.compile("threshold"))
        press(page, "k")
        expect(page.get_by_test_id("alerts-done")).to_contain_text("You have acknowledged")
        expect(page.get_by_test_id("alert-changes")).to_contain_text("acknowledged by ops")
        assert site.told("acknowledged", "acme")["by"] == "ops"
    expect(summary).to_have_attribute("data-state", "resolved", timeout=30_000)
    expect(page.get_by_test_id("alert-changes")).to_contain_text("resolved")
    expect(page.get_by_test_id("alert-acknowledge")).to_have_count(0)
    assert site.told("resolved", "acme")["page"] == link
    expect(page.get_by_test_id("alert-deliveries")).to_contain_text("hook resolved: delivered")

    press(page, "Escape")
    expect(page.get_by_test_id("alert-dialog")).to_be_hidden()
    page.get_by_test_id("alerts-earlier").locator("summary").focus()
    press(page, "Enter")
    past = page.get_by_test_id("alert-past").filter(has_text="tenant acme").first
    expect(past).to_contain_text("acknowledged by ops")
    past.get_by_role("button").focus()
    press(page, "Enter")
    expect(page.get_by_test_id("alert-changes")).to_contain_text("acknowledged by ops")
    assert complaints == []


def test_what_is_silenced_fires_untold_until_the_silence_is_ended(page, site, complaints):
    with site.errors("globex"):
        expect(of_tenant(page, "globex")).to_be_visible()
    expect(of_tenant(page, "globex")).to_have_count(0, timeout=30_000)
    site.told("resolved", "globex")
    before = len(site.hook.messages)

    tab_to(page, "silences-summary", most=80)
    press(page, "Enter")
    tab_to(page, "silence-new")
    press(page, "Enter")
    expect(page.get_by_test_id("silence-matchers")).to_be_focused()
    page.keyboard.type("tenant=globex")
    expect(page.get_by_test_id("silence-preview")).to_contain_text("Matches nothing that is active now")
    tab_to(page, "silence-why")
    page.keyboard.type("a migration")
    press(page, "Enter")
    expect(page.get_by_test_id("silence-row")).to_contain_text('tenant="globex"')
    expect(page.get_by_test_id("silence-row")).to_contain_text("ops: a migration")

    with site.errors("globex"):
        expect(of_tenant(page, "globex").get_by_test_id("alert-muted")).to_have_text(
            "not told: silenced by ops: a migration"
        )
        assert len(site.hook.messages) == before
        tab_to(page, "silence-end", "Shift+Tab")
        press(page, "Enter")
        expect(page.get_by_test_id("silence-row")).to_have_count(0)
        expect(of_tenant(page, "globex").get_by_test_id("alert-muted")).to_have_count(0)
        site.told("fired", "globex")
    assert complaints == []


def test_an_operator_of_one_tenant_sees_and_silences_only_its_alerts(browser_page, site, complaints):
    with site.errors("acme", "initech"):
        foreign = site.told("fired", "initech")["page"]
        own = Operator(site, "acme")
        site.server.manage("hub_operator", own.name, "--operate")
        own.log_in(browser_page)
        expect(of_tenant(browser_page, "acme")).to_be_visible()
        expect(browser_page.get_by_test_id("alert-row")).to_have_count(1)
        expect(browser_page.get_by_test_id("alerts-count")).to_have_text("1 fires")

        press(browser_page, "a", "s")
        matchers = browser_page.get_by_test_id("silence-matchers")
        preview = browser_page.get_by_test_id("silence-preview")
        matchers.fill("rule=handler_errors")
        expect(preview).to_contain_text("Matches 1 of the active alerts")
        tab_to(browser_page, "silence-why")
        browser_page.keyboard.type("not mine")
        press(browser_page, "Enter")
        expect(browser_page.get_by_test_id("alerts-refused")).to_contain_text("must name one of your tenants")
        press(browser_page, "Escape")

        browser_page.goto("about:blank")
        browser_page.goto(foreign)
        expect(browser_page.get_by_test_id("alert-problem")).to_contain_text("there is no alert")
        assert "initech" not in browser_page.get_by_test_id("alert-dialog").inner_text()
    assert complaints == []


def test_what_the_database_does_not_say_is_unknown_and_comes_back(page, site):
    expect(page.get_by_test_id("alerts-count")).to_be_visible()
    with sqlite3.connect(site.database, timeout=30) as database:
        database.execute("ALTER TABLE hub_alertrecord RENAME TO hub_alertrecord_away")
    try:
        expect(page.get_by_test_id("alerts-unknown")).to_be_visible(timeout=30_000)
        expect(page.get_by_test_id("alerts-well")).to_have_count(0)
    finally:
        with sqlite3.connect(site.database, timeout=30) as database:
            database.execute("ALTER TABLE hub_alertrecord_away RENAME TO hub_alertrecord")
    expect(page.get_by_test_id("alerts-count")).to_have_text(re.compile("fires?$"), timeout=30_000)
