from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from hub import __version__
from hub.bus.base import Entry, Payload
from hub.bus.memory import MemoryBus
from hub.conf import Config
from hub.core.events import Event
from hub.core.snapshot import NodeSnapshot
from hub.instrument import state
from hub.instrument.state import Instruments
from hub.node import node as module
from hub.node.node import LEASE, Node, current_node, ensure_node, on_new_node
from tests.handclock import HandClock
from tests.support.until import until


@pytest.fixture(autouse=True)
def faults(monkeypatch) -> Counter[str]:
    fresh: Counter[str] = Counter()
    monkeypatch.setattr("hub.faults.FAULTS", fresh)
    return fresh


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def bus(clock) -> MemoryBus:
    return MemoryBus(clock.monotonic, 100, 60.0)


@pytest.fixture
async def node(clock, bus):
    made = Node(Instruments(Config(events_per_second=2), clock), bus)
    yield made
    await made.stop()


async def sent(node: Node, events: int) -> list[Payload]:
    """What is on the bus once so many events are."""
    await until(lambda: node.events_sent >= events)
    return [entry.payload for entry in await node.bus.read(0)]


# --- numbers ------------------------------------------------------------------------------------------------------


async def test_a_tick_publishes_an_absolute_snapshot(node, bus, clock):
    connection = node.instruments.ledger.open("chat", clock.monotonic(), lambda: "north")
    node.instruments.ledger.accept(connection, clock.monotonic())
    for _ in range(2):
        await node.tick()
        [packed] = await bus.snapshots()
        snapshot = NodeSnapshot.unpack(packed)
        assert (node.name, node.boot, __version__, clock.wall()) == (
            snapshot.node,
            snapshot.boot,
            snapshot.version,
            snapshot.at,
        )
        assert snapshot.counts()["chat", "north"].accepted == 1


async def test_a_snapshot_outlives_the_node_by_its_lease_only(node, bus, clock):
    await node.tick()
    clock.advance(LEASE - 0.5)
    assert len(await bus.snapshots()) == 1
    clock.advance(1)
    assert await bus.snapshots() == []


async def test_each_start_of_a_process_is_another_boot(clock, bus):
    boots = {Node(Instruments(Config(), clock), bus).boot for _ in range(10)}
    assert len(boots) == 10


async def test_what_was_held_back_comes_out_as_a_summary_with_the_tick(node, clock):
    node.start()
    connection = node.instruments.ledger.open("chat", clock.monotonic(), lambda: "north")
    for _ in range(7):
        node.instruments.emit("connection.opened", connection)
    payloads = await sent(node, 4)
    opened = [payload for payload in payloads if payload["kind"] == "connection.opened"]
    assert [1, 1, 5] == [payload["count"] for payload in opened]


# --- parts --------------------------------------------------------------------------------------------------------


class Part:
    """Something of a room above."""


async def test_parts_are_found_by_their_type_and_called_on_each_tick(node, clock):
    part, ticks = Part(), []

    async def tick(now: float) -> None:
        ticks.append(now)

    node.add(part, tick)
    await node.tick()
    clock.advance(1)
    await node.tick()
    assert (part, [clock.wall() - 1, clock.wall()]) == (node.part(Part), ticks)


async def test_a_part_that_fails_does_not_stop_the_node(node, faults, monkeypatch):
    monkeypatch.setattr(module, "CADENCE", 0.01)
    ticks = []

    async def tick(now: float) -> None:
        ticks.append(now)
        raise LookupError

    node.add(Part(), tick)
    node.start()
    await until(lambda: len(ticks) >= 3)
    assert faults["node tick"] >= 2


async def test_a_task_that_fails_is_counted_and_not_raised(node, faults):
    async def fail() -> None:
        raise LookupError

    node.keep(fail, "a task")
    await until(lambda: faults["a task"] == 1)


# --- events -------------------------------------------------------------------------------------------------------


async def test_the_start_is_an_event(node):
    node.start()
    [started] = await sent(node, 1)
    assert ("node.started", "info", node.name, __version__) == (
        started["kind"], started["severity"], started["node"], started["details"]["version"],
    )  # fmt: skip


async def test_events_of_the_instruments_go_out_at_once_and_in_order(node):
    node.start()
    for number in range(50):
        node.instruments.publish(Event(kind="handler.error", at=1.0, connection=str(number)))
    payloads = await sent(node, 51)
    assert [str(number) for number in range(50)] == [payload["connection"] for payload in payloads[1:]]


