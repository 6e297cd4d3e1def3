"""An Alertmanager of a test's own, and a webhook that it tells of alerts."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from tests.support.processes import LOCALHOST, Process, environment, free_port
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def make_alertmanager(config: Mapping[str, Any], folder: Path) -> Process:
    """
    Make an Alertmanager that is not running yet, on a free port; it is a context manager.

    Args:
        config: What would stand in ``alertmanager.yml``. JSON is YAML too.
        folder: For its configuration, its data and its log.
    """
    port = free_port()
    file = folder / "alertmanager.yml"
    file.write_text(json.dumps(config))
    command = [
        require("alertmanager"),
        f"--config.file={file}",
        f"--storage.path={folder / 'alertmanager-data'}",
        f"--web.listen-address={LOCALHOST}:{port}",
        "--cluster.listen-address=",
    ]
    log = folder / f"alertmanager-{port}.log"
    return Process("alertmanager", command, port=port, log=log, env=environment(), cwd=folder)


class Webhook:
    """
    Takes what an Alertmanager posts; a context manager.

    Attributes:
        told: The alerts of every message, as they came: receiver, status, labels, annotations.
    """

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self._came = threading.Condition()
        handler = type("Handler", (_Handler,), {"webhook": self})
        self._server = ThreadingHTTPServer((LOCALHOST, 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{LOCALHOST}:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, message: Mapping[str, Any]) -> None:
        """Remember a message."""
        with self._came:
            self.told += [{"receiver": message["receiver"], **alert} for alert in message["alerts"]]
            self._came.notify_all()

    def wait_for(self, status: str, rule: str, timeout: float) -> dict[str, Any]:
        """The first alert of a rule that was told to be ``firing`` or ``resolved``; AssertionError if none is."""

        def found() -> dict[str, Any] | None:
            alerts = (one for one in self.told if one["status"] == status and one["labels"].get("rule") == rule)
            return next(alerts, None)

        with self._came:
            alert = self._came.wait_for(found, timeout)
        assert alert is not None, f"{rule} was not told to be {status} within {timeout:g} s, only {self.told}"
        return alert


class _Handler(BaseHTTPRequestHandler):
    webhook: Webhook

    def do_POST(self) -> None:
        self.webhook.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """A test's output is its own."""
