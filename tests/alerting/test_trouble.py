"""
Issue 5, "Done when" 3: whatever is down, killed, doubled or locked, every alert arrives, and none is shown twice.

Processes, database and receiver are real ones; time alone is moved by hand.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from hub.alerting.outbox import CLAIM
from hub.alerting.store import LEASE
from hub.core.groups import FIRED, OVER
from tests.support.processes import ROOT, environment
from tests.support.receivers import BROKEN, BUSY, CLOSE, RESET, Answer, Got, Webhook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Milliseconds that a process waits for a database that is locked.
PATIENT, HASTY = 20_000, 50


class Alerting:
    """A process that evaluates and sends; see `tests.alerting.process`."""

    def __init__(self, database: Path, receiver: Webhook, patience: int = PATIENT) -> None:
        command = [sys.executable, "-m", "tests.alerting.process", f"{receiver.url}/hook", str(patience)]
        env = environment(DATABASE_URL=f"sqlite:///{database}", HUB_VAR=str(database.parent))
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.communicate()

    def ask(self, **what: Any) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What has come of it."""
        assert self._process.stdout is not None
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        return said

    def live(self, **what: Any) -> dict[str, Any]:
        """Let it live for a while."""
        self.ask(**what)
        return self.answer()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "hub.sqlite3"
    env = environment(DATABASE_URL=f"sqlite:///{path}", HUB_VAR=str(path.parent))
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=ROOT, env=env, check=True, timeout=100)
    return path


@pytest.fixture
def database(migrated: Path, tmp_path: Path) -> Path:
    """A database of the test's own, migrated."""
    return Path(shutil.copy(migrated, tmp_path))


@pytest.fixture
def receiver() -> Iterator[Webhook]:
    with Webhook() as one:
        yield one


