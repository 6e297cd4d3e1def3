"""Rooms whose members count what reaches them, as somebody who trusts nobody would."""

import asyncio
from collections import Counter
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer

from hub import MonitoredConsumerMixin

#: Group messages handled, by consumer and tenant; frames that the server has taken for clients, likewise.
handled: Counter[str] = Counter()
#: Those that are connected.
tickers: "set[Ticker]" = set()
#: What hanging handlers wait for.
released = asyncio.Event()


def tenant_of(scope: Any) -> str:
    return str(scope["path"].split("/")[1])


def cancel_this() -> None:
    """Cancel the task that runs a consumer, as a host's own time-out would."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


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
        if content["type"] == "cancel":
            cancel_this()
            await asyncio.sleep(0)

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


class Ticker(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """``<frames> <size> <end>``: sends so many frames of so many characters, then ends in that way, or goes on."""

    hub_consumer = "ticker"

    async def connect(self) -> None:
        await self.accept()
        tickers.add(self)

    async def disconnect(self, _: int) -> None:
        tickers.discard(self)

    async def receive(self, text_data: str = "", bytes_data: bytes | None = None) -> None:
        frames, size, end = text_data.split(" ")
        await self.tick(int(frames), int(size), end)

    async def tick(self, frames: int, size: int, end: str) -> None:
        for number in range(frames):
            await self.send(str(number).ljust(size))
            handled[f"ticker/{tenant_of(self.scope)}"] += 1
            if not number % 100:
                # Daphne's send never waits: let confirms in.
                await asyncio.sleep(0)
        if end == "close":
            await self.close(4001)
        if end == "fail":
            raise ValueError("as asked")
        if end == "cancel":
            cancel_this()
            await asyncio.sleep(0)


class WrappedTicker(Ticker):
    """In Channels' own loop."""

    hub_consumer = "ticker"
    hub_inbox = False
