"""
Alerts: how long it takes from what happens in a connection to the request at Slack.

A handler raises, for a tenant to whom nothing has happened before, which makes an alert of its own. Everything between
is the hub's own: event, rule, group with the usual wait of what is urgent, transaction, outbox, HTTP. The clock starts
before the message is sent that makes the handler raise, and stops when the request has come in.
"""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from benchmarks import figures
from benchmarks.apps import Side
from benchmarks.children import Child
from benchmarks.figures import Measurement, Row, Spread, Verdict
from benchmarks.machine import Machine
from benchmarks.scrape import FORMATS, HUB_PATH
from benchmarks.servers import HOST, Server, ServerKind, start_server
from hub.alerting.pack import PACK

RULE = {
    "look": "count", "of": "hub_events_total", "where": "kind=handler.error", "by": ["tenant"], "window": 3600,
    "above": 0, "severity": "critical", "summary": "{tenant}",
}  # fmt: skip
#: Seconds from one alert to the next, and that each may take.
PAUSE, PATIENCE = 0.2, 30.0
_TENANT = re.compile(r"tenant-\d+")


class Channel:
    """Slack's incoming webhook, and when each tenant's first message came in, on the monotonic clock."""

    def __init__(self) -> None:
        self.came: dict[str, float] = {}
        self._news = Condition()
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                at = time.monotonic()
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")
                channel.take(json.loads(body)["text"], at)

            def log_message(self, *_: Any) -> None:
                """Nothing: what is printed is the report."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_port}/services/T0/B0/benchmark"

    def take(self, text: str, at: float) -> None:
        """Note whom a message is about."""
        with self._news:
            for tenant in _TENANT.findall(text):
                self.came.setdefault(tenant, at)
            self._news.notify_all()

    def wait(self, tenant: str) -> float:
        """When a tenant's message came; RuntimeError if it does not."""
        with self._news:
            if not self._news.wait_for(lambda: tenant in self.came, PATIENCE):
                raise RuntimeError(f"nobody was told of {tenant} within {PATIENCE:g} s")
            return self.came[tenant]

    @contextmanager
    def open(self) -> Iterator[None]:
        thread = Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def measure_alerts(
    kinds: Sequence[ServerKind], machine: Machine, alerts: int, clients: int, seconds: float
) -> Measurement:
    """
    Raise alerts on a server at rest, and in a storm.

    Args:
        alerts: How many, each time.
        clients: Of the storm.
        seconds: How long the storm lasts at most, once the clients are there.
    """
    measurement = Measurement(f"alerts: {alerts} of them, from a handler that raises to the request at Slack")
    for kind in kinds:
        for where, stormy in (("at rest", 0), (f"{clients:,} clients in a storm", clients)):
            took = _raise(kind, machine, alerts, stormy, seconds)
            p50, p99 = _at(took, 0.5), _at(took, 0.99)
            cells: dict[str, str | Spread] = {
                "server": kind, "load": where, "p50 ms": f"{p50 * 1e3:.0f}", "p99 ms": f"{p99 * 1e3:.0f}",
                "longest ms": f"{max(took) * 1e3:.0f}",
            }  # fmt: skip
            measurement.rows.append(Row(cells))
            if stormy:
                measurement.verdicts.append(Verdict(figures.ALERTS, f"{kind}, {where}", Spread.over([p99])))
    measurement.notes.append("With the quarter of a second for which what is urgent waits for more of its kind.")
    return measurement


def _at(took: Sequence[float], share: float) -> float:
    """The least figure that this share of all does not exceed."""
    return sorted(took)[max(0, -(-len(took) * int(1000 * share) // 1000) - 1)]


def _raise(kind: ServerKind, machine: Machine, alerts: int, clients: int, seconds: float) -> list[float]:
    channel = Channel()
    hub = {
        "RULES": {**dict.fromkeys(PACK, False), "raised": RULE},
        "RECEIVERS": {"slack": {"type": "slack", "url": channel.url, "per_minute": 6000}},
        "ROUTES": [{"name": "all", "receivers": ["slack"], "by": ["tenant"]}],
    }
    options = ("--hub", json.dumps(hub))
    with channel.open(), start_server(kind, Side.MONITORED, machine.server_core, *options) as server:
        _wait_until_on_duty(server)
        if not clients:
            return [_time(server, channel, number) for number in range(alerts)]
        arguments = (f"--clients={clients}", f"--seconds={seconds}", f"--address={server.address('echo')}")
        with Child("benchmarks.storm", f"--core={machine.client_core}", *arguments) as child:
            if (connected := child.read()["connected"]) != clients:
                raise RuntimeError(f"{connected} of {clients} clients were let in")
            return _raise_meanwhile(child, server, channel, alerts)


def _raise_meanwhile(child: Child, server: Server, channel: Channel, alerts: int) -> list[float]:
    """As many as there is time for while the storm rages, and no more than so many."""
    over: list[dict[str, Any]] = []
    storm = Thread(target=lambda: over.append(child.ask()))
    storm.start()
    took: list[float] = []
    while not over and len(took) < alerts:
        took.append(_time(server, channel, len(took)))
    storm.join()
    child.ask()
    return took


def _time(server: Server, channel: Channel, number: int) -> float:
    """Seconds from a message whose handler raises to the request at Slack."""
    tenant = f"tenant-{number}"
    with connect(server.address(f"fail/{tenant}"), open_timeout=PATIENCE) as client:
        began = time.monotonic()
        client.send("now")
        try:
            client.recv(timeout=PATIENCE)
        except ConnectionClosed:
            took = channel.wait(tenant) - began
        else:
            raise RuntimeError("the handler did not raise")
    time.sleep(PAUSE)
    return took


def _wait_until_on_duty(server: Server) -> None:
    """Until the server's process evaluates the rules: a few seconds after its first call."""
    deadline = time.monotonic() + PATIENCE
    while b"hub_alerts_firing" not in server.get(HUB_PATH, Accept=FORMATS["text"]):
        if time.monotonic() > deadline:
            raise RuntimeError(f"nobody evaluates the rules after {PATIENCE:g} s")
        time.sleep(0.1)