async def test_events_may_come_from_any_thread(node):
    node.start()
    await sent(node, 1)
    threads = [
        threading.Thread(target=lambda: [node.publish(Event(kind="handler.error", at=1.0)) for _ in range(20)])
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert len(await sent(node, 61)) == 61
    for thread in threads:
        thread.join()


async def test_events_wait_bounded_for_a_bus_that_hangs(node, faults):
    for number in range(module.MAX_PENDING_EVENTS + 5):
        node.publish(Event(kind="handler.error", at=1.0, connection=str(number)))
    assert (module.MAX_PENDING_EVENTS, "5") == (len(node._pending), node._pending[0].connection)
    assert faults["event queue"] == 5


class FlakyBus(MemoryBus):
    """A bus that fails once."""

    failures = 1

    async def append(self, payload: Payload) -> Entry:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the bus is away")
        return await super().append(payload)


async def test_events_go_on_after_the_bus_failed(clock, faults):
    node = Node(Instruments(Config(), clock), FlakyBus(clock.monotonic, 100, 60.0))
    node.start()
    try:
        await until(lambda: faults["events"] == 1)
        node.publish(Event(kind="handler.error", at=1.0))
        await until(lambda: node.events_sent >= 1, seconds=2)
    finally:
        await node.stop()


# --- life ---------------------------------------------------------------------------------------------------------


async def test_a_node_may_stop_before_it_has_begun(clock, bus):
    began = []

    async def work() -> None:
        began.append(True)

    node = Node(Instruments(Config(), clock), bus)
    node.keep(work, "work")
    await node.stop()
    assert began == []


async def test_a_node_that_stops_withdraws_and_leaves_nothing_running(clock, bus):
    before = asyncio.all_tasks()
    node = Node(Instruments(Config(), clock), bus)
    node.start()
    await until(lambda: node.events_sent == 1 and node.loop_lag is not None)
    assert await bus.snapshots() != []
    await node.stop()
    assert ([], [], before) == (await bus.snapshots(), node.instruments.listeners, asyncio.all_tasks())
    await node.stop()


async def test_the_lag_of_the_loop_is_measured(node, monkeypatch):
    monkeypatch.setattr(module, "CADENCE", 0.01)
    assert node.loop_lag is None
    node.start()
    await until(lambda: node.loop_lag is not None)
    assert 0 <= node.loop_lag < 5


@pytest.fixture
def process(monkeypatch, clock):
    """A process of this test's own, without a node so far."""
    monkeypatch.setattr(module, "_current", [])
    monkeypatch.setattr(module, "_builders", [])
    state.reset(Instruments(Config(event_retention=7), clock))
    yield state.instruments()
    state.reset()


async def test_the_first_call_starts_one_node_and_the_others_none(process):
    built: list[Node] = []
    on_new_node(built.append)
    on_new_node(built.append)
    assert current_node() is None
    for _ in range(3):
        ensure_node()
    node = current_node()
    assert node is not None
    assert ([node], 1) == (built, len(process.listeners))
    assert isinstance(node.bus, MemoryBus)
    assert node.bus._max_events == 7
    await until(lambda: node.events_sent == 1)
    await node.stop()


def test_a_node_whose_loop_is_gone_makes_room_for_another(process):
    async def start() -> Node:
        ensure_node()
        node = current_node()
        assert node is not None
        await until(lambda: node.events_sent == 1)
        return node

    first = asyncio.run(start())
    assert current_node() is None
    # An event in between reaches nobody and harms nobody.
    process.publish(Event(kind="handler.error", at=1.0))
    second = asyncio.run(start())
    assert first is not second
    assert [second.publish] == process.listeners


async def test_another_loop_in_another_thread_shares_the_node(process):
    ensure_node()
    node = current_node()

    async def elsewhere() -> Node | None:
        ensure_node()
        return current_node()

    assert node is not None
    assert await asyncio.to_thread(asyncio.run, elsewhere()) is node
    await until(lambda: node.events_sent == 1)
    await node.stop()


async def test_what_parts_hold_on_to_is_let_go_of_once(clock, bus):
    node = Node(Instruments(Config(), clock), bus)
    ended: list[str] = []
    node.at_end(lambda: ended.append("first"))
    node.at_end(lambda: ended.append("second"))
    node.start()
    await node.stop()
    await node.stop()
    assert ["second", "first"] == ended


def test_a_node_whose_loop_is_gone_lets_go_too(process):
    ended: list[Node] = []
    on_new_node(lambda node: node.at_end(lambda: ended.append(node)))

    async def start() -> Node:
        ensure_node()
        node = current_node()
        assert node is not None
        await until(lambda: node.events_sent == 1)
        return node

    first = asyncio.run(start())
    assert ended == []
    asyncio.run(start())
    assert [first] == ended
