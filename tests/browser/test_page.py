"""The operator page in a real Chromium, as somebody on duty uses it."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.timeout(120)]

NARROW = {"width": 390, "height": 844}


def feed_state(page):
    return page.get_by_test_id("feed-state")


def wait_for_change(page, test_id):
    """Wait until a tile's number is another one."""
    tile = page.get_by_test_id(test_id)
    expect(tile).to_have_attribute("data-value", re.compile(r"\d"))
    before = tile.get_attribute("data-value")
    expect(tile).not_to_have_attribute("data-value", before)


def rows(page):
    return page.get_by_test_id("consumer-row")


def tenants(page):
    return rows(page).evaluate_all("rows => rows.map(row => row.dataset.tenant)")


def overflow(page):
    """Pixels by which the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def serious(page):
    """What axe finds that keeps somebody out, by rule."""
    violations = Axe().run(page).response["violations"]
    return {
        found["id"]: [node["html"] for node in found["nodes"]]
        for found in violations
        if found["impact"] in ("serious", "critical")
    }


def test_a_wrong_password_shows_an_error_and_the_right_one_the_page(site, browser_page, complaints):
    site.log_in(browser_page, "not the password")
    expect(browser_page.get_by_role("alert")).to_be_visible()
    assert serious(browser_page) == {}
    assert complaints == []
    site.log_in(browser_page)
    expect(feed_state(browser_page)).to_have_attribute("data-state", "live")
    assert complaints == []


def test_numbers_move_and_events_appear(page, complaints):
    expect(page.get_by_test_id("tile-connections")).to_have_attribute("data-value", re.compile(r"[1-9]"))
    wait_for_change(page, "tile-received")
    expect(page.get_by_test_id("event-row").first).to_be_visible()
    expect(page.get_by_test_id("event-row").and_(page.locator("[data-kind='handler.error']")).first).to_be_visible()
    expect(rows(page).first).to_be_visible()
    expect(page.get_by_test_id("chart-latency")).to_be_visible()
    expect(page).to_have_title(re.compile(r"connected"))
    assert complaints == []


def test_an_event_opens_to_its_details(page):
    page.get_by_test_id("event-row").and_(page.locator("[data-kind='handler.error']")).first.get_by_role(
        "button"
    ).click()
    expect(page.get_by_test_id("event-details").first).to_contain_text("JSONDecodeError")


def test_the_table_sorts_and_filters_by_keyboard(page):
    expect(rows(page).and_(page.locator("[data-tenant='initech']"))).to_be_visible()
    page.get_by_test_id("sort-tenant").focus()
    page.keyboard.press("Enter")
    heading = page.locator("th", has=page.get_by_test_id("sort-tenant"))
    expect(heading).to_have_attribute("aria-sort", re.compile("ascending|descending"))
    descending = heading.get_attribute("aria-sort") == "descending"
    assert tenants(page) == sorted(tenants(page), reverse=descending)
    page.keyboard.press("Space")
    expect(heading).to_have_attribute("aria-sort", "ascending" if descending else "descending")
    assert tenants(page) == sorted(tenants(page), reverse=not descending)

    page.keyboard.press("/")
    expect(page.get_by_test_id("consumers-filter")).to_be_focused()
    page.keyboard.type("globex")
    expect(rows(page).and_(page.locator("[data-tenant='acme']"))).to_have_count(0)
    assert set(tenants(page)) == {"globex"}
    page.keyboard.press("Escape")
    expect(rows(page).and_(page.locator("[data-tenant='acme']")).first).to_be_visible()


def test_a_tenant_can_be_looked_at_alone(page):
    expect(page.get_by_test_id("tenant-select").locator("option[value='tenant:globex']")).to_be_attached()
    page.get_by_test_id("tenant-select").select_option("tenant:globex")
    expect(rows(page).and_(page.locator("[data-tenant='acme']"))).to_have_count(0)
    expect(rows(page).and_(page.locator("[data-tenant='globex']"))).to_have_count(1)
    expect(feed_state(page)).to_have_attribute("data-state", "live")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(page, scheme):
    page.emulate_media(color_scheme=scheme)
    expect(page.get_by_test_id("event-row").first).to_be_visible()
    page.get_by_test_id("events-pause").click()  # rows that come and go while axe looks would confuse it
    page.wait_for_timeout(300)  # colours fade
    assert serious(page) == {}


def test_on_a_phone_nothing_has_to_be_scrolled_sideways(page, complaints):
    page.set_viewport_size(NARROW)
    expect(page.get_by_test_id("tile-connections")).to_be_visible()
    expect(page.get_by_test_id("event-row").first).to_be_visible()
    assert overflow(page) <= 0
    assert complaints == []


def test_the_login_on_a_phone(site, browser_page):
    browser_page.set_viewport_size(NARROW)
    browser_page.goto(f"{site.server.url}/login/")
    assert overflow(browser_page) <= 0
    assert serious(browser_page) == {}


def test_the_server_goes_and_comes_back(site, page, complaints):
    page.evaluate("window.neverReloaded = true")
    wait_for_change(page, "tile-received")
    site.server.kill()
    expect(feed_state(page)).to_have_attribute("data-state", "offline")
    expect(page.get_by_test_id("frozen-notice")).to_be_visible()
    # Every attempt fails while it is away; the browser itself writes that to its console.
    page.wait_for_timeout(1500)
    site.server.start()
    expect(feed_state(page)).to_have_attribute("data-state", "live")
    expect(page.get_by_test_id("gap-notice")).to_be_visible()
    assert page.get_by_test_id("gap-notice").get_attribute("data-reason") == "epoch"
    expect(page.get_by_test_id("frozen-notice")).to_have_count(0)
    wait_for_change(page, "tile-received")
    assert page.evaluate("window.neverReloaded") is True
    assert [text for text in complaints if "WebSocket connection to" not in text] == []


def test_logging_out_leads_to_the_login_and_keeps_others_out(site, page, complaints):
    page.get_by_role("button", name="Log out").click()
    # The closed feed sends the page to the login as well; whichever is first.
    expect(page).to_have_url(re.compile(r"/login/(\?next=(/|%2F))?$"))
    page.goto(f"{site.server.url}/")
    expect(page).to_have_url(re.compile(r"/login/\?next=/$"))
    assert complaints == []


def test_logged_out_in_another_tab_the_page_asks_to_log_in_again(site, page):
    token = page.locator("form.user input[name=csrfmiddlewaretoken]").input_value()
    page.request.post(f"{site.server.url}/logout/", form={"csrfmiddlewaretoken": token})
    expect(page).to_have_url(re.compile(r"/login/\?next=(/|%2F)$"))
