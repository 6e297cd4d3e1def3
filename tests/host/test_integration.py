"""
A stranger's project installs the built wheel and follows ``docs/integration.md`` word for word, there and back.

One test, because it is one story: each step stands on the one before.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.docs.markdown import Block
from tests.host.guide import OPERATOR, SOURCES, Host, diffs, marked, network, normalised
from tests.support.browser import PAGE_TIMEOUT_MILLISECONDS, chromium
from tests.support.processes import ROOT, Process, environment

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.timeout(240)]

PROJECT = Path(__file__).with_name("project")
FRAMES = 25


# --- the stage ----------------------------------------------------------------------------------------------------


def beside_python(program: str, *arguments: str, cwd: Path = ROOT) -> None:
    """Run a program of the virtual environment that these tests run in."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    env = environment(**network())
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=80)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"


def install_framework(python: Path) -> None:
    """Install what the project runs on without the hub; uv does in two seconds what takes pip fifteen."""
    requirements = ("daphne>=4.2", "channels>=4.3,<5", "django>=5.2,<6.2")
    if Path(sys.executable).with_name("uv").exists():
        beside_python("uv", "pip", "install", "--python", str(python), *requirements)
    else:
        beside_python("python", "-m", "pip", "--python", str(python), "install", *requirements)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A project that knows nothing of the hub, its database migrated, and the wheel beside it."""
    folder, env = tmp_path / "project", tmp_path / "environment"
    for source in PROJECT.rglob("*.*"):
        # What makes the folder a package of these tests is no part of the project.
        if source.suffix in SOURCES and source != PROJECT / "__init__.py":
            copy = folder / source.relative_to(PROJECT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(source.read_text())
    beside_python("python", "-m", "venv", str(env))
    install_framework(env / "bin" / "python")
    host = Host(folder, env)
    host.run("python manage.py migrate")
    # With the page inside, as `make wheel` builds it; the build refuses where the page is missing.
    beside_python("hatchling", "build", "-t", "wheel", "-d", str(folder))
    return host


# --- the traffic --------------------------------------------------------------------------------------------------


def conversation(server: Process) -> list[Any]:
    """Talk to both consumers of the project; return everything that came back, but the time of day."""
    heard: list[Any] = []
    with connect(f"ws://{server.host}/ws/chat/lobby/") as chat, connect(f"ws://{server.host}/ws/clock/") as clock:
        for number in range(FRAMES):
            chat.send(json.dumps({"type": "say", "text": f"{number}"}))
            heard.append(json.loads(chat.recv(timeout=5)))
        clock.send("now?")
        heard.append(len(str(clock.recv(timeout=5))) > 0)
        chat.send(json.dumps({"type": "quit"}))
        heard.append(close_code(chat))
    with connect(f"ws://{server.host}/ws/chat/lobby/") as chat:
        chat.send(json.dumps({"no": "type"}))  # a KeyError in the consumer
        heard.append(close_code(chat))
    return heard


def close_code(websocket: ClientConnection) -> int:
    """Read until the server closes."""
    with pytest.raises(ConnectionClosed) as closed:
        read_on(websocket)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


def read_on(websocket: ClientConnection) -> None:
    """Read until that is no longer possible."""
    while True:
        websocket.recv(timeout=5)


# --- what the hub shows -------------------------------------------------------------------------------------------


def samples(server: Process) -> dict[str, float]:
    """Every sample of the metrics page, by name and label values."""
    text = httpx.get(f"{server.url}/hub/metrics").raise_for_status().text
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {" ".join([sample.name, *map(sample.labels.get, sorted(sample.labels))]): sample.value for sample in found}


def log_in(browser: httpx.Client, password: str) -> None:
    """Log in through the form, to which the page leads."""
    form = browser.get("/hub/").raise_for_status()
    assert form.url.path == "/hub/login/"
    fields = {"username": OPERATOR, "password": password, "next": "/hub/"}
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
    assert token is not None
    answer = browser.post("/hub/login/", data={**fields, "csrfmiddlewaretoken": token[1]})
    assert answer.raise_for_status().url.path == "/hub/", answer.text


def check_page(browser: httpx.Client) -> None:
    """The page is there, and everything it loads, under a policy that forbids all else."""
    page = browser.get("/hub/").raise_for_status()
    assert 'id="hub" data-feed="/ws/ops/"' in page.text
    assert f'data-user="{OPERATOR}"' in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    loaded = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    kinds = {browser.get(path).raise_for_status().headers["content-type"] for path in loaded}
    assert kinds >= {"text/javascript", "text/css"}


def open_feed(server: Process, browser: httpx.Client | None) -> ClientConnection:
    """Open the feed as the page's browser would."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items()) if browser else ""
    return connect(f"ws://{server.host}/ws/ops/", origin=Origin(server.url), additional_headers={"Cookie": cookies})


