from __future__ import annotations

from hub.bus.memory import MemoryBus
from hub.conf import Config
from hub.fleet.service import attach
from hub.fleet.view import ALL, FleetView
from hub.instrument.state import Instruments
from hub.node.node import Node
from tests.handclock import HandClock


async def make_node(bus: MemoryBus, clock: HandClock) -> Node:
    node = Node(Instruments(Config(history_bytes=1 << 20), clock), bus)
    attach(node)
    return node


async def test_the_view_of_a_node_follows_each_of_its_ticks():
    clock = HandClock()
    node = await make_node(MemoryBus(clock.monotonic, 10, 60.0), clock)
    view = node.part(FleetView)
    connection = node.instruments.ledger.open("chat", clock.monotonic(), lambda: "north")
    for expected in (0, 1):
        await node.tick()
        assert expected == view.totals[ALL].counts.active
        node.instruments.ledger.accept(connection, clock.monotonic())
        clock.advance(1)
    assert (2, {node.name}, clock.wall() - 1) == (view.version, set(view.nodes), view.at)


async def test_the_view_sees_other_nodes_on_the_bus_and_forgets_them_when_their_lease_ends():
    clock = HandClock()
    bus = MemoryBus(clock.monotonic, 10, 60.0)
    here, there = await make_node(bus, clock), await make_node(bus, clock)
    there.name, there.boot = "elsewhere:1", "another"
    await there.tick()
    await here.tick()
    assert {here.name, there.name} == set(here.part(FleetView).nodes)
    clock.advance(60)
    await here.tick()
    assert {here.name} == set(here.part(FleetView).nodes)


async def test_the_history_keeps_to_its_setting():
    node = await make_node(MemoryBus(HandClock().monotonic, 10, 60.0), HandClock())
    assert node.part(FleetView).history.max_bytes == 1 << 20
