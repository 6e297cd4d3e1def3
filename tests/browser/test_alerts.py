"""The panel Alerts in a real Chromium, from the first key to the last by keyboard alone."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Site
from tests.browser.test_page import overflow, serious
from tests.support.servers import DAPHNE, make_server

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.timeout(120)]

TELL = """
import sys, json
from datetime import timedelta
from django.utils import timezone
from hub.models import *
now = timezone.now()
for rule, severity, tenant in [("test_errors", "high", "acme"), ("test_loop", "critical", ""), ("test_queue", "medium", "acme")]:
    record = AlertRecord.objects.create(
        key=f"{rule}/{tenant}", rule=rule, severity=severity, labels={"rule": rule, "severity": severity, "tenant": tenant},
        tenant=tenant, state="firing", since=now - timedelta(minutes=5), fired_at=now - timedelta(minutes=4), value=12.0,
        worst=14.0, threshold=10.0, unit="exceptions", summary=f"{rule} at {tenant or 'web-1'}", action="Look at the events.",
        values=[[(now - timedelta(seconds=60 - s)).timestamp(), 3.0 + s % 7] for s in range(60)], changed_at=now,
    )
    AlertChange.objects.create(alert=record, at=now - timedelta(minutes=4), kind="firing", value=11.0)
    told = Delivery.objects.create(
        incident=f"i{record.pk}", number=1, receiver="ops", kind="fired", severity=severity, notice={}, state="delivered",
        attempts=2, created_at=now, next_at=now, delivered_at=now,
    )
    AlertChange.objects.create(alert=record, at=now, kind="told", detail="ops fired", delivery=told)
"""  # noqa: E501 - a program of its own


# Alerts that no rule says would be over at once.
EVALUATED_BY_NOBODY = {"HUB_ALERTS": "0"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site with three alerts in its database, which no process evaluates, and an operator who may act."""
    folder = tmp_path_factory.mktemp("alerts")
    made = Site(make_server(DAPHNE, "hub.asgi:application", folder=folder, env=EVALUATED_BY_NOBODY), traffic=False)
    made.server.manage("hub_operator", made.name, "--operate")
    made.server.manage("shell", "-v", "0", "-c", TELL)
    yield made
    made.stop()


def row(page, rule):
    return page.get_by_test_id("alert-row").and_(page.locator(f"[data-rule='{rule}']"))


def focused(page, test_id):
    """Whether the focus is on an element, or within it."""
    return page.evaluate(f"document.activeElement.closest('[data-testid={test_id}]') !== null")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def tab_to(page, test_id, key="Tab", most=40):
    """Press Tab until an element has the focus."""
    for _ in range(most):
        if page.evaluate("document.activeElement.dataset.testid") == test_id:
            return
        page.keyboard.press(key)
    raise AssertionError(f"{test_id} can't be reached with Tab")


def test_the_worst_comes_first_and_arrows_lead_from_alert_to_alert(page):
    expect(row(page, "test_loop")).to_be_visible()
    rules = page.get_by_test_id("alert-row").evaluate_all("rows => rows.map(row => row.dataset.rule)")
    assert rules == ["test_loop", "test_errors", "test_queue"]
    press(page, "a")
    expect(row(page, "test_loop").get_by_role("button")).to_be_focused()
    press(page, "ArrowDown")
    expect(row(page, "test_errors").get_by_role("button")).to_be_focused()


