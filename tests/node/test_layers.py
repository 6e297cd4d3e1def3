"""A node looks after its channel layers: depth once a second, what they lost at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from threading import Thread
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels.layers import InMemoryChannelLayer as BareLayer
from channels.layers import channel_layers

from hub.bus.memory import MemoryBus
from hub.conf import Config
from hub.core.events import Event
from hub.core.snapshot import DropRow, LayerRow, NodeSnapshot
from hub.instrument import state
from hub.instrument.layers.losses import CONNECTION, losses
from hub.instrument.state import Instruments
from hub.layers import InMemoryChannelLayer, RedisChannelLayer
from hub.node import layers as node_layers
from hub.node.layers import LayerWatch, attach
from hub.node.node import Node
from tests.support.until import until


@pytest.fixture
def shared() -> Iterator[Instruments]:
    fresh = Instruments(Config())
    state.reset(fresh)
    yield fresh
    state.reset()


@pytest.fixture
def events(shared: Instruments) -> list[Event]:
    sent: list[Event] = []
    shared.listeners.append(sent.append)
    return sent


@pytest.fixture
async def node(shared: Instruments, monkeypatch) -> AsyncIterator[Node]:
    monkeypatch.setattr(node_layers, "CADENCE", 0.05)
    monkeypatch.setattr(channel_layers, "backends", {})
    made = Node(shared, MemoryBus(shared.clock.monotonic, 10, 10.0))
    attach(made)
    await asyncio.sleep(0)
    yield made
    await made.stop()


async def joined(shared: Instruments, layer: Any) -> str:
    connection = shared.ledger.open("chat", shared.clock.monotonic(), lambda: "acme")
    shared.ledger.accept(connection, shared.clock.monotonic())
    token = CONNECTION.set(connection)
    channel: str = await layer.new_channel()
    CONNECTION.reset(token)
    return channel


async def test_a_layer_that_fills_is_told_once_with_whose_queue_it_is(node, shared, events):
    layer = channel_layers.backends["default"] = InMemoryChannelLayer(capacity=10)
    channel = await joined(shared, layer)
    for _ in range(7):
        await layer.send(channel, {"type": "x"})
    watch = node.part(LayerWatch)
    await until(lambda: watch.depths.get("default") and watch.depths["default"].messages == 7)
    assert [] == events
    await layer.send(channel, {"type": "x"})
    await until(lambda: events)
    await asyncio.sleep(0.2)
    [event] = events
    assert ("layer.filling", "chat", "acme", "1") == (event.kind, event.consumer, event.tenant, event.connection)
    assert {"layer": "default", "fullest": 0.8, "capacity": 10, "messages": 8, "channel": channel} == event.details
    for _ in range(3):
        await layer.receive(channel)
    await until(lambda: watch.depths["default"].fullest == 0.5)
    for _ in range(4):
        await layer.send(channel, {"type": "x"})
    await until(lambda: len(events) == 2)


async def test_losses_of_a_moment_are_told_as_one_event(node, shared, events):
    layer = channel_layers.backends["default"] = InMemoryChannelLayer(capacity=1)
    channels = [await joined(shared, layer) for _ in range(20)]
    for channel in channels:
        await layer.group_add("room", channel)
    for _ in range(5):
        await layer.group_send("room", {"type": "x"})
    await until(lambda: any(event.kind == "frames.dropped" for event in events))
    told = [event for event in events if event.kind == "frames.dropped"]
    assert 80 == sum(event.details["messages"] for event in told)
    assert {"over_capacity"} == {event.details["reason"] for event in told}


async def test_losses_in_another_thread_are_told_by_the_node_s_loop(node, shared, events):
    layer = channel_layers.backends["default"] = InMemoryChannelLayer(capacity=1)
    channel = await joined(shared, layer)

    def send_twice() -> None:
        for _ in range(2):
            try:
                async_to_sync(layer.send)(channel, {"type": "x"})
            except ChannelFull:
                continue

    thread = Thread(target=send_twice)
    thread.start()
    await asyncio.to_thread(thread.join)
    await until(lambda: any(event.kind == "frames.dropped" for event in events))
    assert {"channel_full": 1} == next(row.lost for row in shared.ledger if row.consumer == "chat")


async def test_many_losses_are_few_events_and_a_summary(node, shared, events):
    known = losses()
    for number in range(200):
        known.record("expired", "", group=f"room{number}")
    await until(lambda: len(events) >= shared.config.events_per_second)
    await asyncio.sleep(0.1)
    assert shared.config.events_per_second == len(events)
    [summary] = shared.limiter.summaries(0.0)
    assert 200 - shared.config.events_per_second == summary.count


async def test_a_redis_that_is_away_makes_the_depth_unknown_and_no_fault(node, shared, redis_server, monkeypatch):
    watch = node.part(LayerWatch)
    layer = channel_layers.backends["default"] = RedisChannelLayer(hosts=[redis_server.url])
    faults: list[Any] = []
    monkeypatch.setattr("hub.node.layers.record_fault", lambda *fault: faults.append(fault))
    await until(lambda: "default" in watch.depths)
    assert ["default", "RedisChannelLayer", 0, 0.0, 100, 0.0, "", "", "", 0] == watch.layers()[0]
    redis_server.stop()
    await until(lambda: "default" not in watch.depths, 15.0)
    assert ["default", "RedisChannelLayer", None, None, None, None, "", "", "", 0] == watch.layers()[0]
    redis_server.start()
    await until(lambda: "default" in watch.depths, 15.0)
    # It had no disk: what was in it nobody knows.
    assert {"default": 1} == losses().gaps
    assert [1] == [LayerRow(*row).gaps for row in watch.layers()]
    assert [("unknown", None, "default")] == [
        (row.reason, row.messages, row.layer) for row in (DropRow(*packed) for packed in watch.drops())
    ]
    assert [] == faults
    await layer.close_pools()


async def test_a_layer_that_is_not_instrumented_is_left_alone(node):
    channel_layers.backends["default"] = BareLayer()
    await asyncio.sleep(0.2)
    assert {} == node.part(LayerWatch).depths


async def test_the_snapshot_says_how_full_the_layers_are_and_what_was_lost(node, shared):
    layer = channel_layers.backends["default"] = InMemoryChannelLayer(capacity=4)
    channel = await joined(shared, layer)
    await layer.group_add("room", channel)
    for _ in range(6):
        await layer.group_send("room", {"type": "x"})
    await until(lambda: node.list_drops() and node.part(LayerWatch).depths.get("default"))
    travelled = NodeSnapshot.unpack((await node.snapshot()).pack())
    [row], [drop] = [LayerRow(*packed) for packed in travelled.layers], [DropRow(*packed) for packed in travelled.drops]
    assert ("default", "InMemoryChannelLayer", 4, 4, 1.0) == (
        row.alias, row.backend, row.depth, row.capacity, row.fullest,
    )  # fmt: skip
    assert (channel, "chat", "acme", 0) == (row.channel, row.consumer, row.tenant, row.gaps)
    assert row.oldest is not None
    assert ("over_capacity", "chat", "acme", "room", 2) == (*drop[:4], drop.messages)
    assert (channel, 1, "1", 1) == (drop.channel, drop.channels, drop.connection, drop.connections)


async def test_an_empty_layer_has_nobody_who_waits(node):
    channel_layers.backends["default"] = InMemoryChannelLayer()
    watch = node.part(LayerWatch)
    await until(lambda: watch.depths.get("default"))
    assert ["default", "InMemoryChannelLayer", 0, 0.0, 100, 0.0, "", "", "", 0] == watch.layers()[0]


async def test_a_node_without_layers_says_nothing_of_them(node):
    assert ([], []) == ((await node.snapshot()).layers, (await node.snapshot()).drops)
