"""Ports, children and their logs."""

import socket
import time

import pytest

from consumers.demo import launch
from consumers.demo.launch import HOST, Child, answers, free_port


def test_a_taken_port_is_passed_over():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < (free_port(port) or 0) < port + launch.PORTS_TRIED
        assert not answers(free_port(port) or 0)


def test_there_are_no_ports_beyond_the_last():
    assert free_port(65536) is None


def test_a_child_ends_when_asked(tmp_path):
    child = Child(["-c", "import time; print('ready', flush=True); time.sleep(600)"], log=tmp_path / "deep" / "log")
    wait_for(lambda: child.log_tail() == "ready")
    assert child.exit_code is None
    child.stop()
    assert child.exit_code == -15


def test_a_child_that_does_not_listen_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "GRACE", 0.2)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    child = Child(["-c", deaf], log=tmp_path / "log")
    wait_for(lambda: child.log_tail() == "ready")
    child.stop()
    assert child.exit_code == -9


def test_a_log_shows_its_end_and_does_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "MAX_LOG_BYTES", 100)
    child = Child(["-c", "for number in range(100): print(number)"], log=tmp_path / "log")
    wait_for(lambda: child.exit_code == 0)
    assert child.log_tail(2) == "98\n99"
    child.trim_log()
    assert child.log_tail() == ""


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("The condition did not come true within 20 s.")
        time.sleep(0.02)
