"""The servers of the tests are real, and are what they say."""

from __future__ import annotations

import httpx
import pytest
from redis import Redis
from websockets.sync.client import connect

from tests.support.processes import Process, ProcessFailed, accepts, environment, free_port
from tests.support.prometheus import promtool, scrape_config
from tests.support.servers import DAPHNE, UVICORN_LEGACY

APPLICATION = """
import os


async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})
    elif scope["type"] == "http":
        print("asked")
        names = sorted(name for name in os.environ if name.startswith("HUB_"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"up_and_running {len(names)}\\n# {names}".encode()})
"""


@pytest.fixture
def application(tmp_path):
    (tmp_path / "app.py").write_text(APPLICATION)
    return "app:application"


@pytest.mark.server
def test_every_kind_of_server_speaks_websocket_and_http_and_restarts(start_server, server_kind, application, tmp_path):
    server = start_server(server_kind, application, cwd=tmp_path)
    with connect(f"{server.ws_url}/") as websocket:
        websocket.send("hello")
        assert websocket.recv() == "hello"
    port, pid = server.port, server.pid

    server.restart()

    assert (server.port, server.pid != pid) == (port, True)
    assert httpx.get(server.url).text.startswith("up_and_running")
    assert "asked" in server.log_text()
    server.stop()
    assert not server.running
    assert not accepts(port)


@pytest.mark.server
def test_only_what_is_passed_reaches_the_server(start_server, application, tmp_path, monkeypatch):
    monkeypatch.setenv("HUB_LEAK", "1")
    server = start_server(DAPHNE, application, cwd=tmp_path, env={"HUB_ENABLED": "1"})
    assert "['HUB_ENABLED', 'HUB_VAR']" in httpx.get(server.url).text


@pytest.mark.server
def test_the_legacy_implementation_says_that_it_will_go(start_server, application, tmp_path):
    server = start_server(UVICORN_LEGACY, application, cwd=tmp_path)
    assert "The `websockets` implementation is deprecated" in server.log_text()


@pytest.mark.slow
def test_a_server_that_cannot_start_fails_with_its_log(start_server, server_kind, tmp_path):
    with pytest.raises(ProcessFailed, match="nonsense"):
        start_server(server_kind, "nonsense:application", cwd=tmp_path)


def test_a_process_that_does_not_listen_is_given_up_and_ended(tmp_path):
    sleeper = Process("sleeper", ["sleep", "60"], port=free_port(), log=tmp_path / "log", env=environment())
    with pytest.raises(ProcessFailed, match=r"did not listen within 0\.2|did not listen within 0 s"):
        sleeper.start(timeout=0.2)
    assert not sleeper.running


def test_redis_forgets_everything_on_restart(redis_server):
    with Redis.from_url(redis_server.url) as client:
        client.set("key", "value")
    redis_server.restart()
    with Redis.from_url(redis_server.url) as client:
        assert client.get("key") is None


@pytest.mark.prometheus
def test_prometheus_scrapes_and_answers(prometheus_server, start_server, application, tmp_path):
    server = start_server(DAPHNE, application, cwd=tmp_path)
    prometheus = prometheus_server(scrape_config(server.host))
    [(labels, value)] = prometheus.wait_for("up_and_running")
    assert (labels["instance"], value) == (server.host, 1.0)


@pytest.mark.prometheus
def test_promtool_finds_faults():
    promtool("check", "metrics", text="# HELP seconds_total Seconds.\n# TYPE seconds_total counter\nseconds_total 1\n")
    with pytest.raises(AssertionError, match="promtool check metrics"):
        promtool("check", "metrics", text="# TYPE seconds counter\nseconds 1\n")


@pytest.mark.browser
def test_the_browser_shows_a_page(browser_page, start_server, application, tmp_path):
    server = start_server(DAPHNE, application, cwd=tmp_path)
    browser_page.goto(server.url)
    assert "up_and_running" in browser_page.content()