def check_feed(server: Process, browser: httpx.Client) -> None:
    """The feed greets the operator and shows what the traffic did."""
    with open_feed(server, browser) as feed:
        hello = json.loads(feed.recv(timeout=5))
        assert hello["type"] == "hello"
        assert hello["permissions"] == {"operator": OPERATOR, "view": True, "operate": False, "tenants": None}
        feed.send(json.dumps({"type": "subscribe", "topics": ["consumers", "events"], "ref": "1"}))
        assert json.loads(feed.recv(timeout=5)) == {"type": "result", "ref": "1", "ok": True, "error": None}
        snapshots = receive_snapshots(feed, {"consumers", "events"})
    rows = {row["consumer"]: row for row in snapshots["consumers"]}
    assert rows["chat.consumers.ChatConsumer"]["received"] == FRAMES + 2
    assert {"handler.error", "node.started"} <= {event["kind"] for event in snapshots["events"]}


def receive_snapshots(feed: ClientConnection, topics: set[str]) -> dict[str, Any]:
    """Read until there is a snapshot of each topic, which come in any order with other messages between."""
    snapshots: dict[str, Any] = {}
    while set(snapshots) != topics:
        message = json.loads(feed.recv(timeout=5))
        if message["type"] == "snapshot":
            snapshots[message["topic"]] = message[message["topic"]]
    return snapshots


def check_numbers(server: Process) -> None:
    """The metrics are exactly what the traffic did, for the consumer with the mixin and the one without."""
    chat, clock = "chat.consumers.ChatConsumer", "chat.consumers.ClockConsumer"
    # Name, then the values of the labels in the order of their names; the tenant, always last, is empty.
    expected = {
        f"ws_connections_active {chat} ": 0,
        f"ws_connections_total {chat} ": 2,
        f"ws_messages_received_total {chat} say ": FRAMES,
        f"ws_messages_received_total {chat} quit ": 1,
        f"ws_messages_received_total {chat} text ": 1,
        f"ws_messages_sent_total {chat} said ": FRAMES,
        f"ws_layer_messages_total {chat} chat.said ": FRAMES,
        f"ws_handler_errors_total {chat} KeyError ": 1,
        f"ws_disconnects_total 4000 {chat} ": 1,
        f"ws_disconnects_total 1011 {chat} ": 1,
        f"ws_message_latency_seconds_count {chat} ": 2 * FRAMES + 2,
        f"ws_connections_active {clock} ": 0,
        f"ws_messages_received_total {clock} text ": 1,
        f"ws_messages_sent_total {clock} text ": 1,
    }
    found = samples(server)
    assert {name: found.get(name) for name in expected} == expected


def viewers(server: Process) -> dict[str, Any]:
    """Who is in the lobby, as the host's own view has it."""
    found: dict[str, Any] = httpx.get(f"{server.url}/chat/lobby/viewers/").raise_for_status().json()
    return found


def wait_for_viewers(server: Process, plain: int, with_library: int) -> dict[str, Any]:
    """Wait until so many are in the lobby; returns what the view says."""
    deadline = time.monotonic() + 15
    while True:
        found = viewers(server)
        if (len(found["here"]), found["with_library"]) == (plain + with_library, with_library):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def check_presence(server: Process) -> None:
    """The host's view knows who is in its room, the signal has told it who left."""
    began = time.time()
    with connect(f"ws://{server.host}/ws/chat/lobby/"), connect(f"ws://{server.host}/ws/chat/attic/"):
        wait_for_viewers(server, plain=1, with_library=0)
    assert wait_for_viewers(server, plain=0, with_library=0)["last_seen"] >= began - 1


def check_program(host: Host, server: Process) -> None:
    """The guide's program talks to the consumer, with the library."""
    program = only("program", "more").text.replace("127.0.0.1:8000", server.host)
    said = host.run("python -", text=program).strip()
    assert said == f"{json.dumps({'type': 'said', 'text': 'hello from a program'})} True"


