"""Issue 5, "Done when" 3: whatever is down, killed, doubled or locked, every alert arrives, and none is shown twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.db import OperationalError, connection, connections

from hub.alerting.receivers.base import DeliveryError
from hub.alerting.store import LEASE
from hub.core.groups import FIRED, OVER
from hub.models import AlertRecord, Delivery
from tests.alerting.stage import Sink, Site, backlog, make_setup
from tests.handclock import HandClock
from tests.support.processes import ROOT, environment


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def crowd(number: float, tenants: int) -> dict[str, dict[tuple[str, ...], float]]:
    return {"ws_inbound_backlog_messages": {("chat", f"tenant{each}"): number for each in range(tenants)}}


# --- a receiver that is down --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_receiver_that_is_down_for_ten_minutes_is_told_everything_once(clock):
    down_until = clock.now + 600
    sink = Sink(trouble=lambda _: DeliveryError("connection refused") if clock.now < down_until else None)
    site = Site(make_setup(sink, groups=("tenant",)), clock)
    for minute in range(10):
        site.live(30, backlog(50, f"tenant{minute}"))
        site.live(30, {"ws_inbound_backlog_messages": {}})
    assert [] == sink.calls
    assert sink.attempts < 60
    site.live(300, {"ws_inbound_backlog_messages": {}})
    told = [(message.notice.labels["tenant"], message.notice.kind) for message in sink.calls]
    assert len(sink.told) == len(set(sink.told))
    assert {f"tenant{minute}" for minute in range(10)} == dict(told).keys()
    assert all([FIRED, OVER] == [kind for each, kind in told if each == tenant] for tenant, _ in told)
    assert not Delivery.objects.exclude(state="delivered").exists()


# --- two that believe ---------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_of_two_processes_that_believe_they_hold_the_lease_one_writes(clock):
    sink = Sink()
    one, two = (Site(make_setup(sink), clock, name) for name in ("one", "two"))
    one.live(10, backlog(0))
    # One is held up for longer than its lease lasts, and two takes over; then both see the same wave.
    clock.advance(LEASE + 1)
    two.decide(backlog(0))
    assert None not in (one.duty.engine, two.duty.engine)
    for _ in range(30):
        clock.advance(1.0)
        for site in (one, two):
            site.decide(backlog(50))
        for site in (two, one):
            site.send()
    assert (None, [FIRED]) == (one.duty.engine, sink.kinds)
    assert 1 == AlertRecord.objects.count() == Delivery.objects.count()
    for _ in range(120):
        clock.advance(1.0)
        for site in (one, two):
            site.decide(backlog(0))
            site.send()
    assert ([FIRED, OVER], 2) == (sink.kinds, len(set(sink.told)))


@pytest.mark.django_db(transaction=True)
def test_two_processes_that_both_send_tell_nobody_twice(clock):
    sink = Sink()
    one, two = (Site(make_setup(sink, groups=("tenant",)), clock, name) for name in ("one", "two"))

    def send(site: Site) -> None:
        try:
            while Delivery.objects.filter(state="waiting").exists():
                site.send()
        finally:
            connections.close_all()

    for wave in range(6):
        for _ in range(70):
            clock.advance(1.0)
            one.decide(crowd(0 if wave % 2 else 50, 10))
        threads = [threading.Thread(target=send, args=(site,)) for site in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 60 == len(sink.told) == len(set(sink.told)) == Delivery.objects.count()


# --- a database that is locked ------------------------------------------------------------------------------------

HOLD = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
held.execute("COMMIT")
"""


def lock(seconds: float) -> subprocess.Popen[str]:
    """Another process that holds the database's write lock for a while."""
    command = [sys.executable, "-c", HOLD, str(connection.settings_dict["NAME"]), str(seconds)]
    held = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None
    assert "locked\n" == held.stdout.readline()
    return held


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("patience", [20_000, 50], ids=["waits", "gives up"])
def test_what_is_decided_while_the_database_is_locked_is_told_when_it_is_not(clock, patience):
    sink = Sink()
    site = Site(make_setup(sink), clock)
    site.live(2, backlog(0))
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {patience}")
    refused = 0
    with lock(2.0) as held:
        while held.poll() is None:
            clock.advance(0.5)
            try:
                site.decide(backlog(50))
                site.send()
            except OperationalError:
                refused += 1
    site.live(3, backlog(50))
    site.live(100, backlog(0))
    assert (patience < 1000) == (refused > 0)
    assert ([FIRED, OVER], ["firing", "resolved"]) == (sink.kinds, site.told)


