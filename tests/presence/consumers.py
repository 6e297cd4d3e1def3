"""
Consumers of a host with presence: asynchronous, synchronous, JSON or not, in the inbox or in Channels' own loop.

Their URL says who comes: ``<tenant>/<consumer>/<member>/``. Their clients ask for things by a JSON object with a type.
"""

import asyncio
import json
import time
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer, JsonWebsocketConsumer
from django.dispatch import receiver

from hub import MonitoredConsumerMixin, presence

#: Everything the signals told: tenant, event, member, group.
told: list[tuple[str, str, str, str | None]] = []


@receiver(presence.member_joined)
def on_joined(sender: Any, member: Any, group: str | None = None, **_: Any) -> None:
    told.append((member.tenant, "joined", member.member, group))


@receiver(presence.member_left)
async def on_left(sender: Any, member: Any, group: str | None = None, **_: Any) -> None:
    told.append((member.tenant, "left", member.member, group))


@receiver(presence.member_joined)
def clumsy(sender: Any, **_: Any) -> None:
    raise RuntimeError("a fault of the host's own, in a receiver")


class Visit:
    """Who comes, as the URL says; the hub's hooks of all consumers here."""

    scope: Any
    hub_presence_message: str | None = "presence.changed"

    @property
    def who(self) -> dict[str, str]:
        kwargs: dict[str, str] = self.scope["url_route"]["kwargs"]
        return kwargs

    def get_hub_tenant(self) -> str:
        return self.who["tenant"]

    def get_hub_member(self) -> str:
        return self.who["member"]

    def get_hub_member_name(self) -> str:
        return self.who["member"].title()

    def get_hub_presence_groups(self) -> list[str]:
        return [f"{self.who['tenant']}.lobby"]


class Room(Visit, MonitoredConsumerMixin, AsyncJsonWebsocketConsumer):
    hub_consumer = "room"
    hub_message_types = ("sleep", "enter", "leave", "quit")

    async def connect(self) -> None:
        await self.channel_layer.group_add(f"{self.who['tenant']}.lobby", self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(f"{self.who['tenant']}.lobby", self.channel_name)

    async def receive_json(self, content: Any, **_: Any) -> None:
        match content["type"]:
            case "sleep":
                await asyncio.sleep(content["seconds"])
            case "enter":
                presence.enter(self, content["group"])
            case "leave":
                presence.leave(self, content["group"])
            case "quit":
                await self.close(4000)
                return
        await self.send_json(content)

    async def presence_changed(self, event: dict[str, Any]) -> None:
        await self.send_json(event)


class WrappedRoom(Room):
    """The same in Channels' own loop."""

    hub_consumer = "wrapped"
    hub_inbox = False
    hub_sweep = False


class Desk(Visit, MonitoredConsumerMixin, JsonWebsocketConsumer):
    """The same, synchronous; it is in no group of the channel layer."""

    hub_consumer = "desk"

    def receive_json(self, content: Any, **_: Any) -> None:
        if content["type"] == "sleep":
            time.sleep(content["seconds"])
        self.send_json(content)

    def presence_changed(self, event: dict[str, Any]) -> None:
        self.send_json(event)


class Wire(Visit, MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """Sends back what it gets."""

    hub_consumer = "wire"

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data is not None and text_data.startswith('{"type":"sleep"'):
            await asyncio.sleep(json.loads(text_data)["seconds"])
        await self.send(text_data=text_data, bytes_data=bytes_data)

    async def presence_changed(self, event: dict[str, Any]) -> None:
        """It is in no group."""


class Quiet(Wire):
    """A consumer whose connections make nobody a member."""

    hub_consumer = "quiet"
    hub_presence = False


CONSUMERS: dict[str, Any] = {"room": Room, "wrapped": WrappedRoom, "desk": Desk, "wire": Wire, "quiet": Quiet}
