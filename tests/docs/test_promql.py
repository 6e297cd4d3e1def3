"""A real Prometheus scrapes the demo and answers every query of the README."""

from __future__ import annotations

import math
import time

import httpx
import pytest

from tests.docs.markdown import Block, all_blocks
from tests.support.prometheus import Prometheus, promtool, scrape_config
from tests.support.servers import DAPHNE
from tests.support.traffic import make_traffic

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.prometheus]

QUERIES = [block for block in all_blocks("promql") if block.document.name == "README.md"]


def numbers(prometheus: Prometheus, query: Block) -> list[float]:
    """The values of a query's series, without those that say nothing."""
    return [value for _, value in prometheus.query(query.text) if math.isfinite(value)]


@pytest.mark.timeout(180)
def test_every_query_of_the_readme_has_an_answer_under_demo_traffic(
    start_server, prometheus_server, processes, tmp_path
):
    server = start_server(DAPHNE)
    server.manage("migrate", "--verbosity", "0")
    traffic = make_traffic(server, tmp_path, "busy")
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
