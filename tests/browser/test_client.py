"""The client library in a real Chromium, against consumers on real servers."""

from __future__ import annotations

import itertools
import json
import os
import signal
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.browser.devtools import chromium
from tests.docs.markdown import blocks
from tests.support.processes import ROOT
from tests.support.servers import DAPHNE, UVICORN, make_server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.devtools import Chromium
    from tests.support.servers import Server

pytestmark = [pytest.mark.browser, pytest.mark.server, pytest.mark.timeout(120)]

DOCUMENT = ROOT / "frontend" / "client" / "README.md"
APPLICATION = "tests.browser.library.application:application"
INTERVAL = 0.5
READY = "window.HubSocket"
#: Attempts to come back soon, so that nobody waits for them.
SOON = "{minDelay: 0.2, maxDelay: 0.2}"

#: Talks to an echo: sends all frames at once when it opens, and again when it has been greeted.
TALK = """
async (library, url, protocols, frames) => {
  const socket = library ? new HubSocket(url, protocols) : new WebSocket(url, protocols);
  const heard = [];
  return await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`heard only ${JSON.stringify(heard)}`)), 15000);
    const say = () => frames.forEach((frame) => socket.send(frame));
    socket.onopen = say;
    socket.onmessage = ({ data }) => {
      heard.push(data);
      if (heard.length === 1) say();
      if (heard.length < 1 + 2 * frames.length) return;
      const { protocol, negotiated = null, url } = socket;
      resolve({ heard, protocol, negotiated, url });
      socket.close();
    };
    socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
  });
}
"""


@dataclass
class Site:
    """A server with the host's site, and the browser that visits it."""

    server: Server
    browser: Chromium
    notes: Path

    def open(self, query=""):
        tab = self.browser.tab()
        tab.open(f"{self.server.url}/page/{query}", READY)
        return tab

    def known(self, name):
        """What the hub knows of a client; nothing if it is not there."""
        return httpx.get(f"{self.server.url}/known/{name}/", timeout=10).json()

    def wait_until_known(self, name, ready, seconds=20.0):
        deadline = time.monotonic() + seconds
        while not ready(known := self.known(name)):
            assert time.monotonic() < deadline, known
            time.sleep(0.05)
        return known

    def noted(self, name):
        path = self.notes / name
        return path.read_text().splitlines() if path.exists() else []

    def wait_until_noted(self, name, count, seconds=20.0):
        deadline = time.monotonic() + seconds
        while len(noted := self.noted(name)) < count:
            assert time.monotonic() < deadline, noted
            time.sleep(0.05)
        return noted


@pytest.fixture(scope="module")
def visitor(tmp_path_factory):
    """A browser."""
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module", params=[DAPHNE, UVICORN], ids=str)
def site(request, visitor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    env = {
        "DJANGO_SETTINGS_MODULE": "tests.browser.library.settings", "LIBRARY_NOTES": str(folder),
        "LIBRARY_INTERVAL": str(INTERVAL),
    }  # fmt: skip
    with make_server(request.param, APPLICATION, folder=folder, env=env) as server:
        yield Site(server, visitor, folder)


@pytest.fixture(scope="module")
def shared_tab(site):
    """A page for what needs none of its own."""
    return site.open()


@pytest.fixture
def tab(site):
    made = site.open()
    yield made
    made.browser.send("Target.closeTarget", targetId=made.target)


_names = itertools.count(1)


@pytest.fixture
def name():
    """A client's, and its notes'."""
    return f"client-{next(_names)}"


def connect(tab, name, options=SOON, path="notes"):
    """
    Connect as somebody, and be greeted by the hub; ``socket`` is the page's, ``log`` all that happened to it.

    Open is not greeted yet, and until it is the library has a plain WebSocket.
    """
    tab.evaluate(f"""
        window.log = [];
        window.socket = new HubSocket("/{path}/{name}/", [], {options});
        for (const type of ["open", "close", "reconnecting", "reconnect", "error"])
          socket.addEventListener(type, (event) => log.push(type + (type === "close" ? ` ${{event.code}}` : "")));
        0
    """)
    tab.wait_for("socket.readyState === 1 && socket.negotiated")


def rhythm(site, name, seconds):
    """
    The usual time, in seconds, between two heartbeats that the hub has seen in so many seconds.

    Not the longest: on a busy machine one may be late, or come and be followed by the next between two looks of ours.
    """
    beats: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        at = site.known(name).get("heartbeat_at")
        if at and (not beats or at != beats[-1]):
            beats.append(at)
        time.sleep(0.02)
    assert len(beats) > 2, beats
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(beats))


