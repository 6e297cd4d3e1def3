"""The presence section of the operator page in a real Chromium, while real people come, go and fall silent."""

import json
import re
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import quote

import pytest
from playwright.sync_api import expect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

from consumers.demo.accounts import make_token
from tests.browser.conftest import Site
from tests.browser.test_page import NARROW, overflow, serious
from tests.support.servers import DAPHNE, make_server

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.timeout(120)]

#: Seconds between two heartbeats that the site asks for; twice as long is stale.
INTERVAL = 1.0
BEAT = 0.3


def open_shop(site, name, tenant, more=""):
    """Connect to the demo shop, which fails one handshake in a hundred on purpose."""
    url = f"{site.server.ws_url}/ws/demo/orders/?token={quote(make_token(name, tenant))}{more}"
    for _ in range(5):
        with suppress(InvalidStatus):
            return connect(url, open_timeout=10, close_timeout=2)
    raise AssertionError("the shop does not open")


class Visitor(threading.Thread):
    """A customer of the demo shop, with our control frames; beats until it falls silent or leaves."""

    def __init__(self, site, name, tenant, hidden):
        super().__init__(daemon=True)
        self.connection = open_shop(site, name, tenant, "&_hub=1").__enter__()
        self.hidden = hidden
        self.silent = threading.Event()
        self.left = threading.Event()
        self.start()

    def run(self):
        heard = (json.loads(self.connection.recv(timeout=10)[1:])["at"], time.monotonic())
        with suppress(WebSocketException, OSError):
            while not self.left.wait(BEAT):
                with suppress(TimeoutError):
                    while frame := self.connection.recv(timeout=0):
                        if isinstance(frame, str) and frame.startswith("\0{"):
                            heard = (json.loads(frame[1:])["at"], time.monotonic())
                if not self.silent.is_set():
                    self.beat(*heard)

    def beat(self, echo, heard_at):
        beat = {"hidden": self.hidden, "lag": 0.0, "count": 0, "echo": echo, "held": time.monotonic() - heard_at}
        self.connection.send("\0" + json.dumps({"type": "heartbeat", "sent_at": time.time(), **beat}))

    def leave(self):
        self.left.set()
        self.join(10)
        self.connection.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site on which time passes quickly."""
    env = {"WEBSOCKET_HEARTBEAT_INTERVAL": str(INTERVAL), "HUB_PRESENCE_GRACE": "0.5", "HUB_PRESENCE_TIMEOUT": "60"}
    folder = tmp_path_factory.mktemp("presence")
    made = Site(make_server(DAPHNE, "hub.asgi:application", folder=folder, env=env), traffic=False)
    yield made
    made.stop()


@pytest.fixture
def visit(site):
    """``visit("ann", "acme")``: somebody comes; all leave when the test ends."""
    with ExitStack() as stack:

        def come(name, tenant="acme", *, hidden=False):
            visitor = Visitor(site, name, tenant, hidden)
            stack.callback(visitor.leave)
            return visitor

        yield come


@contextmanager
def crowd(site, size, tenant="initech"):
    """Many plain clients at once."""
    with ExitStack() as stack:
        for number in range(size):
            stack.enter_context(open_shop(site, f"user{number:03}", tenant))
        yield


@pytest.fixture
def ann(visit):
    """Somebody who is there from the start."""
    return visit("ann")


@pytest.fixture
def roster(ann, page):
    """The page, with its presence section in sight."""
    page.get_by_test_id("presence").scroll_into_view_if_needed()
    expect(member(page, "ann")).to_have_attribute("data-state", "online")
    return page


def span(first, last, total):
    return f"{first}\u2013{last} of {total}"


def member(page, name, tenant="acme"):
    return page.locator(f"[data-testid=member-row][data-member='{name}@{tenant}']")


def members(page):
    return page.get_by_test_id("member-row").evaluate_all("rows => rows.map(row => row.dataset.member)")


def value(page, state):
    return page.get_by_test_id(f"members-{state}")


def test_the_roster_changes_live_on_join_leave_and_silence(roster, ann, visit, complaints):
    roster.evaluate("window.neverReloaded = true")
    zoe = visit("zoe", "globex", hidden=True)
    expect(member(roster, "zoe", "globex")).to_contain_text("online")
    expect(member(roster, "zoe", "globex")).to_contain_text(re.compile(r"heartbeat.*hidden.*ms"))
    expect(value(roster, "online")).to_have_attribute("data-value", "2")

    ann.silent.set()
    expect(member(roster, "ann")).to_have_attribute("data-state", "stale")
    expect(member(roster, "ann").get_by_test_id("member-state")).to_have_text(re.compile("stale"))
    expect(value(roster, "stale")).to_have_attribute("data-value", "1")
    tenant = roster.locator("[data-testid=presence-tenant][data-tenant=acme]")
    expect(tenant).to_have_text(re.compile(r"acme\s*0\s*0\s*1"))
    ann.silent.clear()
    expect(member(roster, "ann")).to_have_attribute("data-state", "online")

    zoe.leave()
    expect(member(roster, "zoe", "globex")).to_have_count(0)
    expect(value(roster, "online")).to_have_attribute("data-value", "1")
    assert roster.evaluate("window.neverReloaded") is True
    assert complaints == []


def test_a_second_tab_is_the_same_member_and_stays_when_the_first_goes(roster, visit):
    first, second = visit("tom"), visit("tom", hidden=True)
    expect(member(roster, "tom").locator("td").nth(2)).to_have_text("2")
    first.leave()
    expect(member(roster, "tom").locator("td").nth(2)).to_have_text("1")
    expect(member(roster, "tom")).to_contain_text("hidden")
    second.leave()
    expect(member(roster, "tom")).to_have_count(0)


def test_joins_leaves_and_silence_are_events_with_a_filter_of_their_own(roster, visit):
    eve = visit("eve")
    rows = roster.get_by_test_id("event-row")
    expect(rows.and_(roster.locator("[data-kind='member.joined']")).first).to_contain_text("eve")
    eve.silent.set()
    expect(rows.and_(roster.locator("[data-kind='member.stale']")).first).to_contain_text("eve")
    eve.leave()
    expect(rows.and_(roster.locator("[data-kind='member.left']")).first).to_contain_text("eve")
    roster.get_by_label("Kind of event").select_option("member.")
    kinds = rows.evaluate_all("rows => [...new Set(rows.map(row => row.dataset.kind.split('.')[0]))]")
    assert kinds == ["member"]


def test_by_keyboard_alone(roster, visit):
    visit("ben")
    visit("kim", "globex").silent.set()
    expect(member(roster, "kim", "globex")).to_have_attribute("data-state", "stale")
    roster.keyboard.press("m")
    expect(roster.get_by_test_id("members-search")).to_be_focused()
    roster.keyboard.type("BEN@")
    expect(roster.get_by_test_id("member-row")).to_have_count(1)
    roster.keyboard.press("Escape")
    expect(roster.get_by_test_id("member-row")).to_have_count(3)

    tab_to(roster, "members-stale")
    roster.keyboard.press("Space")
    expect(value(roster, "stale")).to_have_attribute("aria-pressed", "true")
    expect(roster.get_by_test_id("member-row")).to_have_count(1)
    roster.keyboard.press("Space")
    expect(roster.get_by_test_id("member-row")).to_have_count(3)

    tab_to_class(roster, "member")
    roster.keyboard.press("Enter")
    details = roster.get_by_test_id("member-details")
    expect(details).to_contain_text("ann@acme")
    expect(details).to_contain_text("1, of these 1 with our client library")
    roster.keyboard.press("ArrowDown")
    expect(member(roster, "ben").get_by_role("button")).to_be_focused()
    roster.keyboard.press("Enter")
    expect(details).to_contain_text("ben@acme")
    # What is open and in focus stays so, however often the roster is asked again.
    roster.wait_for_timeout(3000)
    expect(member(roster, "ben").get_by_role("button")).to_be_focused()
    roster.keyboard.press("Escape")
    expect(details).to_have_count(0)


def tab_to(page, test_id):
    press_until(page, f"document.activeElement.dataset.testid === '{test_id}'")


def tab_to_class(page, name):
    press_until(page, f"document.activeElement.classList.contains('{name}')")


def press_until(page, condition):
    for _ in range(60):
        if page.evaluate(condition):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no {condition} by pressing Tab")


def test_who_leaves_while_its_details_are_read_stays_in_sight_as_gone(roster, visit):
    lee = visit("lee")
    member(roster, "lee").get_by_role("button").click()
    roster.mouse.move(1, 1)
    lee.leave()
    expect(member(roster, "lee")).to_have_attribute("data-state", "gone")
    expect(roster.get_by_test_id("member-details")).to_contain_text("No longer in this list")
    member(roster, "lee").get_by_role("button").press("Enter")
    roster.mouse.move(1, 1)
    roster.get_by_test_id("members-search").focus()
    expect(member(roster, "lee")).to_have_count(0)


def test_pages_and_filters(site, roster):
    with crowd(site, 60):
        expect(value(roster, "online")).to_have_attribute("data-value", "61")
        expect(roster.get_by_test_id("members-shown")).to_have_text(span(1, 50, 61))
        roster.get_by_test_id("members-next").press("Enter")
        expect(roster.get_by_test_id("members-shown")).to_have_text(span(51, 61, 61))
        assert members(roster)[-1] == "user059@initech"
        roster.get_by_test_id("members-previous").press("Enter")
        expect(roster.get_by_test_id("members-shown")).to_have_text(span(1, 50, 61))
        assert members(roster)[0] == "ann@acme"
        roster.locator("[data-testid=presence-tenant][data-tenant=acme] button").click()
        expect(roster.get_by_test_id("members-shown")).to_have_text(span(1, 1, 1))
        roster.get_by_test_id("tenant-select").select_option("tenant:initech")
        expect(roster.get_by_test_id("members-shown")).to_have_text(span(1, 50, 60))
        assert len(set(members(roster))) == 50
    expect(roster.get_by_test_id("nobody")).to_contain_text("Nobody of this tenant")


def test_it_is_asked_for_once_a_second_at_most_and_never_out_of_sight(site, ann, visit, browser_page):
    asked = []
    browser_page.on("websocket", lambda socket: socket.on("framesent", note))

    def note(frame):
        if isinstance(frame, str) and json.loads(frame)["type"] == "list_members":
            asked.append(time.monotonic())

    browser_page.set_viewport_size({"width": 1440, "height": 500})
    site.log_in(browser_page)
    expect(browser_page.get_by_test_id("feed-state")).to_have_attribute("data-state", "live")
    visit("out-of-sight")
    browser_page.wait_for_timeout(2500)
    assert asked == []
    browser_page.get_by_test_id("presence").scroll_into_view_if_needed()
    expect(member(browser_page, "ann")).to_be_visible()
    began, before = time.monotonic(), len(asked)
    for number in range(12):
        visit(f"guest{number:02}")
        browser_page.wait_for_timeout(350)
    expect(member(browser_page, "guest11")).to_be_visible()
    assert len(asked) - before <= time.monotonic() - began + 1
    browser_page.evaluate("scrollTo(0, 0)")
    browser_page.wait_for_timeout(1500)
    before = len(asked)
    visit("late")
    browser_page.wait_for_timeout(2500)
    assert len(asked) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(site, roster, visit, scheme):
    roster.emulate_media(color_scheme=scheme)
    visit("idle", "globex").silent.set()
    with crowd(site, 55):
        expect(value(roster, "online")).to_have_attribute("data-value", "56")
        expect(value(roster, "stale")).to_have_attribute("data-value", "1")
        member(roster, "ann").get_by_role("button").click()
        value(roster, "online").click()
        roster.mouse.move(1, 1)
        expect(roster.get_by_test_id("member-details")).to_be_visible()
        expect(roster.get_by_test_id("members-next")).to_be_enabled()
        roster.get_by_test_id("events-pause").click()
        roster.wait_for_timeout(300)
        assert serious(roster) == {}


def test_on_a_phone_nothing_has_to_be_scrolled_sideways(roster):
    roster.set_viewport_size(NARROW)
    member(roster, "ann").get_by_role("button").click()
    expect(roster.get_by_test_id("member-details")).to_be_visible()
    assert overflow(roster) <= 0


def test_while_the_server_is_away_states_are_unknown_and_afterwards_live_again(site, roster, visit):
    site.server.kill()
    expect(roster.get_by_test_id("presence-unknown")).to_be_visible()
    expect(roster.get_by_test_id("member-state").first).to_have_text(re.compile("unknown"))
    site.server.start()
    visit("ann")
    expect(roster.get_by_test_id("feed-state")).to_have_attribute("data-state", "live")
    expect(member(roster, "ann").get_by_test_id("member-state")).to_have_text(re.compile("online"))
    expect(roster.get_by_test_id("presence-unknown")).to_have_count(0)
    visit("new")
    expect(member(roster, "new")).to_be_visible()


def test_nobody_is_here_and_the_page_says_what_to_do(page, visit):
    visit("short").leave()
    expect(page.get_by_test_id("nobody")).to_contain_text("get_hub_member_name")
    visit("first")
    expect(page.get_by_test_id("nobody")).to_have_count(0)
