"""A real Prometheus scrapes a real site, and every query of every panel has an answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import threading
import time
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from scripts.validate_deploy import DEPLOY, VARIABLES, queries
from tests.deploy.stage import TOKEN, prometheus_config
from tests.support.servers import DAPHNE
from tests.support.traffic import make_traffic

pytestmark = [pytest.mark.slow, pytest.mark.server, pytest.mark.prometheus]

PICKED = {"counter": "demo_orders_total", "gauge": "shop_carts", "histogram": "demo_basket_value_bucket"}
SCREENS, ORDERS = 2, 150
#: Where nobody takes what the hub itself tells of its alerts.
NOBODY = "http://127.0.0.1:9/"
#: Recordings that stay empty here: nobody waits ten minutes, no crowd breaks off or falls silent, no loop is blocked.
RARE = {
    "consumer:ws_handler_errors:change5m",
    "consumer:ws_disconnects:share1m",
    "tenant:ws_presence_members:part",
    "instance:ws_slow_episodes:increase1m",
    "instance:ws_slow_consumers:seen1m",
}


def unanswered(prometheus, asked):
    """The queries that have no number for an answer."""
    return [
        query
        for query in asked
        if not any(math.isfinite(value) for _, value in prometheus.query(query.plain(**PICKED)))
    ]


def wait_for_answers(prometheus, asked, seconds):
    deadline = time.monotonic() + seconds
    while asked := unanswered(prometheus, asked):
        assert time.monotonic() < deadline, "no data for " + "\n".join(map(str, asked))
        time.sleep(1.0)


# --- trouble ------------------------------------------------------------------------------------------------------


async def break_down(url):
    """Everything once that the panels of trouble are about."""
    async with AsyncExitStack() as stack:

        async def enter(what):
            return await stack.enter_async_context(connect(f"{url}/shop/acme/{what}/", max_queue=None))

        screens = [await enter("kitchen") for _ in range(SCREENS)]
        for screen in screens:
            await screen.send("hang 3")
        kitchen, checkout, scanner = await enter("kitchen"), await enter("checkout"), await enter("scanner")
        await checkout.send("2")
        for number in (1, 5, 5, 3):
            await scanner.send(json.dumps({"seq": number}))
        await asyncio.sleep(0.2)
        # More than fits into the queues of those that hang.
        await kitchen.send(f"orders {ORDERS}")
        wrong = await enter("checkout")
        await wrong.send("no number")
        with contextlib.suppress(ConnectionClosed):
            await wrong.recv()
        await asyncio.sleep(3)


def keep_breaking(url, stop):
    while not stop.is_set():
        # A server that is as busy as this one may keep somebody waiting for too long.
        with contextlib.suppress(OSError, WebSocketException):
            asyncio.run(break_down(url))


@pytest.fixture
def trouble(scraped):
    """It goes on until the test ends."""
    server, _ = scraped
    stop = threading.Event()
    thread = threading.Thread(target=keep_breaking, args=(server.ws_url, stop))
    yield thread.start
    stop.set()
    if thread.ident is not None:
        thread.join()


@pytest.fixture
def scraped(start_server, prometheus_server, processes, tmp_path):
    """A site under demo traffic, and a Prometheus that scrapes it."""
    env = {
        "HUB_METRICS_TOKEN": TOKEN,
        "HUB_RECEIVERS": json.dumps({"nobody": {"type": "webhook", "url": NOBODY, "secret": TOKEN}}),
    }
    server = start_server(DAPHNE, "tests.deploy.application:application", env=env)
    server.manage("migrate", "--verbosity", "0")
    traffic = make_traffic(server, tmp_path, "calm")
    processes.append(traffic)
    traffic.start()
    return server, prometheus_server(prometheus_config(server, tmp_path))


@pytest.mark.timeout(400)
def test_every_query_of_every_panel_has_an_answer(scraped, trouble):
    _, prometheus = scraped
    asked = list(queries())
    wait_for_answers(prometheus, [query for query in asked if not query.trouble], 180)
    trouble()
    wait_for_answers(prometheus, asked, 120)

    for board in (DEPLOY / "grafana" / "dashboards").glob("*.json"):
        for variable in json.loads(board.read_text())["templating"]["list"]:
            if variable["type"] == "query":
                assert values(prometheus, variable["query"]), f"{board.name}: ${variable['name']} has no values"
    groups = prometheus.get("rules")["groups"]
    assert {"hub", "hub-scrape"} == {group["name"] for group in groups}
    rules = [rule for group in groups for rule in group["rules"]]
    assert [] == [rule for rule in rules if rule["health"] != "ok"]
    for rule in rules:
        if rule["type"] == "recording" and rule["name"] not in RARE:
            prometheus.wait_for(rule["name"])


def values(prometheus, query):
    """What Grafana would offer for a variable."""
    selector, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()
    for name, value in VARIABLES.items():
        selector = selector.replace(name, value)
    return {series[label] for series in prometheus.get("series", **{"match[]": selector}) if series.get(label)}
