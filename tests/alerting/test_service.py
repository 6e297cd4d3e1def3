from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest
from django.db import connection, connections

from hub.access import Operator, Rights
from hub.alerting import duty
from hub.alerting import service as module
from hub.alerting.actions import acknowledge, list_active
from hub.alerting.receivers.base import DeliveryError
from hub.alerting.service import AlertService, attach
from hub.alerting.store import Store
from hub.bus.memory import MemoryBus
from hub.conf import Config
from hub.core.events import Event
from hub.core.groups import FIRED
from hub.core.ledger import Connection
from hub.instrument.state import Instruments
from hub.models import AlertRecord, Delivery, Evaluator
from hub.node import node as node_module
from hub.node.executor import run_in_thread
from hub.node.node import Node
from tests.alerting.stage import PACE, Sink, attach_fleet, make_setup
from tests.support.until import until

pytestmark = pytest.mark.django_db(transaction=True)

ANN = Operator("ann", Rights(view=True, operate=True))
CONNECTED = {"of": "ws_connections_active", "above": 0, "keep": 0.1}


@pytest.fixture(autouse=True)
def faults(monkeypatch) -> Counter[str]:
    monkeypatch.setattr(module, "START_DELAY", 0.0)
    monkeypatch.setattr(node_module, "CADENCE", 0.1)
    fresh: Counter[str] = Counter()
    monkeypatch.setattr("hub.faults.FAULTS", fresh)
    return fresh


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
async def node():
    shared = Instruments(Config())
    made = Node(shared, MemoryBus(shared.clock.monotonic, 1000, 60.0))
    attach_fleet(made)
    yield made
    await made.stop()
    if AlertService in made._parts:
        part = made.part(AlertService)
        for threads in (part._thread, part._senders):
            await asyncio.to_thread(threads._pool.shutdown)


def start(node: Node, *sinks: Sink, **rule) -> AlertService:
    attach(node, make_setup(*sinks, **{**CONNECTED, **rule}))
    node.start()
    return node.part(AlertService)


def connect(node: Node, tenant: str = "acme") -> Connection:
    now = node.clock.monotonic()
    connection = node.instruments.ledger.open("chat", now, lambda: tenant)
    node.instruments.ledger.accept(connection, now)
    return connection


def events(node: Node) -> list[tuple[str, str, dict]]:
    assert isinstance(node.bus, MemoryBus)
    entries = [entry.payload for _, entry in node.bus._events]
    return [(one["kind"], one["tenant"], one["details"]) for one in entries if one["kind"].startswith("alert.")]


# --- the whole way ------------------------------------------------------------------------------------------------


async def test_what_happens_in_the_fleet_is_told_and_told_to_be_over(node, sink, faults, monkeypatch):
    part = start(node, sink)
    await until(lambda: part.duty.engine is not None)
    opened = connect(node)
    await until(lambda: sink.kinds == [FIRED])
    [row] = await run_in_thread(list_active, ANN.rights)
    assert ("firing", "acme", "crowded_high") == (row.state, row.tenant, row.rule)
    assert {"high": 1} == part.duty.firing
    node.instruments.ledger.end(opened, node.clock.monotonic(), error=False)
    await until(lambda: not part.duty.firing)
    await until(lambda: ["alert.firing", "alert.resolved"] == [kind for kind, _, _ in events(node)])
    (_, tenant, details), _ = events(node)
    assert "acme" == tenant
    assert ("crowded_high", "high", row.key) == (details["rule"], details["severity"], details["key"])
    assert {} == faults


async def test_what_an_operator_does_is_told_to_the_feed(node, sink):
    start(node, sink)
    connect(node)
    await until(lambda: sink.kinds == [FIRED])
    [row] = await run_in_thread(list_active, ANN.rights)
    await run_in_thread(acknowledge, ANN, row.key)
    await until(lambda: sink.kinds == [FIRED, "acknowledged"])
    await until(lambda: "alert.acknowledged" == events(node)[-1][0])
    assert "ann" == events(node)[-1][2]["by"]


async def test_an_event_does_not_wait_for_the_tick(node, sink, monkeypatch):
    monkeypatch.setattr(node_module, "CADENCE", 60.0)
    rule = {"look": "count", "of": "hub_events_total", "where": "kind=handler.error", "by": ["tenant"], "window": 60}
    part = start(node, sink, **rule)
    await until(lambda: part.duty.engine is not None)
    await asyncio.sleep(0.3)
    began = node.clock.monotonic()
    node.publish(Event(kind="handler.error", at=node.clock.wall(), tenant="acme", consumer="chat"))
    await until(lambda: sink.kinds == [FIRED])
    assert node.clock.monotonic() - began < 10