# --- negotiation ---


OFFERS = {"none": None, "one": "chat.v1", "several": ["chat.v1", "chat.v2"]}
CHOSEN = {"none": "", "one": "chat.v1", "several": "chat.v2"}
FRAMES = ["hello", "\0", "\0x", "\0{", "\0\0", "\0\0{x", '\0{"type":"unknown"}', "ä\0", "last"]


@pytest.mark.parametrize("query", ["", "a=1&b=%2F+x", "_hub=2&hub=1&", "empty="])
@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("server", ["mixin", "told-not-to", "wrapper", "without"])
@pytest.mark.parametrize("library", [True, False], ids=["library", "WebSocket"])
def test_every_pair_understands_each_other(site, shared_tab, library, server, offer, query):
    path = f"/{server}/{offer}/"
    url = f"{site.server.ws_url}{path}" + (f"?{query}" if query else "")
    arguments = ", ".join(json.dumps(each) for each in (library, url, OFFERS[offer] or [], FRAMES))
    talk = shared_tab.evaluate(f"({TALK})({arguments})")
    greeting, *echoed = talk["heard"]
    seen = json.loads(greeting)
    asked = library and server == "without"
    joint = "&" if query else ""
    offered = OFFERS[offer] or []
    assert {
        "path": path, "query": query + (f"{joint}_hub=1" if asked else ""),
        "offered": [offered] if isinstance(offered, str) else offered,
    } == seen  # fmt: skip
    assert FRAMES * 2 == echoed
    assert (url, CHOSEN[offer]) == (talk["url"], talk["protocol"])
    assert ((server == "mixin") if library else None) == talk["negotiated"]


def test_towards_a_server_without_the_hub_nothing_else_is_on_the_wire(site, shared_tab):
    talk = shared_tab.evaluate("""new Promise((resolve) => {
        const socket = new HubSocket("/without/none/");
        const heard = [];
        socket.onmessage = ({ data }) => heard.push(data);
        setTimeout(() => { socket.close(); resolve({ heard, negotiated: socket.negotiated }); }, 2000);
    })""")
    # An echo: whatever the library had said would have come back.
    assert (1, False) == (len(talk["heard"]), talk["negotiated"])


# --- heartbeats and confirms ---


