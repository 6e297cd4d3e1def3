"""A chat: JSON in and out, one channel-layer group a room, the last messages for whoever comes in."""

# The methods below are Channels' own, with its signatures and its contracts.
# ruff: noqa: ANN401, ARG002, D102

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer

from consumers.demo.tenants import route_tenant
from hub import MonitoredConsumerMixin, presence

HISTORY_MESSAGES = 20
MAX_ROOMS = 500
MAX_ROOM_NAME = 40
MAX_NAME = 40
MAX_TEXT = 500
MAX_HERE = 50


class Transcripts:
    """The last messages of the rooms that were used most recently."""

    def __init__(self) -> None:
        self._rooms: OrderedDict[str, deque[dict[str, str]]] = OrderedDict()

    def append(self, room: str, message: dict[str, str]) -> None:
        """Remember a message; forget the oldest of its room, and the quietest room when there are too many."""
        self._rooms.setdefault(room, deque(maxlen=HISTORY_MESSAGES)).append(message)
        self._rooms.move_to_end(room)
        if len(self._rooms) > MAX_ROOMS:
            self._rooms.popitem(last=False)

    def last(self, room: str) -> list[dict[str, str]]:
        """Return what was said in a room, oldest first."""
        return list(self._rooms.get(room, ()))

    def clear(self) -> None:
        """Forget every room."""
        self._rooms.clear()


transcripts = Transcripts()


class Chat(MonitoredConsumerMixin, AsyncJsonWebsocketConsumer):
    """
    ``join`` with a name, ``say`` a text, be ``typing``, ask ``who`` is here, ``leave``.

    Everybody who joined the room hears ``joined``, ``said``, ``typing`` and ``left``.
    """

    hub_message_types = ("join", "say", "typing", "who", "leave", "joined", "said", "left", "here", "history", "error")
    # A chat wants to know soon who has gone.
    hub_heartbeat_interval = 5
    hub_presence_timeout = 40

    name = ""
    room = ""

    def get_hub_tenant(self) -> str | None:
        """The tenant is in the address."""
        return route_tenant(self.scope)

    def get_hub_member_name(self) -> str | None:
        """Whoever is logged in is shown by the plain name."""
        return getattr(self.scope.get("user"), "name", None)

    async def connect(self) -> None:
        tenant, room = route_tenant(self.scope), self.scope["url_route"]["kwargs"]["room"]
        if tenant is None or len(room) > MAX_ROOM_NAME:
            await self.close()
            return
        self.room = f"demo.chat.{tenant}.{room}"
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.leave()

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        match content:
            case {"type": "join", "name": str(name)} if name and not self.name:
                await self.join(name[:MAX_NAME])
            case {"type": "say", "text": str(text)} if text and self.name:
                await self.say(text[:MAX_TEXT])
            case {"type": "typing"} if self.name:
                await self.tell({"type": "typing", "name": self.name})
            case {"type": "who"} if self.name:
                await self.send_json({"type": "here", "names": self.here()})
            case {"type": "leave"} if self.name:
                await self.leave()
            case _:
                await self.send_json({"type": "error", "reason": "Join first; then say, typing, who or leave."})

    async def join(self, name: str) -> None:
        self.name = name
        presence.enter(self, self.room)
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.send_json({"type": "history", "messages": transcripts.last(self.room)})
        await self.tell({"type": "joined", "name": name})

    async def say(self, text: str) -> None:
        transcripts.append(self.room, {"name": self.name, "text": text})
        await self.tell({"type": "said", "name": self.name, "text": text})

    async def leave(self) -> None:
        if not self.name:
            return
        name, self.name = self.name, ""
        presence.leave(self, self.room)
        await self.channel_layer.group_discard(self.room, self.channel_name)
        await self.tell({"type": "left", "name": name})

    def here(self) -> list[str]:
        """Return the names of those in the room, from whichever server: nobody had to keep a list."""
        try:
            members = presence.members(route_tenant(self.scope) or "", self.room, limit=MAX_HERE)
        except presence.NotRunningError:
            members = []
        # Where the hub or its presence is switched off, one knows of oneself only.
        return sorted(member.name or "somebody" for member in members) or [self.name]

    async def tell(self, event: dict[str, str]) -> None:
        """Send an event to everybody in the room, this connection included."""
        await self.channel_layer.group_send(self.room, {"type": "chat.event", "event": event})

    async def chat_event(self, message: dict[str, Any]) -> None:
        await self.send_json(message["event"])
