"""Rooms whose members count what reaches them, as somebody who trusts nobody would."""

import asyncio
from collections import Counter
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer

from hub import MonitoredConsumerMixin

#: Group messages handled, by consumer and tenant.
handled: Counter[str] = Counter()
#: What hanging handlers wait for.
released = asyncio.Event()


def tenant_of(scope: Any) -> str:
    return str(scope["path"].split("/")[1])


class Member(AsyncJsonWebsocketConsumer):
    """Joins the group of its tenant; a client may make it hang, or fail."""

    async def connect(self) -> None:
        self.group = tenant_of(self.scope)
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def receive_json(self, content: Any, **_: Any) -> None:
        if content["type"] == "hang":
            await self.send_json({"type": "hanging"})
            await released.wait()
        if content["type"] == "fail":
            raise ValueError("as asked")

    async def room_message(self, message: dict[str, Any]) -> None:
        assert set(message) == {"type", "number"}, "something was added to the message"
        handled[f"{type(self).__name__}/{self.group}"] += 1

    async def disconnect(self, _: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)


class Room(MonitoredConsumerMixin, Member):
    """With the mixin, in the hub's inbox."""


class Wrapped(MonitoredConsumerMixin, Member):
    """With the mixin, in Channels' own loop."""

    hub_inbox = False


class Plain(Member):
    """Without the mixin."""
