"""What is slow and what is lost, on the page of a real Chromium, while it happens on a real server."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from playwright.sync_api import expect
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from tests.browser.conftest import Site
from tests.browser.test_page import NARROW, overflow, serious
from tests.slow.stage import line_of
from tests.support.servers import DAPHNE, make_server

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.timeout(180)]

APPLICATION = "tests.browser.trouble.application:application"


class Operator:
    """An operator of one tenant, at the same site."""

    def __init__(self, site, tenant):
        self.site, self.name = site, f"only-{tenant}"
        created = site.server.manage("hub_operator", self.name, "--tenant", tenant)
        self.password = created.rpartition(" ")[2].strip()

    def log_in(self, page):
        page.goto(f"{self.site.server.url}/")
        page.get_by_label("User name").fill(self.name)
        page.get_by_label("Password").fill(self.password)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_test_id("feed-state")).to_have_attribute("data-state", "live")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(make_server(DAPHNE, APPLICATION, folder=tmp_path_factory.mktemp("trouble"), env={}), traffic=False)
    yield made
    made.stop()


@pytest.fixture
def visitors(site):
    """``visitors(consumer, tenant, count)``: clients, connected until the end of the test."""
    with ExitStack() as stack:

        def connected(consumer, tenant, count=1):
            url = f"{site.server.ws_url}/{tenant}/{consumer}/"
            return [stack.enter_context(connect(url, open_timeout=10, close_timeout=1)) for _ in range(count)]

        yield connected


def heard(client, text):
    """Read until the consumer says something."""
    while client.recv(timeout=20) != text:
        pass


@contextmanager
def hanging(clients):
    """Members of a room whose handlers hang."""
    for client in clients:
        client.send("hang")
    for client in clients:
        heard(client, "hang")
    yield


def publish(client, count):
    client.send(f"publish {count}")
    heard(client, "published")


def sample(site, name, **labels):
    """The sum of the samples of ``/metrics`` with these labels."""
    families = text_string_to_metric_families(httpx.get(f"{site.server.url}/metrics", timeout=20).text)
    samples = [each for family in families for each in family.samples if each.name == name]
    return sum(each.value for each in samples if labels.items() <= each.labels.items())


def rows(page, test_id, **attributes):
    chosen = "".join(f"[data-{name}='{value}']" for name, value in attributes.items())
    return page.get_by_test_id(test_id).and_(page.locator(chosen or "*"))


def seconds_of(text):
    """The time of day in a text, in seconds."""
    [hours, minutes, seconds] = map(int, re.findall(r"(\d\d):(\d\d):(\d\d)", text)[0])
    return 3600 * hours + 60 * minutes + seconds


# --- slow ---------------------------------------------------------------------------------------------------------


def test_a_slow_handler_is_named_while_it_hangs_and_recovers_on_the_page(page, visitors, complaints):
    expect(page.get_by_test_id("slow-well")).to_be_visible()
    [twin], [client] = visitors("twin", "acme"), visitors("slow", "acme")
    client.send("wait 4")
    row = rows(page, "slow-row", cause="handler")
    expect(row).to_be_visible()
    expect(row).to_contain_text("tests/slow/consumers.py:" + str(line_of("waits here")))
    for part in ("slow", "acme", "its handler takes long", "look_up", "so far", "since "):
        expect(row).to_contain_text(part)
    expect(page.get_by_test_id("slow")).to_have_attribute("data-open", "1")
    twin.send("echo")
    assert twin.recv(timeout=10) == "echo"
    with pytest.raises(TimeoutError):
        client.recv(timeout=0.01)
    expect(row).to_have_attribute("data-severity", "recovered")
    expect(page.get_by_test_id("slow")).to_have_attribute("data-open", "0")
    expect(row).to_contain_text("in all")
    expect(rows(page, "slow-row")).to_have_count(1)
    assert complaints == []


def test_a_blocked_loop_is_severe_and_names_the_line(page, visitors):
    [client] = visitors("slow", "globex")
    client.send("block 1.5")
    row = rows(page, "slow-row", cause="loop")
    expect(row).to_contain_text("tests/slow/consumers.py:" + str(line_of("blocks the loop here")))
    expect(row).to_contain_text("everybody on this node stood still")
    expect(row).to_have_attribute("data-severity", re.compile("severe|recovered"))


# --- dropped ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lossy(site):
    """Three members of acme's room hang while much is sent to it; globex's room, beside it, is well."""
    with ExitStack() as stack:

        def member(tenant):
            return stack.enter_context(connect(f"{site.server.ws_url}/{tenant}/tests.Room/", close_timeout=1))

        stuck, sender, [_, well] = [member("acme") for _ in range(3)], member("acme"), [member("globex") for _ in "ab"]
        with hanging(stuck):
            publish(sender, 150)
            publish(well, 50)
            yield sender
            sender.send("release")
            heard(sender, "release")


def test_one_look_tells_whose_messages_are_lost_where_why_and_since_when(page, lossy, site, complaints):
    row = rows(page, "dropped-row", reason="over_capacity")
    expect(row).to_have_count(1)
    for part in (
        "over capacity",
        "Room",
        "acme",
        "nobody was told",
        "group room.of.acme",
        "3 connections",
        "3 channels",
    ):
        expect(row).to_contain_text(part)
    # What the page says is what Prometheus is told, and what was sent and not taken.
    lost = sample(site, "ws_frames_dropped_total")
    assert lost == 3 * (150 - 100 - 1)  # a queue of 100, and one read ahead
    expect(page.get_by_test_id("dropped")).to_have_attribute("data-messages", f"{lost:g}")
    expect(row).to_contain_text(f"{lost:g}")
    assert (seconds_of(time.strftime("%H:%M:%S")) - seconds_of(row.text_content())) % 86400 < 120
    event = page.get_by_test_id("event-row").and_(page.locator("[data-kind='frames.dropped']")).first
    expect(event).to_be_visible()
    # Nothing for the twin.
    expect(page.get_by_test_id("dropped")).not_to_contain_text("globex")
    assert complaints == []


def test_the_layers_say_how_full_they_are_and_whose_queue_is_the_fullest(page, lossy, site):
    layer = rows(page, "layer", layer="default")
    expect(layer).to_have_attribute("data-state", "filling")
    for part in ("300 waiting", "the oldest for", "fullest queue 100 % of 100", "tests.Room, acme"):
        expect(layer).to_contain_text(part)
    expect(layer.get_by_role("meter")).to_have_attribute("value", "1")
    assert sample(site, "ws_channel_layer_depth", layer="default") == 300
    assert sample(site, "ws_channel_layer_capacity", layer="default") == 100
    assert sample(site, "ws_channel_layer_oldest_seconds", layer="default") > 0


def test_a_tenant_s_operator_sees_their_losses_and_no_layers(site, lossy, browser_page):
    Operator(site, "acme").log_in(browser_page)
    expect(rows(browser_page, "dropped-row", reason="over_capacity")).to_contain_text("room.of.acme")
    expect(browser_page.get_by_test_id("layers")).to_have_count(0)


def test_another_tenant_s_operator_sees_nothing_of_them(site, lossy, browser_page):
    frames = []

    def note(frame):
        frames.append(str(frame))

    browser_page.on("websocket", lambda socket: socket.on("framereceived", note))
    Operator(site, "globex").log_in(browser_page)
    expect(browser_page.get_by_test_id("dropped-well")).to_be_visible()
    expect(browser_page.get_by_test_id("layers")).to_have_count(0)
    browser_page.wait_for_timeout(1500)
    assert len(frames) > 5
    assert [frame for frame in frames if "room.of.acme" in frame or "specific." in frame] == []


def test_times_are_those_of_the_operator_s_zone(site, lossy, browser_page):
    context = browser_page.context.browser.new_context(timezone_id="Asia/Kolkata")
    page = context.new_page()
    site.log_in(page)
    row = rows(page, "dropped-row", reason="over_capacity")
    expect(row).to_be_visible()
    assert (time.time() + 5.5 * 3600 - seconds_of(row.text_content())) % 86400 < 300
    expect(row.locator("time")).to_have_attribute("title", re.compile(r"UTC$"))
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(page, lossy, visitors, scheme):
    page.emulate_media(color_scheme=scheme)
    [client] = visitors("slow", "acme")
    client.send("wait 20")
    expect(rows(page, "slow-row", severity="slow").or_(rows(page, "slow-row", severity="severe")).first).to_be_visible()
    expect(rows(page, "dropped-row").first).to_be_visible()
    page.get_by_test_id("events-pause").click()
    page.wait_for_timeout(300)
    assert serious(page) == {}


def test_on_a_phone_nothing_has_to_be_scrolled_sideways(page, lossy):
    page.set_viewport_size(NARROW)
    expect(rows(page, "dropped-row").first).to_be_visible()
    expect(page.get_by_test_id("layer").first).to_be_visible()
    assert overflow(page) <= 0


def test_a_redis_that_goes_is_unknown_and_what_it_forgot_is_a_gap(tmp_path, redis_server, browser_page):
    env = {"REDIS_URL": redis_server.url}
    site = Site(make_server(DAPHNE, APPLICATION, folder=tmp_path, env=env), traffic=False)
    try:
        with connect(f"{site.server.ws_url}/acme/tests.Room/", close_timeout=1) as member:
            site.log_in(browser_page)
            layer = rows(browser_page, "layer", layer="default")
            expect(layer).to_have_attribute("data-state", "calm")
            publish(member, 5)
            redis_server.stop()
            expect(layer).to_have_attribute("data-state", "unknown")
            redis_server.start()
            expect(layer).to_have_attribute("data-state", "calm")
            expect(browser_page.get_by_test_id("dropped-gaps")).to_contain_text("Once a channel layer lost messages")
            expect(browser_page.get_by_test_id("dropped-gaps")).to_contain_text("default on ")
            expect(browser_page.get_by_test_id("dropped")).to_have_attribute("data-messages", "0")
    finally:
        site.stop()
