"""Consumers of a host that are slow when they are told to, each in its own way; what is to be found is marked."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer

from hub import MonitoredConsumerMixin


async def look_up(seconds: float) -> None:
    await asyncio.sleep(seconds)  # waits here


def reckon(seconds: float) -> None:
    time.sleep(seconds)  # holds the shared thread here


class Slow(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """Does as it is told: ``<what> <seconds>``; answers when it is done."""

    hub_consumer = "slow"

    def get_hub_tenant(self) -> str:
        return str(self.scope["url_route"]["kwargs"]["tenant"])

    async def receive(self, text_data: str = "", bytes_data: Any = None) -> None:
        what, _, seconds = text_data.partition(" ")
        await getattr(self, what)(float(seconds or 0))
        await self.send(text_data=text_data)

    async def echo(self, seconds: float) -> None:
        """Healthy."""

    async def wait(self, seconds: float) -> None:
        await look_up(seconds)

    async def block(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - blocks the loop here

    async def thread(self, seconds: float) -> None:
        await sync_to_async(reckon)(seconds)

    async def flood(self, seconds: float) -> None:
        """Send more than any buffer takes, for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self.send(text_data="x" * 65_536)
            await asyncio.sleep(0.01)

    async def publish(self, messages: float) -> None:
        """Give the tenant's group so many small steps to take."""
        for _ in range(int(messages)):
            await self.channel_layer.group_send(self.get_hub_tenant(), {"type": "room.step", "seconds": 0.2})

    async def stream(self, frames_per_second: float) -> None:
        """From now on, send small frames beside the handler."""
        self.start_streaming(frames_per_second, 100)

    async def pour(self, frames_per_second: float) -> None:
        """The same with frames that fill any buffer."""
        self.start_streaming(frames_per_second, 262_144)

    def start_streaming(self, frames_per_second: float, size: int) -> None:
        async def streaming() -> None:
            while True:
                await self.send(text_data="x" * size)
                await asyncio.sleep(1 / frames_per_second)

        self.streaming = asyncio.create_task(streaming())

    async def disconnect(self, code: int) -> None:
        if hasattr(self, "streaming"):
            self.streaming.cancel()
            await asyncio.gather(self.streaming, return_exceptions=True)


class Impatient(Slow):
    hub_consumer = "impatient"
    hub_slow_threshold_ms = 200


class Patient(Slow):
    hub_consumer = "patient"
    hub_slow_threshold_ms = 60_000


class Wrapped(Slow):
    """In Channels' own loop."""

    hub_consumer = "wrapped"
    hub_inbox = False
    hub_sweep = False


class Strict(Slow):
    hub_consumer = "strict"
    hub_close_slow_client_after = 1.0


class Twin(Slow):
    """Healthy all the time."""

    hub_consumer = "twin"


class Room(Slow):
    """A member of its tenant's group, with a step to take for each message of the group."""

    hub_consumer = "room"

    async def connect(self) -> None:
        await self.channel_layer.group_add(self.get_hub_tenant(), self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.get_hub_tenant(), self.channel_name)
        await super().disconnect(code)

    async def room_step(self, message: dict[str, Any]) -> None:
        await look_up(message["seconds"])


class WrappedRoom(Room):
    """In Channels' own loop."""

    hub_consumer = "wrapped_room"
    hub_inbox = False
    hub_sweep = False


class RoomTwin(Room):
    """Healthy all the time, in the same group."""

    hub_consumer = "room_twin"

    async def room_step(self, message: dict[str, Any]) -> None:
        """Done."""


class SyncSlow(MonitoredConsumerMixin, WebsocketConsumer):
    """As `Slow`, in the thread that all sync code shares."""

    hub_consumer = "sync_slow"

    def receive(self, text_data: str = "", bytes_data: Any = None) -> None:
        what, _, seconds = text_data.partition(" ")
        if what == "work":
            time.sleep(float(seconds))  # works here
        self.send(text_data=text_data)


class SyncTwin(SyncSlow):
    hub_consumer = "sync_twin"
