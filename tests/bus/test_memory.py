from __future__ import annotations

import asyncio

from hub.bus.base import format_cursor, parse_cursor
from hub.bus.memory import MemoryBus
from tests.handclock import HandClock


def make_bus(**bounds: float) -> MemoryBus:
    return MemoryBus(HandClock().monotonic, int(bounds.get("max_events", 10)), bounds.get("max_age", 60.0))


def test_each_bus_is_a_log_of_its_own():
    assert len({make_bus().epoch for _ in range(20)}) == 20


def test_its_epoch_makes_a_cursor():
    bus = make_bus()
    assert parse_cursor(format_cursor(bus.epoch, 7), bus.epoch) == 7


async def test_memory_is_bounded_by_the_number_of_events():
    bus = make_bus(max_events=3)
    for _ in range(50):
        await bus.append({})
    assert len(bus._events) == 3


async def test_dead_nodes_leave_nothing_behind():
    clock = HandClock()
    bus = MemoryBus(clock.monotonic, 10, 60.0)
    for number in range(20):
        await bus.publish(f"node {number}", {}, 10.0)
    clock.advance(11)
    await bus.snapshots()
    assert {} == bus._snapshots


async def test_readers_and_writers_at_once_see_every_event_once_and_in_order():
    bus, last = make_bus(max_events=1000), 200

    async def follow() -> list[int]:
        seen: list[int] = []
        while len(seen) < last:
            await bus.wait(seen[-1] if seen else 0)
            seen += [entry.id for entry in await bus.read(seen[-1] if seen else 0, limit=7)]
        return seen

    readers = [asyncio.create_task(follow()) for _ in range(3)]
    await asyncio.gather(*(bus.append({}) for _ in range(last)))
    assert [list(range(1, last + 1))] * 3 == await asyncio.wait_for(asyncio.gather(*readers), 10)


async def test_closing_lets_go_of_everything():
    bus = make_bus()
    await bus.append({})
    await bus.publish("one", {}, 10.0)
    await bus.close()
    assert (0, {}) == (len(bus._events), bus._snapshots)