async def test_events_about_alerts_are_none_for_rules(node, sink):
    rule = {"look": "count", "of": "hub_events_total", "by": ["kind"], "window": 60, "summary": "{kind}: {value}"}
    part = start(node, sink, **rule)
    await until(lambda: part.duty.engine is not None)
    await asyncio.sleep(0.3)
    node.publish(Event(kind="handler.error", at=node.clock.wall(), tenant="acme", consumer="chat"))
    await until(lambda: sink.kinds == [FIRED])
    await asyncio.sleep(1.0)
    found = await run_in_thread(lambda: [record.labels["kind"] for record in AlertRecord.objects.all()])
    assert ["handler.error"] == found


# --- who holds the lease ------------------------------------------------------------------------------------------


async def test_a_process_that_waits_reads_nothing_and_tells_nobody(node, sink):
    assert await run_in_thread(Store("other").acquire, node.clock.wall() + 3600) is not None
    part = start(node, sink)
    connect(node)
    await asyncio.sleep(1.0)
    assert (None, [], 0) == (part.duty.engine, sink.calls, len(part._ticks))


async def test_a_process_that_stops_leaves_the_lease_to_others(node, sink):
    part = start(node, sink)
    await until(lambda: part.duty.engine is not None)
    await node.stop()
    await asyncio.to_thread(part._thread._pool.shutdown)
    found = await run_in_thread(Evaluator.objects.get)
    assert 0 == found.until.timestamp()


# --- harmless -----------------------------------------------------------------------------------------------------


async def test_without_the_tables_it_is_a_fault_and_begins_once_they_are_there(node, sink, faults, monkeypatch):
    monkeypatch.setattr(module, "RETRY_INTERVAL", 0.05)

    def execute(statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    await run_in_thread(execute, "ALTER TABLE hub_evaluator RENAME TO hidden")
    part = start(node, sink)
    connect(node)
    await until(lambda: faults["alerting"] >= 1)
    await run_in_thread(execute, "ALTER TABLE hidden RENAME TO hub_evaluator")
    await until(lambda: sink.kinds == [FIRED])
    assert {"alerting"} == set(faults)
    assert part.duty.engine is not None


async def test_switched_off_there_is_nothing():
    shared = Instruments(Config(alerts=False))
    node = Node(shared, MemoryBus(shared.clock.monotonic, 10, 10.0))
    attach_fleet(node)
    before = threading.active_count()
    attach(node)
    assert (True, before) == (AlertService not in node._parts, threading.active_count())


async def test_a_receiver_that_hangs_holds_up_nobody_else(node, sink):
    released = threading.Event()

    def hang(message: object) -> Exception | None:
        released.wait(30)
        return DeliveryError("hung")

    part = start(node, Sink("hanging", trouble=hang), sink)
    connect(node)
    try:
        await until(lambda: sink.kinds == [FIRED])
        # It is written down a moment after it has arrived.
        await until(lambda: not part.outbox._lanes["ops"].busy)
        states = await run_in_thread(lambda: dict(Delivery.objects.values_list("receiver", "state")))
        assert {"hanging": "waiting", "ops": "delivered"} == states
    finally:
        released.set()


async def test_a_view_that_stands_still_is_not_known(node, sink, monkeypatch):
    part = start(node, sink)
    await until(lambda: part.duty.engine is not None)
    connect(node)
    await until(lambda: sink.kinds == [FIRED])
    await node.stop()
    await asyncio.to_thread(part._thread._pool.shutdown)
    part._on_duty = True
    await part.tick(node.clock.wall())
    await part.tick(node.clock.wall())
    assert [None] == [samples for samples, _ in part._ticks][1:]


async def test_what_is_urgent_waits_for_more_of_its_kind_and_no_longer(node, sink, monkeypatch):
    monkeypatch.setattr(node_module, "CADENCE", 60.0)
    rests: list[float] = []
    part = start(node, sink, look="count", of="hub_events_total", by=["tenant"], window=60)
    rest = part.duty.rest

    def noted(now: float) -> float:
        rests.append(rest(now))
        return rests[-1]

    monkeypatch.setattr(part.duty, "rest", noted)
    await until(lambda: part._on_duty)
    node.publish(Event(kind="handler.error", at=node.clock.wall(), tenant="acme", consumer="chat"))
    await until(lambda: sink.kinds == [FIRED])
    waits = [seconds for seconds in rests if seconds not in (duty.REST, duty.REST_WHILE_FIRING)]
    assert waits
    assert max(waits) <= PACE.wait


async def test_the_database_gets_a_new_connection_after_a_fault(node, sink, faults, monkeypatch):
    part = start(node, sink)
    await until(lambda: part.duty.engine is not None)
    closed: list[float] = []
    close_all = connections.close_all

    def closing() -> None:
        closed.append(node.clock.monotonic())
        close_all()

    monkeypatch.setattr(connections, "close_all", closing)
    monkeypatch.setattr(part.duty, "flush", lambda now: 1 / 0)
    await until(lambda: faults["alerting"] >= 2 and closed)
