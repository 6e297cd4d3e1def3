"""Processes that tests start: each on a port of its own, with an environment of its own, and gone afterwards."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
LOCALHOST = "127.0.0.1"

#: What a started process takes over from the machine; everything else a test passes explicitly.
INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR")
START_TIMEOUT = 30.0
STOP_TIMEOUT = 15.0


def free_port() -> int:
    """
    Return a port of 127.0.0.1 that nobody listens on.

    Below the range from which the kernel takes the ports of outgoing connections, so that a load test can't take it
    between this probe and the server's own bind.
    """
    for port in random.sample(range(20_000, 32_000), 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOCALHOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 20000 and 32000 in 200 tries")


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a started process: the little that every program needs, and ``variables``."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**inherited, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default", **variables}


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on the port."""
    try:
        socket.create_connection((LOCALHOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True


class ProcessFailed(AssertionError):
    """A process did not start, or ended by itself; the message carries its log."""


class Process:
    """
    A program that listens on one port of 127.0.0.1, as a context manager.

    It may be stopped and started again on the same port; the log goes on in the same file. Every signal goes to the
    process's own id.
    """

    def __init__(
        self, name: str, command: list[str], *, port: int, log: Path, env: dict[str, str], cwd: Path = ROOT
    ) -> None:
        self.name = name
        self.command = command
        self.port = port
        self.log = log
        self.env = env
        self.cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def host(self) -> str:
        """Host and port, as in an URL."""
        return f"{LOCALHOST}:{self.port}"

    @property
    def url(self) -> str:
        """Where it answers HTTP, without a slash at the end."""
        return f"http://{self.host}"

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """
        Start it and wait until it accepts connections.

        Raises:
            ProcessFailed: It ended before, or did not accept within ``timeout`` seconds.
        """
        assert not self.running, f"{self.name} is running already"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, cwd=self.cwd, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self._wait_until_accepting(timeout)

    def _wait_until_accepting(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not accepts(self.port):
            if not self.running:
                raise ProcessFailed(f"{self.name} ended with {self.stop()} before it listened:\n{self.log_text()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ProcessFailed(f"{self.name} did not listen within {timeout:.0f} s:\n{self.log_text()}")
            time.sleep(0.02)

    def stop(self, timeout: float = STOP_TIMEOUT) -> int | None:
        """
        Ask it to end, and insist after ``timeout`` seconds; nothing happens if it does not run.

        Returns:
            Its exit code, negative for a signal; None if it was never started.
        """
        process, self._process = self._process, None
        if process is None:
            return None
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
        return process.wait()

    def kill(self) -> None:
        """End it at once, without a chance to say goodbye."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def restart(self) -> None:
        """Stop it, then start it on the same port."""
        self.stop()
        self.start()

    def log_text(self) -> str:
        """Everything that it printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""