def check_room(host: Host, server: Process) -> None:
    """The host's page works with the library in the place of its WebSocket, and hears the program."""
    with chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(PAGE_TIMEOUT_MILLISECONDS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{server.url}/chat/lobby/")
        wait_for_viewers(server, plain=0, with_library=1)
        check_program(host, server)
        page.get_by_text("hello from a program").wait_for()
        assert errors == []
        page.reload()
        wait_for_viewers(server, plain=0, with_library=1)
    wait_for_viewers(server, plain=0, with_library=0)


def check_closed_doors(server: Process) -> None:
    """Switched off, the hub's addresses answer that there is nothing."""
    paths = ("/hub/", "/hub/login/", "/hub/metrics")
    assert [httpx.get(f"{server.url}{path}", follow_redirects=True).status_code for path in paths] == [404, 404, 404]
    with open_feed(server, None) as feed:
        assert close_code(feed) == 4403


COUNTED_WHILE_OFF = """
import asyncio, json
from channels.testing import WebsocketCommunicator
from mysite.asgi import application
from hub.instrument.state import instruments
from hub.node.node import current_node

async def talk():
    chat = WebsocketCommunicator(application, "/ws/chat/lobby/")
    assert (await chat.connect())[0]
    await chat.send_json_to({"type": "say", "text": "psst"})
    assert await chat.receive_json_from() == {"type": "said", "text": "psst"}
    await chat.disconnect()
    return current_node()

node = asyncio.run(talk())
print(json.dumps({"wrapper": type(application).__name__, "counts": len(instruments().ledger.counts), "node": node}))
"""


# --- the story ----------------------------------------------------------------------------------------------------


def only(kind: str, part: str = "host") -> Block:
    """The guide's one block of a kind."""
    [block] = marked(kind, part)
    return block


def command(kind: str) -> str:
    """The one command in the guide's one block of a kind."""
    [typed] = only(kind).commands
    return typed


@pytest.mark.long
def test_a_host_installs_uses_switches_off_and_removes_the_hub(host, subtests):
    sources, packages, schema = host.sources(), host.packages(), host.schema()
    with host.serve(command("serve")) as server:
        bare = conversation(server)
    assert bare[FRAMES:] == [True, 4000, 1011]

    install, operator, look, leave = marked("run")
    for typed in install.commands:
        host.run(typed)
    for file, diff in diffs("host"):
        host.change(file, diff)
    printed = [host.run(typed) for typed in operator.commands]
    password = re.search(r"Password.*: (\S+)$", printed[-1], re.MULTILINE)
    assert password is not None, printed[-1]
    printed = [host.run(typed) for typed in look.commands]
    assert normalised(printed[-1]) == normalised(only("output").text)

    with host.serve(command("serve")) as server:
        assert conversation(server) == bare
        with httpx.Client(base_url=server.url, follow_redirects=True) as browser:
            log_in(browser, password[1])
            check_page(browser)
            check_feed(server, browser)
        check_numbers(server)

    for file, diff in diffs("more"):
        host.change(file, diff)
    for typed in only("run", "more").commands:
        host.run(typed)
    with host.serve(command("serve")) as server:
        assert conversation(server) == bare
        check_presence(server)
        check_program(host, server)
        with subtests.test("the page in a browser"):
            check_room(host, server)

    with host.serve(command("serve off")) as server:
        assert conversation(server) == bare
        check_closed_doors(server)
        assert viewers(server) == {"here": [], "with_library": 0, "last_seen": None}
        assert httpx.get(f"{server.url}/hub/client/hubsocket.js").raise_for_status().text
    host.variables["HUB_ENABLED"] = "0"
    counted = json.loads(host.run("python -", text=COUNTED_WHILE_OFF))
    assert counted == {"wrapper": "ProtocolTypeRouter", "counts": 0, "node": None}
    host.variables.clear()

    for typed in leave.commands:
        host.run(typed)
    for file, diff in reversed([*diffs("host"), *diffs("more")]):
        host.change(file, diff, backwards=True)
    for typed in only("undo").commands:
        host.run(typed, text="yes\n")
    assert (host.sources(), host.schema()) == (sources, schema)
    assert host.packages() == packages
    with host.serve(command("serve")) as server:
        assert conversation(server) == bare
