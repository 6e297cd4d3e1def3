"""``manage.py demo``: it starts, lets its operator in, and leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from consumers.management.commands.demo import box
from tests.support.processes import LOCALHOST, ROOT, accepts, free_port

pytestmark = pytest.mark.server


class Demo:
    """A running ``manage.py demo`` and what it printed so far."""

    def __init__(self, log, env, *arguments):
        self.log = log
        with log.open("wb") as output:
            # Tests that run in the background inherit an ignored Ctrl-C, and so would the command, on purpose.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "demo", *arguments],
                cwd=ROOT,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def printed(self):
        return self.log.read_text()

    def wait_for(self, pattern, seconds=60):
        """Wait until something was printed, and return the match."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.printed)):
            assert self.process.poll() is None, self.printed
            assert time.monotonic() < deadline, self.printed
            time.sleep(0.1)
        return found

    def children(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(40)


@pytest.fixture
def demo(tmp_path, site_environment):
    """``demo("--port", ...)``: a demo with a database of its own, stopped when the test ends."""
    started: list[Demo] = []

    def start(*arguments):
        started.append(Demo(tmp_path / f"demo-{len(started)}.txt", site_environment, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def log_in(url, name, password):
    """Log in as a browser does; return the page that it leads to."""
    with httpx.Client(base_url=url, follow_redirects=True) as browser:
        browser.get("/login/")
        token = browser.cookies["csrftoken"]
        form = {"username": name, "password": password, "csrfmiddlewaretoken": token}
        browser.post("/login/", data=form, headers={"Referer": f"{url}/login/"})
        return browser.get("/")


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_its_operator_gets_in_and_everything_ends_with_it(demo, server):
    port = free_port()
    running = demo("--port", str(port), "--server", server, "--profile", "calm")
    url = running.wait_for(r"Page +(http://\S+)/")[1]
    name, password = running.wait_for(r"Name +(\S+)")[1], running.wait_for(r"Password +(\S+)")[1]
    assert url == f"http://{LOCALHOST}:{port}"

    page = log_in(url, name, password)
    assert page.status_code == 200
    assert name in page.text

    running.wait_for(r"open [1-9]", seconds=30)
    assert "ws_connections_active" in httpx.get(running.wait_for(r"Metrics +(\S+)")[1]).text

    children = running.children()
    assert len(children) == 2
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(40) == 0
    assert not [child for child in children if child.is_running()]
    assert not accepts(port)
    assert "In all: sent" in running.printed

    again = demo("--port", str(port), "--profile", "none")
    again.wait_for(r"Password +(\S+)")
    assert name not in log_in(url, name, password).text


def test_a_taken_port_is_said_and_passed_over(demo):
    with socket.socket() as taken:
        taken.bind((LOCALHOST, free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        running = demo("--port", str(port), "--profile", "none")
        found = running.wait_for(r"Page +http://127.0.0.1:(\d+)/")
    assert int(found[1]) > port
    assert f"Port {port} is taken; this is port {found[1]}." in running.printed


def test_it_fails_when_its_server_dies(demo):
    running = demo("--port", str(free_port()), "--profile", "none")
    running.wait_for(r"Password +(\S+)")
    (server,) = running.children()

    os.kill(server.pid, signal.SIGKILL)

    assert running.process.wait(20) == 1
    assert "The server ended with exit code -9" in running.printed


def test_the_box_fits_what_is_in_it():
    lines = box("short", "somewhat longer").splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
