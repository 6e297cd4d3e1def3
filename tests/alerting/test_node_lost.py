"""
The one rule that takes two processes which see each other: a node dies, and Slack is told.

Nodes find each other over a bus that they share; two on one bus, in this process, stand for two of a fleet.
"""

from __future__ import annotations

import asyncio

import pytest

from hub.alerting import service as module
from hub.alerting.service import AlertService, attach
from hub.alerting.setup import read_setup
from hub.bus.memory import MemoryBus
from hub.clock import SYSTEM
from hub.conf import read
from hub.instrument.state import Instruments
from hub.node.node import Node
from tests.alerting.stage import attach_fleet
from tests.support.receivers import Slack
from tests.support.until import until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

ROUTE = {"name": "all", "receivers": ["chat"], "wait": 0, "interval": 10}


async def make_node(name: str, bus: MemoryBus, config, *, evaluates: bool) -> Node:
    node = Node(Instruments(config), bus)
    node.name = name
    attach_fleet(node)
    if evaluates:
        attach(node, read_setup(config))
    node.start()
    return node


async def test_a_node_that_dies_is_told_and_told_to_be_over(monkeypatch):
    monkeypatch.setattr(module, "START_DELAY", 0.0)
    with Slack() as slack:
        given = {
            "RULES": {"node_lost": {"above": 2, "keep": 1}}, "ROUTES": [ROUTE],
            "RECEIVERS": {"chat": {"type": "slack", "url": slack.webhook}},
        }  # fmt: skip
        config, problems = read(given, {})
        assert [] == problems
        bus = MemoryBus(SYSTEM.monotonic, 1000, 60.0)
        witness = await make_node("witness", bus, config, evaluates=True)
        victim = await make_node("victim", bus, config, evaluates=False)
        part = witness.part(AlertService)
        await until(lambda: part.duty.engine is not None and len(part._view.nodes) == 2)
        await asyncio.sleep(2.5)
        # As a process that is killed: it neither says so nor withdraws.
        victim.detach()
        for task in victim._tasks:
            task.cancel()
        await asyncio.gather(*victim._tasks, return_exceptions=True)
        try:
            await until(lambda: len(slack.got) == 1, 60.0)
            again = await make_node("victim", bus, config, evaluates=False)
            await until(lambda: len(slack.got) == 2, 60.0)
            await again.stop()
        finally:
            await witness.stop()
            for threads in (part._thread, part._senders):
                await asyncio.to_thread(threads._pool.shutdown)
        first, last = [got.json["text"] for got in slack.got]
        assert first.startswith("🔴 Firing: victim has not been heard of for ")
        assert last.startswith("✅ Resolved: ")
        assert [] == slack.flaws
