"""A real Prometheus scrapes the demo and answers every query of the README."""

from __future__ import annotations

import math
import sys
import time

import httpx
import pytest

from tests.docs.markdown import Block, all_blocks
from tests.support.processes import Process
from tests.support.prometheus import Prometheus, promtool, scrape_config
from tests.support.servers import DAPHNE

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.prometheus]

QUERIES = [block for block in all_blocks("promql") if block.document.name == "README.md"]


class Traffic(Process):
    """The demo's visitors, running; they listen on no port."""

    def _wait_until_accepting(self, timeout: float) -> None:
        assert timeout > 0


def numbers(prometheus: Prometheus, query: Block) -> list[float]:
    """The values of a query's series, without those that say nothing."""
    return [value for _, value in prometheus.query(query.text) if math.isfinite(value)]


@pytest.mark.timeout(180)
def test_every_query_of_the_readme_has_an_answer_under_demo_traffic(
    start_server, prometheus_server, processes, tmp_path
):
    server = start_server(DAPHNE)
    server.manage("migrate", "--verbosity", "0")
    env = {**server.env, "DJANGO_SETTINGS_MODULE": "hub.settings"}
    command = [sys.executable, "-m", "django", "demo_traffic", "--url", server.ws_url, "--profile", "busy"]
    traffic = Traffic("traffic", command, port=0, log=tmp_path / "traffic.log", env=env)
    processes.append(traffic)
    traffic.start()
    prometheus = prometheus_server(scrape_config(server.host))

    waiting = list(QUERIES)
    deadline = time.monotonic() + 120
    while waiting:
        assert time.monotonic() < deadline, f"no data for {[str(query) for query in waiting]}"
        time.sleep(1.0)
        waiting = [query for query in waiting if not numbers(prometheus, query)]
    promtool("check", "metrics", text=httpx.get(f"{server.url}/metrics").text)