def read(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as opened:
        return [value for (value,) in opened.execute(query)]


@contextmanager
def locked(database: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else writes."""
    with closing(sqlite3.connect(database, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        if other.in_transaction:
            other.execute("COMMIT")


def check(database: Path, receiver: Webhook, *tenants: str) -> None:
    """Every alert has arrived, and each message once, in the order of its incident."""
    told = [(message["labels"]["tenant"], message["kind"]) for message in receiver.messages.values()]
    assert {tenant: [FIRED, OVER] for tenant in tenants} == {
        tenant: [kind for each, kind in told if each == tenant] for tenant in dict(told)
    }
    assert [] == receiver.flaws
    assert ["delivered"] * len(told) == read(database, "SELECT state FROM hub_delivery")
    assert ["resolved"] * len(tenants) == read(database, "SELECT state FROM hub_alertrecord")


def test_a_receiver_that_is_down_for_ten_minutes_is_told_everything_once(database, receiver):
    with Alerting(database, receiver) as one:
        for minute in range(10):
            receiver.down = (BROKEN, RESET, CLOSE, BUSY)[minute % 4]
            one.live(at=60 * minute, seconds=30, waiting={f"tenant{minute}": 50})
            one.live(at=60 * minute + 30, seconds=30)
        assert {} == receiver.messages
        assert 10 < len(receiver.got) < 60
        receiver.down = None
        one.live(at=600, seconds=200)
    check(database, receiver, *(f"tenant{minute}" for minute in range(10)))
    assert [] == receiver.doubled


def test_who_is_killed_between_decision_and_delivery_is_followed_by_one_that_delivers(database, receiver):
    with Alerting(database, receiver) as first:
        first.live(at=0, seconds=2, waiting={"acme": 50}, send=False)
    assert (["waiting"], []) == (read(database, "SELECT state FROM hub_delivery"), receiver.got)
    with Alerting(database, receiver) as second:
        # Restarted at once, it waits for the lease of the dead to end.
        assert not second.live(at=3, seconds=5, waiting={"acme": 50})["on_duty"]
        assert second.live(at=8, seconds=10, waiting={"acme": 50})["on_duty"]
        assert 1 == len(receiver.messages)
        second.live(at=18, seconds=120)
    check(database, receiver, "acme")
    assert [] == receiver.doubled


class Silent(Webhook):
    """One that takes a message, and does not say so until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.taken, self.told_to = threading.Event(), threading.Event()

    def usual(self, request: Got) -> Answer:
        answer = super().usual(request)
        self.taken.set()
        self.told_to.wait(60)
        return answer


def test_who_is_killed_while_it_delivers_has_the_message_shown_once(database):
    with Silent() as receiver:
        with Alerting(database, receiver) as first:
            first.ask(at=0, seconds=2, waiting={"acme": 50})
            assert receiver.taken.wait(60)
        receiver.told_to.set()
        with Alerting(database, receiver) as second:
            # The claim of the dead has not ended: perhaps it is still at it.
            assert second.live(at=LEASE + 3, seconds=5, waiting={"acme": 50})["on_duty"]
            assert [] == receiver.doubled
            second.live(at=CLAIM + 3, seconds=120)
        check(database, receiver, "acme")
        # It came twice, and under the same key: who honours that shows it once.
        assert [next(iter(receiver.messages))] == receiver.doubled


def test_of_two_processes_that_believe_they_hold_the_lease_one_writes(database, receiver):
    tenants = [f"tenant{number}" for number in range(20)]
    beliefs = []
    with Alerting(database, receiver) as one, Alerting(database, receiver) as two:
        assert one.live(at=0, seconds=3)["on_duty"]
        # One is held up for longer than its lease lasts, and two takes over.
        assert two.live(at=LEASE + 4)["on_duty"]
        for second in range(180):
            # Both see the same wave, and both send, at once; in the middle of it one comes to write something.
            for each in (one, two):
                waiting = dict.fromkeys(tenants, 50) if second < 30 else {}
                each.ask(at=LEASE + 5 + second, waiting=waiting, decide=each is two or second > 15)
            beliefs.append([each.answer()["on_duty"] for each in (one, two)])
    assert [[True, True]] * 16 + [[False, True]] * 164 == beliefs
    check(database, receiver, *tenants)
    assert [] == receiver.doubled


@pytest.mark.parametrize("patience", [PATIENT, HASTY], ids=["waits", "gives up"])
def test_what_is_decided_while_the_database_is_locked_is_told_when_it_is_not(database, receiver, patience):
    with Alerting(database, receiver, patience) as one:
        one.live(at=0, seconds=2)
        with locked(database) as other:
            if patience == PATIENT:
                threading.Timer(1.0, other.execute, ["COMMIT"]).start()
            refused = one.live(at=2, seconds=3, waiting={"acme": 50})["refused"]
            assert (patience == HASTY) == (refused == 3)
        one.live(at=5, seconds=3, waiting={"acme": 50})
        one.live(at=8, seconds=120)
    check(database, receiver, "acme")
    assert [] == receiver.doubled


class Locking(Webhook):
    """One that locks the database of who tells it."""

    def __init__(self, database: Path) -> None:
        super().__init__()
        self.other = sqlite3.connect(database, isolation_level=None, check_same_thread=False)

    def usual(self, request: Got) -> Answer:
        if not self.messages:
            self.other.execute("BEGIN IMMEDIATE")
        return super().usual(request)


def test_what_arrives_while_the_database_is_locked_is_not_sent_again(database):
    with Locking(database) as receiver, closing(receiver.other), Alerting(database, receiver, HASTY) as one:
        assert one.live(at=0, seconds=6, waiting={"acme": 50})["refused"]
        assert (1, ["waiting"]) == (len(receiver.got), read(database, "SELECT state FROM hub_delivery"))
        receiver.other.execute("COMMIT")
        one.live(at=CLAIM + 1, seconds=5, waiting={"acme": 50})
        one.live(at=CLAIM + 6, seconds=120)
        check(database, receiver, "acme")
        assert [] == receiver.doubled
