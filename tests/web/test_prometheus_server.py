"""A real Prometheus scrapes a real site once a second, and answers what the README promises."""

import asyncio
import json
import re
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.client import connect

from tests.support.processes import ROOT
from tests.support.prometheus import scrape_config
from tests.support.servers import DAPHNE

pytestmark = [pytest.mark.prometheus, pytest.mark.server, pytest.mark.timeout(120)]

SECONDS = 3.0
"""How long the traffic goes on; rates need two scrapes at least."""


def queries():
    """What stands in the README between ```promql fences."""
    return re.findall(r"^```promql\n(.+?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


async def traffic(server, seconds):
    """Everything that the queries ask for: talk, errors, refusals, and connections that end badly."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    async with AsyncExitStack() as stack:
        chats = []
        for tenant in ("acme", "globex", "initech"):
            chats.append(await stack.enter_async_context(connect(f"{server.ws_url}/ws/demo/{tenant}/chat/lobby/")))
            await chats[-1].send(json.dumps({"type": "join", "name": "ann"}))
        while loop.time() < until:
            for chat in chats:
                await chat.send(json.dumps({"type": "say", "text": "hello"}))
            await broken(server)
            await refused(server)
            await asyncio.sleep(0.1)


async def broken(server):
    """A handler raises, which ends the connection with 1011."""
    async with connect(f"{server.ws_url}/ws/demo/acme/chat/errors/") as chat:
        await chat.send("{not JSON")
        await chat.wait_closed()


async def refused(server):
    """The consumer closes before it accepts."""
    with pytest.raises(Exception, match="403"):
        await connect(f"{server.ws_url}/ws/demo/nobody/chat/lobby/")


@pytest.fixture
def scraped(start_server, prometheus_server):
    """A Prometheus that scrapes a site with traffic."""
    server = start_server(DAPHNE)
    server.manage("migrate", "-v", "0")
    prometheus = prometheus_server(scrape_config(server.host))
    prometheus.wait_for('up{job="hub"} == 1')
    # Counters that begin to exist with their first value have no rate before: two rounds, a scrape in between.
    for _ in range(2):
        asyncio.run(traffic(server, SECONDS))
    return prometheus


def test_every_query_of_the_readme_has_an_answer(scraped):
    assert len(queries()) >= 5
    empty = {query: scraped.query(query) for query in queries()}
    assert [query for query, answer in empty.items() if not answer] == []
    assert {labels.get("tenant") for labels, _ in scraped.query("sum by (tenant) (ws_connections_total)")} >= {
        "acme",
        "globex",
    }
    [(_, scrapes)] = scraped.query('count_over_time(up{job="hub"}[1m])')
    assert scrapes >= 4
    [(_, up)] = scraped.query('min_over_time(up{job="hub"}[5s])')
    assert up == 1
    [target] = scraped.get("targets")["activeTargets"]
    assert target["lastError"] == ""