def test_an_alert_is_opened_read_acknowledged_and_closed_by_keyboard_alone(page, complaints):
    expect(row(page, "test_errors")).to_be_visible()
    press(page, "a", "ArrowDown", "Enter")
    dialog = page.get_by_test_id("alert-dialog")
    expect(dialog).to_be_visible()
    expect(page).to_have_url(re.compile(r"#alert=\d+$"))
    expect(page.get_by_test_id("alert-changes")).to_contain_text("firing")
    expect(page.get_by_test_id("alert-deliveries")).to_contain_text("ops fired: delivered")
    expect(page.get_by_test_id("alert-chart")).to_be_visible()
    tab_to(page, "alert-acknowledge")
    press(page, "Enter")
    expect(page.get_by_test_id("alerts-done")).to_contain_text("You have acknowledged")
    expect(page.get_by_test_id("alert-acknowledge")).to_contain_text("Take the acknowledgement back")
    expect(page.get_by_test_id("alert-changes")).to_contain_text("acknowledged by ops")
    press(page, "Escape")
    expect(dialog).to_be_hidden()
    expect(row(page, "test_errors").get_by_role("button")).to_be_focused()
    expect(row(page, "test_errors")).to_contain_text("acknowledged by ops")
    expect(page).to_have_url(re.compile(r"/$"))

    press(page, "k")
    expect(row(page, "test_errors")).not_to_contain_text("acknowledged by ops")
    assert complaints == []


def test_a_silence_is_previewed_made_and_ended_by_keyboard_alone(page, complaints):
    expect(row(page, "test_errors")).to_be_visible()
    press(page, "a", "ArrowDown", "s")
    matchers = page.get_by_test_id("silence-matchers")
    expect(matchers).to_be_focused()
    expect(matchers).to_have_value("rule=test_errors, tenant=acme")
    expect(page.get_by_test_id("silence-preview")).to_contain_text("Matches 1 of the active alerts")

    press(page, "Control+a")
    page.keyboard.type("acme")
    expect(page.get_by_test_id("silence-preview")).to_contain_text("is no matcher")
    expect(matchers).to_have_attribute("aria-invalid", "true")
    press(page, "Control+a")
    page.keyboard.type("tenant=acme")
    expect(page.get_by_test_id("silence-preview")).to_contain_text("Matches 2 of the active alerts")

    tab_to(page, "silence-why")
    page.keyboard.type("we know")
    press(page, "Enter")
    expect(page.get_by_test_id("silence-dialog")).to_be_hidden()
    expect(page.get_by_test_id("alerts-done")).to_contain_text("Silenced: tenant=acme")
    expect(row(page, "test_errors").get_by_role("button")).to_be_focused()
    expect(page.get_by_test_id("silence-row")).to_contain_text("we know")

    tab_to(page, "silence-end")
    press(page, "Enter")
    expect(page.get_by_test_id("silence-row")).to_have_count(0)
    expect(page.get_by_test_id("alerts-done")).to_contain_text("Silence ended")
    assert complaints == []


def test_that_no_process_evaluates_stands_beside_what_was_last_known(page):
    expect(row(page, "test_loop")).to_be_visible()
    expect(page.get_by_test_id("alerts-unevaluated")).to_contain_text("No process evaluates the rules")


def test_an_open_alert_is_acknowledged_and_silenced_by_single_keys(page):
    expect(row(page, "test_queue")).to_be_visible()
    press(page, "a", "ArrowDown", "ArrowDown", "Enter")
    expect(page.get_by_test_id("alert-acknowledge")).to_be_visible()
    press(page, "k")
    expect(page.get_by_test_id("alert-acknowledge")).to_contain_text("Take the acknowledgement back")
    press(page, "k")
    expect(page.get_by_test_id("alert-changes")).to_contain_text("unacknowledged by ops")
    press(page, "s")
    expect(page.get_by_test_id("silence-dialog")).to_be_visible()
    expect(page.get_by_test_id("silence-matchers")).to_have_value("rule=test_queue, tenant=acme")
    # What is typed there is text.
    page.get_by_test_id("silence-why").focus()
    page.keyboard.type("ask")
    expect(page.get_by_test_id("silence-why")).to_have_value("ask")


def test_the_header_leads_to_what_fires(page):
    badge = page.get_by_test_id("alerts-badge")
    expect(badge).to_have_text("3 fire")
    badge.focus()
    press(page, "Enter")
    expect(row(page, "test_loop").get_by_role("button")).to_be_focused()


