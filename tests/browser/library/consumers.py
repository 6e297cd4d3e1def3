"""Consumers that tell what they see."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from hub import MonitoredConsumerMixin
from hub.instrument.observer import SCOPE_KEY

CHOICES: dict[str, tuple[str, ...]] = {"none": (), "one": ("chat.v1",), "several": ("chat.v2", "chat.v1")}
#: The connections that are open, with what the hub knows of each.
present: dict[str, Any] = {}


class Echo(AsyncWebsocketConsumer):
    """Greets with what it sees of its client's address, then sends back what it gets."""

    async def connect(self) -> None:
        known = CHOICES[self.scope["url_route"]["kwargs"]["offer"]]
        offered = list(self.scope["subprotocols"])
        await self.accept(next((name for name in known if name in offered), None))
        query = self.scope["query_string"].decode()
        await self.send(json.dumps({"path": self.scope["path"], "query": query, "offered": offered}))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data=text_data, bytes_data=bytes_data)


class MonitoredEcho(MonitoredConsumerMixin, Echo):
    pass


class ToldNotTo(MonitoredConsumerMixin, Echo):
    hub_control_frames = False


class Notes(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """
    Writes down what it is told, where it outlives the server, and at the end how many frames it has sent and how many
    of them were confirmed; ``/notes/<name>/``.

    ``close 4401`` closes with that code, ``sleep 5`` takes so many seconds, ``burst 100`` is answered with so many
    frames, one each 5 ms.
    """

    scope: Any

    @property
    def name(self) -> str:
        return str(self.scope["url_route"]["kwargs"]["name"])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        known = scope[SCOPE_KEY]
        try:
            await super().__call__(scope, receive, send)
        finally:
            # However it ends: who leaves while its frames are sent is noticed in the middle of a handler.
            if known.control is not None:
                self.note(f"{known.control.frames_sent} {known.control.frames_confirmed}", "-end")

    async def connect(self) -> None:
        await self.accept()
        present[self.name] = self.scope[SCOPE_KEY]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        order, _, number = (text_data or "").partition(" ")
        if order == "close":
            await self.close(int(number))
        elif order == "sleep":
            await asyncio.sleep(float(number))
        elif order == "burst":
            self.note(json.dumps([await self.send_and_look(frame) for frame in range(int(number))]))
        else:
            self.note(text_data or "")

    async def send_and_look(self, frame: int) -> int:
        """Send a frame; gives how many the client has not confirmed by then."""
        await self.send(str(frame))
        await asyncio.sleep(0.005)
        control = self.scope[SCOPE_KEY].control
        return int(control.frames_sent - control.frames_confirmed)

    def note(self, line: str, about: str = "") -> None:
        with notes(self.name + about).open("a") as file:
            file.write(f"{line}\n")

    async def disconnect(self, code: int) -> None:
        if present.get(self.name) is self.scope[SCOPE_KEY]:
            del present[self.name]


class Busy(Notes):
    """Nobody reads what its client sends while it handles a message, as with Channels' own loop; ``/busy/<name>/``."""

    hub_inbox = False
    hub_heartbeat_interval = 1.5


def notes(name: str) -> Path:
    return Path(os.environ["LIBRARY_NOTES"]) / name