def test_frames_are_confirmed_while_they_flow(site, tab, name):
    connect(tab, name)
    tab.evaluate("socket.send('burst 200')")
    [noted] = site.wait_until_noted(name, 1)
    # One frame each 5 ms or later, and 100 ms until a confirm at the latest.
    behind = sorted(json.loads(noted))
    assert behind[len(behind) // 2] <= 25
    known = site.wait_until_known(name, lambda known: known["frames_confirmed"] == 200)
    assert known["garbled"] == 0
    assert known["rtt"] is not None


def test_a_handler_that_closes_has_confirmed_all_that_came_before_and_its_own_frame(site, tab, name):
    connect(tab, name)
    tab.evaluate("socket.onmessage = ({ data }) => { if (data === '19') socket.close(); }; socket.send('burst 20')")
    assert ["20 20"] == site.wait_until_noted(f"{name}-end", 1)


def test_a_page_that_is_left_has_confirmed_what_it_handled(site, tab, name):
    connect(tab, name)
    tab.evaluate(
        "socket.onmessage = ({ data }) => { sessionStorage.seen = Number(data) + 1; }; socket.send('burst 400')"
    )
    tab.wait_for("sessionStorage.seen > 20")
    tab.open(f"{site.server.url}/page/?elsewhere", READY)
    seen = int(tab.evaluate("sessionStorage.seen"))
    # Chromium keeps the page for whoever comes back, and its connection open, though it reads no more.
    site.wait_until_known(name, lambda known: known.get("frames_confirmed") == seen)


def test_a_hidden_tab_goes_on(site, tab, name):
    connect(tab, name)
    site.wait_until_known(name, lambda known: known.get("hidden") is False)
    tab.evaluate("window.turns = 0; setInterval(() => turns++, 50)")
    other = site.browser.tab()
    other.bring_to_front()
    tab.wait_for("document.hidden")
    site.wait_until_known(name, lambda known: known["hidden"] is True, seconds=1.0)
    turns = tab.evaluate("turns")
    assert rhythm(site, name, 4.0) < 1.5 * INTERVAL
    # The browser does slow down the page's own timers, to one a second.
    assert tab.evaluate("turns") - turns < 10
    assert site.known(name)["missed"] == 0
    tab.bring_to_front()
    site.wait_until_known(name, lambda known: known["hidden"] is False, seconds=1.0)
    assert tab.evaluate("log") == ["open"]


def test_a_policy_that_forbids_blob_workers(site, name):
    tab = site.open("?strict")
    tab.evaluate("""
        window.violations = [];
        document.addEventListener("securitypolicyviolation", (event) => violations.push(event.blockedURI)); 0
    """)
    connect(tab, name)
    assert rhythm(site, name, 3.0) < 1.5 * INTERVAL
    tab.wait_for("violations.length === 1")
    # Hidden, its timers are slow, but probes are answered from messages: nobody is lost.
    site.browser.tab().bring_to_front()
    tab.wait_for("document.hidden")
    assert rhythm(site, name, 4.0) < 3 * INTERVAL
    assert tab.evaluate("log") == ["open"]
    assert tab.evaluate("violations") == ["blob"]


def test_in_a_worker_of_the_page(site, tab, name):
    tab.evaluate(f"window.worker = new Worker('/worker.js', {{type: 'module', name: '{name}'}}); 0")
    known = site.wait_until_known(name, lambda known: known.get("lag") is not None)
    assert known["hidden"] is None
    assert ["from a worker"] == site.wait_until_noted(name, 1)


def test_lag_is_the_age_of_the_page_s_queue(site, tab, name):
    connect(tab, name)
    site.wait_until_known(name, lambda known: known.get("lag") is not None)
    tab.evaluate("const until = performance.now() + 1800; while (performance.now() < until); 0")
    # The heartbeat that was due while the page was busy says how late it is.
    lag = site.wait_until_known(name, lambda known: known["lag"] > 0.5, seconds=1.0)["lag"]
    assert lag < 2.5
    assert site.wait_until_known(name, lambda known: known["lag"] < 0.1)["missed"] == 0


def test_a_frozen_page_is_missed_and_comes_back_by_itself(site, tab, name):
    connect(tab, name)
    site.wait_until_known(name, lambda known: known.get("heartbeats"))
    tab.freeze()
    site.wait_until_known(name, lambda known: not known or known["missed"] >= 2)
    tab.thaw()
    # Chromium ends every connection of a page that it freezes, and says so to the page when that is thawed.
    tab.evaluate("socket.send('thawed')")
    tab.wait_for("log.includes('reconnect')")
    assert ["thawed"] == site.wait_until_noted(name, 1)
    assert ["open", "error", "close 1006", "reconnecting", "open", "reconnect"] == tab.evaluate("log")
    assert site.wait_until_known(name, lambda known: known.get("heartbeats"))["missed"] == 0


# --- connections that end ---


def numbered(tab, count, milliseconds):
    """Let the page send numbered frames, one after the other."""
    tab.evaluate(f"""
        window.sent = 0;
        window.kept = [];
        window.sender = setInterval(() => {{
          if (sent >= {count}) return clearInterval(sender);
          socket.send(`${{sent++}}`);
          if (socket.queued) kept.push(sent - 1);
        }}, {milliseconds}); 0
    """)


def test_the_server_goes_and_comes_back(site, tab, name):
    connect(tab, name)
    site.server.stop()
    tab.wait_for("log.includes('reconnecting')")
    numbered(tab, 50, 10)
    tab.wait_for("sent === 50")
    assert tab.evaluate("socket.queued") == 50
    assert tab.evaluate("socket.bufferedAmount") == len("".join(str(each) for each in range(50)))
    site.server.start()
    tab.wait_for("log.includes('reconnect')")
    tab.evaluate("socket.send('last')")
    assert [*(str(each) for each in range(50)), "last"] == site.wait_until_noted(name, 51)
    assert tab.evaluate("[socket.queued, socket.bufferedAmount]") == [0, 0]


def wait_until_written(site, name, line):
    deadline = time.monotonic() + 20
    while line not in site.noted(name):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_in_order_while_the_server_restarts_twice(site, tab, name):
    connect(tab, name)
    numbered(tab, 300, 20)
    for _ in range(2):
        tab.wait_for("socket.readyState === 1 && !socket.queued")
        wait_until_written(site, name, str(tab.evaluate("sent")))
        site.server.restart()
    tab.wait_for("sent === 300 && socket.readyState === 1 && !socket.queued")
    tab.evaluate("socket.send('last')")
    wait_until_written(site, name, "last")
    arrived = [int(each) for each in site.noted(name)[:-1]]
    assert sorted(set(arrived)) == arrived
    # What was handed to a connection in the moment it broke may be lost; what waited is not.
    kept = tab.evaluate("kept")
    assert len(kept) > 2
    assert set(kept) <= set(arrived)
    assert len([each for each, following in itertools.pairwise([*arrived, 300]) if following > each + 1]) <= 2
    assert tab.evaluate("log.filter((each) => each === 'reconnect').length") == 2


def test_the_network_goes_and_comes_back(site, tab, name):
    connect(tab, name)
    site.wait_until_known(name, lambda known: known.get("heartbeats"))
    tab.set_offline(True)
    tab.wait_for("!navigator.onLine")
    numbered(tab, 20, 5)
    tab.wait_for("sent === 20")
    tab.set_offline(False)
    assert [str(each) for each in range(20)] == site.wait_until_noted(name, 20)
    tab.wait_for("socket.readyState === 1")


def test_without_network_nobody_knocks_until_it_is_back(site, tab, name):
    connect(tab, name, "{minDelay: 0.2, maxDelay: 60}")
    tab.set_offline(True)
    tab.wait_for("!navigator.onLine")
    site.server.stop()
    tab.wait_for("log.includes('reconnecting')")
    site.server.start()
    time.sleep(1.0)
    assert tab.evaluate("log.filter((each) => each === 'reconnecting').length") == 1
    tab.set_offline(False)
    tab.wait_for("log.includes('reconnect')", seconds=5)


def test_a_server_that_stopped_answering_is_left(site, tab, name):
    connect(tab, name, "{minDelay: 0.2, maxDelay: 0.2, connectTimeout: 1}")
    os.kill(site.server.pid, signal.SIGSTOP)
    try:
        tab.wait_for("log.includes('reconnecting')", seconds=10)
        tab.evaluate("socket.send('kept')")
    finally:
        os.kill(site.server.pid, signal.SIGCONT)
    tab.wait_for("log.includes('reconnect')")
    assert ["kept"] == site.wait_until_noted(name, 1)
    assert tab.evaluate("log.slice(0, 4)") == ["open", "error", "close 1006", "reconnecting"]


def test_a_busy_consumer_is_not_taken_for_a_dead_one(site, tab, name):
    connect(tab, name, path="busy")
    tab.evaluate("socket.send('sleep 8'); socket.send('awake')")
    assert ["awake"] == site.wait_until_noted(name, 1)
    assert tab.evaluate("log") == ["open"]


@pytest.mark.parametrize(("code", "state"), [(4401, 3), (1000, 3), (4408, 1), (1011, 1)])
def test_a_code_says_whether_to_come_back(site, tab, name, code, state):
    connect(tab, name)
    tab.evaluate(f"socket.send('close {code}')")
    tab.wait_for(f"log.includes('close {code}') && socket.readyState === {state}")
    assert tab.evaluate("log.includes('reconnect')") is (state == 1)


def test_a_page_that_becomes_visible_does_not_wait(site, tab, name):
    connect(tab, name, "{minDelay: 60, maxDelay: 60, connectTimeout: 5}")
    tab.evaluate("Math.random = () => 1; 0")
    site.server.stop()
    tab.wait_for("log.includes('reconnecting')")
    site.browser.tab().bring_to_front()
    tab.wait_for("document.hidden")
    site.server.start()
    time.sleep(0.5)
    assert tab.evaluate("socket.readyState") == 0
    tab.bring_to_front()
    tab.wait_for("socket.readyState === 1", seconds=5)


def test_an_application_that_closes_is_left_alone(site, tab, name):
    connect(tab, name)
    tab.evaluate("socket.close(4000, 'enough')")
    tab.wait_for("socket.readyState === 3")
    time.sleep(0.5)
    # The code is the one that the server answers with, and not every server repeats ours.
    assert [each.split()[0] for each in tab.evaluate("log")] == ["open", "close"]
    assert site.known(name) == {}


# --- the document ---


def test_the_example_of_the_document(site, tab):
    [example] = [block for block in blocks(DOCUMENT) if block.marker == "run in a page"]
    code = example.text.replace('"/hub/', f'"{site.server.url}/hub/')
    tab.evaluate(
        f"import(URL.createObjectURL(new Blob([{json.dumps(code)}], {{type: 'text/javascript'}}))).then(() => 0)"
    )
    joined = '{"type":"join","name":"ann"}'
    site.wait_until_noted("lobby", 1)
    site.server.restart()
    assert [joined, '{"type":"resume","after":0}'] == site.wait_until_noted("lobby", 2)[:2]
    assert tab.evaluate("document.title") == "connected"
    (site.notes / "lobby").unlink()