@pytest.mark.django_db(transaction=True)
def test_what_arrives_while_the_database_is_locked_is_not_sent_again(clock):
    sink = Sink()
    site = Site(make_setup(sink), clock)
    site.live(1, backlog(50))
    clock.advance(1.0)
    site.decide(backlog(50))
    [claim] = site.outbox.claim()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    with lock(1.0):
        site.outbox.deliver(claim)
        assert "waiting" == Delivery.objects.get().state
    clock.advance(100.0)
    site.decide(backlog(50))
    site.send()
    assert ([FIRED], "delivered") == (sink.kinds, Delivery.objects.get().state)


# --- a process that is killed -------------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append(tuple(json.loads(body)))  # type: ignore[attr-defined]
        self.server.arrived.set()  # type: ignore[attr-defined]
        self.server.answer.wait(30)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver():
    """An HTTP server that notes incident and number of what comes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.came, server.arrived, server.answer = [], threading.Event(), threading.Event()  # type: ignore[attr-defined]
    server.answer.set()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.answer.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


def start(database: Path, receiver, *said: str) -> subprocess.Popen[str]:
    """A process that evaluates and sends; it says each step that it has made, and takes the next when it is told."""
    command = [sys.executable, "-m", "tests.alerting.process", f"http://127.0.0.1:{receiver.server_port}/", *said]
    env = environment(DATABASE_URL=f"sqlite:///{database}", HUB_VAR=str(database.parent))
    return subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def step(process: subprocess.Popen[str], *words: str) -> str:
    """Let it make one step, and hear what it says of it."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(" ".join(words) + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def deliveries(database: Path) -> list[str]:
    with sqlite3.connect(database) as opened:
        found = opened.execute("SELECT state FROM hub_delivery ORDER BY id").fetchall()
    opened.close()
    return [state for (state,) in found]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database of its own, migrated."""
    path = tmp_path / "hub.sqlite3"
    env = environment(DATABASE_URL=f"sqlite:///{path}", HUB_VAR=str(tmp_path))
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=ROOT, env=env, check=True, timeout=100)
    return path


@pytest.mark.slow
def test_who_is_killed_between_decision_and_delivery_is_followed_by_one_that_delivers(database, receiver):
    with start(database, receiver) as first:
        assert "decided 1" == step(first, "decide", "0")
        os.kill(first.pid, signal.SIGKILL)
    assert (["waiting"], []) == (deliveries(database), receiver.came)
    with start(database, receiver) as second:
        # Restarted at once, it waits for the lease of the dead to end.
        assert "waiting" == step(second, "send", "1")
        assert "sent 1" == step(second, "send", str(LEASE + 2))
        assert "sent 0" == step(second, "send", "60")
        second.kill()
    assert (["delivered"], 1) == (deliveries(database), len(receiver.came))


@pytest.mark.slow
def test_who_is_killed_while_it_delivers_has_the_message_shown_once(database, receiver):
    receiver.answer.clear()
    with start(database, receiver) as first:
        assert "decided 1" == step(first, "decide", "0")
        assert first.stdin is not None
        first.stdin.write("send 1\n")
        first.stdin.flush()
        assert receiver.arrived.wait(30)
        os.kill(first.pid, signal.SIGKILL)
    receiver.answer.set()
    with start(database, receiver) as second:
        # The claim of the dead has not ended: perhaps it is still at it.
        assert "sent 0" == step(second, "send", str(LEASE + 2))
        assert "sent 1" == step(second, "send", "60")
        assert "over 1" == step(second, "over", "60")
        second.kill()
    # It came twice, and under the same key: who honours that shows it once.
    fired, again, over = receiver.came
    assert (fired, (fired[0], 2)) == (again, over)
    assert ["delivered", "delivered"] == deliveries(database)
