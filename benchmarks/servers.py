"""
The servers under load: Daphne and uvicorn, each in a process of its own on the servers' core.

`start_server` is the parent's end; `python -m benchmarks.servers` is the child. Both servers run with their own
defaults, but for protocol pings, which are off: nothing but the load should be on the wire.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Thread
from typing import Any

from benchmarks.children import Child
from benchmarks.machine import pin

HOST = "127.0.0.1"
REQUEST_TIMEOUT = 120.0
#: The argument of a child that times watchdog and lookout.
OWN_TIME = "--own-time"


class ServerKind(StrEnum):
    DAPHNE = "daphne"
    UVICORN = "uvicorn"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, as the parent sees it."""

    pid: int
    port: int

    def address(self, path: str) -> str:
        return f"ws://{HOST}:{self.port}/{path}"

    def get(self, path: str, **headers: str) -> bytes:
        """GET a path over a connection of its own. Raises RuntimeError unless the answer is 200."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=REQUEST_TIMEOUT)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"GET {path} answered {response.status}: {body[:500]!r}")
        return body

    def read_memory(self) -> int:
        """The resident size in bytes, after a garbage collection."""
        return int(json.loads(self.get("/-/memory"))["rss"])

    def read_processor(self) -> float:
        """Its processor time up to now, in seconds; asking costs about a millisecond."""
        return float(json.loads(self.get("/-/processor"))["seconds"])

    def read_own_time(self) -> dict[str, int]:
        """Nanoseconds of watchdog and lookout up to now, and the lookout's steps; of a server with `OWN_TIME`."""
        own: dict[str, int] = json.loads(self.get("/-/own-time"))
        return own

    def measure_turn(self) -> float:
        """What a turn of its event loop takes that only a timer is for, in nanoseconds; that takes some seconds."""
        return float(json.loads(self.get("/-/turn"))["nanoseconds"])

    def read_delay(self) -> float:
        """The longest delay of the event loop, in seconds, since this was asked before."""
        return float(json.loads(self.get("/-/delay"))["delay"])


@contextmanager
def start_server(kind: ServerKind, side: str, core: int, *more: str) -> Iterator[Server]:
    """
    Start a server and end it afterwards.

    Args:
        side: A `Side`, or `scrape.PROMETHEUS` for prometheus_client's own endpoint.
        more: Further arguments of the child.
    """
    with Child("benchmarks.servers", kind, side, f"--core={core}", *more) as child:
        yield Server(child.pid, int(child.read()["port"]))


def main() -> None:
    options = _parse()
    pin(options.core)
    Thread(target=_end_with_parent, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="hub-benchmark-") as folder:
        application = _build(options, Path(folder))
        _SERVE[options.kind](application)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.servers")
    parser.add_argument("kind", type=ServerKind)
    parser.add_argument("side")
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--series", type=Path, help="an exposition whose series prometheus_client shall hold")
    parser.add_argument("--hub", type=json.loads, default={}, help="settings.HUB, as JSON")
    parser.add_argument(OWN_TIME, action="store_true", help="time watchdog and lookout")
    return parser.parse_args()


def _build(options: argparse.Namespace, folder: Path) -> Any:
    from benchmarks.project import configure

    if options.kind is ServerKind.DAPHNE:
        import daphne.server  # noqa: F401  installs Twisted's asyncio reactor, which must come first
    configure(folder, monitored=options.side == "monitored", hub=options.hub)
    from benchmarks.apps import Side, build_application
    from benchmarks.control import Control
    from benchmarks.scrape import build_prometheus

    if options.series is not None:
        return Control(build_prometheus(options.series.read_text(encoding="utf-8")))
    from benchmarks.own_time import watch

    meter = watch() if options.own_time else None
    return Control(build_application(Side(options.side)), meter)


def _serve_uvicorn(application: Any) -> None:
    import uvicorn

    listener = socket.create_server((HOST, 0), backlog=2048)
    _announce(listener.getsockname()[1])
    config = uvicorn.Config(application, log_level="warning", access_log=False, ws_ping_interval=None)
    uvicorn.Server(config).run(sockets=[listener])


def _serve_daphne(application: Any) -> None:
    from daphne.server import Server as Daphne
    from twisted.internet import reactor

    server = Daphne(application, [f"tcp:port=0:interface={HOST}:backlog=2048"], ping_interval=86_400, verbosity=0)
    reactor.callWhenRunning(lambda: _announce(server.listening_addresses[0][1]))
    server.run()


def _announce(port: int) -> None:
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


_SERVE = {ServerKind.UVICORN: _serve_uvicorn, ServerKind.DAPHNE: _serve_daphne}


if __name__ == "__main__":
    main()
