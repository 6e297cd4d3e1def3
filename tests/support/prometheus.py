"""A Prometheus of a test's own, and promtool."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.processes import LOCALHOST, Process, environment, free_port
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Prometheus(Process):
    """A running Prometheus."""

    def get(self, path: str, **parameters: str) -> Any:
        """Return the ``data`` of an answer of its HTTP API; ``path`` stands behind ``/api/v1/``."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10.0)
        body = answer.json()
        assert body["status"] == "success", f"{path} {parameters}: {body}"
        return body["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Evaluate PromQL now; return labels and value of every series of the resulting vector."""
        result = self.get("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def wait_for(self, expression: str, timeout: float = 30.0) -> list[tuple[dict[str, str], float]]:
        """Evaluate PromQL until it yields a series; AssertionError with the log after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not (result := self.query(expression)):
            assert time.monotonic() < deadline, f"{expression} yields nothing after {timeout:.0f} s\n{self.log_text()}"
            time.sleep(0.2)
        return result


def make_prometheus(config: Mapping[str, Any], folder: Path) -> Prometheus:
    """
    Make a Prometheus that is not running yet, on a free port; it is a context manager.

    Args:
        config: What would stand in ``prometheus.yml``. JSON is YAML too.
        folder: For its configuration, its data and its log.
    """
    port = free_port()
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(config))
    command = [
        require("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus-data'}",
        f"--web.listen-address={LOCALHOST}:{port}",
    ]
    return Prometheus(
        "prometheus", command, port=port, log=folder / f"prometheus-{port}.log", env=environment(), cwd=folder
    )


def scrape_config(
    target: str, *, path: str = "/metrics", interval: str = "1s", token: str | None = None
) -> dict[str, Any]:
    """Return a configuration that scrapes one ``host:port``."""
    job: dict[str, Any] = {"job_name": "hub", "metrics_path": path, "static_configs": [{"targets": [target]}]}
    if token is not None:
        job["authorization"] = {"credentials": token}
    return {"global": {"scrape_interval": interval, "scrape_timeout": interval}, "scrape_configs": [job]}


def promtool(*arguments: str, text: str = "") -> str:
    """Run promtool with ``text`` on its standard input; return what it says, AssertionError where it finds a fault."""
    done = subprocess.run(
        [require("promtool"), *arguments], input=text, capture_output=True, text=True, check=False, timeout=60
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"promtool {' '.join(arguments)}:\n{said}"
    return said
