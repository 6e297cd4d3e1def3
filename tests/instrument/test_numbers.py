"""Frames that clients number: what is out of line is counted where the connection counts, and nothing else happens."""

from __future__ import annotations

import json
from typing import Any

import pytest
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer, JsonWebsocketConsumer

from hub import MonitoredConsumerMixin
from hub.core.errors import ConfigurationError
from hub.instrument.numbers import MAX_NUMBER
from tests.instrument.conftest import only_row
from tests.instrument.peer import Peer


class Orders(MonitoredConsumerMixin, AsyncJsonWebsocketConsumer):
    hub_frame_number = "seq"

    async def receive_json(self, content, **kwargs):
        await self.send_json(content)


class UnloopedOrders(Orders):
    hub_inbox = False


class BlockingOrders(MonitoredConsumerMixin, JsonWebsocketConsumer):
    hub_frame_number = "seq"

    def receive_json(self, content, **kwargs):
        self.send_json(content)


class Telemetry(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    def get_hub_frame_number(self, message):
        text = message["text"]
        message.clear()  # a copy: the consumer's own stays what it is
        return json.loads(text).get("seq")

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data)


class UnloopedTelemetry(Telemetry):
    hub_inbox = False


EVERY = pytest.mark.parametrize("consumer", [Orders, UnloopedOrders, BlockingOrders, Telemetry, UnloopedTelemetry])


async def say(peer: Peer, *numbers: Any) -> None:
    for number in numbers:
        text = json.dumps({"seq": number})
        assert json.loads(await peer.ask(text)) == {"seq": number}


@EVERY
async def test_what_is_out_of_line_is_counted_by_kind(shared, consumer):
    peer = Peer(consumer.as_asgi())
    await peer.connect()
    await say(peer, 7, 8, 11, 9, 9, 12)
    assert only_row(shared).misnumbered == {"gap": 2, "reordered": 1, "double": 1}
    await peer.disconnect()


@EVERY
async def test_what_is_no_number_stands_in_no_line(shared, consumer, faults):
    peer = Peer(consumer.as_asgi())
    await peer.connect()
    await say(peer, 1, None, "2", 2.0, True, MAX_NUMBER + 1, -MAX_NUMBER - 1, [3], 2)
    assert only_row(shared).misnumbered == {}
    assert not faults
    await peer.disconnect()


@EVERY
async def test_each_connection_has_a_line_of_its_own(shared, consumer):
    for first in (1, 100, 50):
        peer = Peer(consumer.as_asgi())
        await peer.connect()
        await say(peer, first, first + 1)
        await peer.disconnect()
    assert only_row(shared).misnumbered == {}


async def test_nothing_stays_on_the_consumer(shared):
    peer = Peer(BlockingOrders.as_asgi())
    await peer.connect()
    consumer = BlockingOrders()
    await peer.disconnect()
    assert "receive_json" not in vars(consumer)


async def test_a_rule_that_raises_harms_nobody(shared, faults):
    class Broken(Telemetry):
        def get_hub_frame_number(self, message):
            raise KeyError("seq")

    peer = Peer(Broken.as_asgi())
    await peer.connect()
    await say(peer, 1, 5)
    assert only_row(shared).misnumbered == {}
    assert faults == {"get_hub_frame_number": 2}
    await peer.disconnect()


async def test_content_that_is_no_object_has_no_number(shared, faults):
    peer = Peer(Orders.as_asgi())
    await peer.connect()
    assert await peer.ask("[1]") == "[1]"
    assert (only_row(shared).misnumbered, dict(faults)) == ({}, {})
    await peer.disconnect()


@pytest.mark.parametrize("consumer", [AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer])
async def test_who_says_nothing_of_it_pays_nothing_for_it(consumer, monkeypatch):
    def made(*_: object) -> None:
        raise AssertionError("nobody numbers anything here")

    monkeypatch.setattr("hub.instrument.mixin.Numbers", made)
    silent: Any = type("Silent", (MonitoredConsumerMixin, consumer), {})
    peer = Peer(silent.as_asgi())
    await peer.connect()
    await peer.disconnect()


@pytest.mark.parametrize(
    ("base", "field", "said"),
    [
        (AsyncJsonWebsocketConsumer, "", "is ''; give the name of a field, or None"),
        (AsyncJsonWebsocketConsumer, 7, "is 7; give the name of a field, or None"),
        (AsyncWebsocketConsumer, "seq", "no receive_json; write get_hub_frame_number"),
    ],
)
def test_a_class_that_can_have_no_numbers_is_refused(base, field, said):
    with pytest.raises(ConfigurationError, match=said):
        type("Wrong", (MonitoredConsumerMixin, base), {"hub_frame_number": field})