def test_escape_leads_back_step_by_step(page):
    expect(row(page, "test_loop")).to_be_visible()
    press(page, "a", "Enter")
    expect(page.get_by_test_id("alert-dialog")).to_be_visible()
    tab_to(page, "alert-silence")
    press(page, "Enter")
    expect(page.get_by_test_id("silence-dialog")).to_be_visible()
    press(page, "Escape")
    expect(page.get_by_test_id("silence-dialog")).to_be_hidden()
    expect(page.get_by_test_id("alert-silence")).to_be_focused()
    press(page, "Escape")
    expect(page.get_by_test_id("alert-dialog")).to_be_hidden()
    expect(row(page, "test_loop").get_by_role("button")).to_be_focused()


def test_who_may_only_watch_is_told_so(site, browser_page):
    password = site.server.manage("hub_operator", "watcher").rpartition(" ")[2].strip()
    browser_page.goto(f"{site.server.url}/")
    browser_page.get_by_label("User name").fill("watcher")
    browser_page.get_by_label("Password").fill(password)
    browser_page.keyboard.press("Enter")
    expect(row(browser_page, "test_loop")).to_be_visible()
    press(browser_page, "a", "k")
    expect(browser_page.get_by_test_id("alerts-refused")).to_contain_text("hub.operate")
    press(browser_page, "Enter")
    expect(browser_page.get_by_test_id("alert-summary")).to_be_visible()
    expect(browser_page.get_by_test_id("alert-acknowledge")).to_have_count(0)


def test_a_link_opens_the_page_at_its_alert_also_by_way_of_the_login(site, browser_page, complaints):
    number = site.server.manage(
        "shell", "-v", "0", "-c",
        "from hub.models import *; print(AlertRecord.objects.get(rule='test_loop').pk)",
    ).split()[-1]  # fmt: skip
    browser_page.goto(f"{site.server.url}/#alert={number}")
    browser_page.get_by_label("User name").fill(site.name)
    browser_page.get_by_label("Password").fill(site.password)
    browser_page.keyboard.press("Enter")
    expect(browser_page.get_by_test_id("alert-dialog")).to_be_visible()
    expect(browser_page.get_by_test_id("alert-summary")).to_contain_text("Look at the events.")
    assert urlsplit(browser_page.url).fragment == f"alert={number}"
    assert complaints == []


def test_a_link_to_nothing_says_so(site, page):
    page.goto(f"{site.server.url}/#alert=999999")
    expect(page.get_by_test_id("alert-problem")).to_contain_text("there is no alert 999999")
    press(page, "Escape")
    expect(page.get_by_test_id("alert-dialog")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("open_with", [(), ("Enter",), ("s",)], ids=["list", "alert", "silence"])
def test_nothing_keeps_anybody_out(page, scheme, open_with):
    page.emulate_media(color_scheme=scheme)
    expect(row(page, "test_loop")).to_be_visible()
    press(page, "a", *open_with)
    if open_with == ("Enter",):
        expect(page.get_by_test_id("alert-chart")).to_be_visible()
    page.wait_for_timeout(400)
    assert serious(page) == {}


def test_on_a_phone_nothing_has_to_be_scrolled_sideways(page):
    page.set_viewport_size({"width": 390, "height": 844})
    expect(row(page, "test_loop")).to_be_visible()
    assert overflow(page) <= 0
    # Nor squeezed until a word is a column of letters.
    assert all(height < 260 for height in page.get_by_test_id("alert-row").evaluate_all(HEIGHTS))
    press(page, "a", "Enter")
    expect(page.get_by_test_id("alert-chart")).to_be_visible()
    assert sideways(page.get_by_test_id("alert-dialog")) <= 0
    press(page, "s")
    expect(page.get_by_test_id("silence-preview")).to_contain_text("Matches 1")
    assert sideways(page.get_by_test_id("silence-dialog")) <= 0


HEIGHTS = "lines => lines.map(line => line.getBoundingClientRect().height)"


def sideways(dialog):
    """Pixels that are missing to a dialog, or to the phone around it."""
    return dialog.evaluate(
        "box => Math.max(box.scrollWidth - box.clientWidth, box.getBoundingClientRect().right - 390)"
    )
