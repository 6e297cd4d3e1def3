"""What it takes to run other programs from a command: a free port, child processes that are ended, their logs."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
PORTS_TRIED = 100
MAX_LOG_BYTES = 10 * 1024 * 1024
GRACE = 8
"""Seconds that a child has to end by itself."""


def free_port(wanted: int) -> int | None:
    """Return the first port from ``wanted`` on that nobody listens to; None if there is none near."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    return None


def answers(port: int) -> bool:
    """Tell whether an HTTP server answers on a port, whatever it says."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/login/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return True
    finally:
        connection.close()


def fresh_log(path: Path) -> BinaryIO:
    """Open an empty log. It is appended to, so that it can be cut while somebody writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path.open("ab")


class Child:
    """
    A Python program that runs beside the command, and ends with it.

    It has a session of its own: Ctrl-C in the terminal reaches the command alone, which ends its children in order.
    """

    def __init__(self, arguments: list[str], log: Path | None = None) -> None:
        self.log = log
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(fresh_log(log)) if log else None
            self._process = subprocess.Popen(  # noqa: S603 - this Python, with arguments of our own
                [sys.executable, *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to end, and insist after a while."""
        if self.exit_code is None:
            self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def trim_log(self) -> None:
        """Start the log again when it has grown too large: a demo may run for days."""
        if self.log and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.write_bytes(b"")

    def log_tail(self, lines: int = 30) -> str:
        """Return the last lines that it wrote."""
        if not self.log:
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
