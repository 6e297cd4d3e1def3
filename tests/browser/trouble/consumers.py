"""A room whose members can be made to hang, so that what is sent to them is lost."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from hub import MonitoredConsumerMixin

#: What hanging handlers wait for, by tenant.
released: dict[str, asyncio.Event] = {}


class Room(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """
    One for each tenant.

    A client may say ``hang``, ``release``, or ``publish 120``, which leaves the group and sends so many to it.
    """

    hub_consumer = "tests.Room"

    def get_hub_tenant(self) -> str:
        return str(self.scope["url_route"]["kwargs"]["tenant"])

    async def connect(self) -> None:
        self.tenant = self.get_hub_tenant()
        self.group = f"room.of.{self.tenant}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def receive(self, text_data: str = "", bytes_data: Any = None) -> None:
        order, _, number = text_data.partition(" ")
        gate = released.setdefault(self.tenant, asyncio.Event())
        await self.send(text_data=order)
        if order == "hang":
            await gate.wait()
        elif order == "release":
            gate.set()
            del released[self.tenant]
        else:
            await self.channel_layer.group_discard(self.group, self.channel_name)
            for _ in range(int(number)):
                await self.channel_layer.group_send(self.group, {"type": "room.message"})
            await self.send(text_data="published")

    async def room_message(self, _: dict[str, Any]) -> None:
        """It has come."""

    async def disconnect(self, _: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)
