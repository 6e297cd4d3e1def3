"""Consumers of a host with tenants. They count what they handle themselves, as somebody who trusts nobody would."""

import asyncio
import json
from collections import Counter
from typing import Any

from asgiref.sync import async_to_sync
from channels.generic.websocket import AsyncJsonWebsocketConsumer, AsyncWebsocketConsumer, WebsocketConsumer

from hub import MonitoredConsumerMixin

#: Counted by this host, not by the hub: by what is counted, then by consumer.
witnessed: dict[str, Counter[str]] = {
    what: Counter() for what in ("arrived", "handled", "sent", "refused", "cancelled", "hanging")
}


class DeviceError(Exception):
    """An error of the host's own."""


ERRORS = {"ValueError": ValueError, "KeyError": KeyError, "DeviceError": DeviceError, "OSError": OSError}


def tenant_of(scope: Any) -> str:
    return str(scope["path"].split("/")[1])


def consumer_of(scope: Any) -> str:
    return str(scope["path"].split("/")[2])


def wish(scope: Any, moment: str) -> str:
    """What the client wants to happen on connect or disconnect."""
    for pair in scope["query_string"].decode().split("&"):
        name, _, value = pair.partition("=")
        if name == moment:
            return str(value)
    return ""


class Obedient:
    """What the asynchronous consumers have in common."""

    scope: Any

    async def connect(self) -> None:
        consumer: Any = self
        match wish(self.scope, "connect"):
            case "refuse":
                await consumer.close(code=4003)
            case "hang":
                witnessed["hanging"][consumer_of(self.scope)] += 1
            case "":
                await consumer.accept()
            case error:
                raise ERRORS[error]("on connect")

    async def disconnect(self, _: int) -> None:
        if error := wish(self.scope, "disconnect"):
            raise ERRORS[error]("on disconnect")

    async def obey(self, command: str) -> None:
        """Fail, close or be cancelled."""
        consumer: Any = self
        verb, _, rest = command.partition(" ")
        if verb == "fail":
            raise ERRORS[rest]("as told")
        if verb == "end":
            await consumer.close(int(rest))
        elif verb == "cancel":
            # So that the client knows: its own end must come after this one.
            await consumer.send(text_data="going")
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)


class Plain(Obedient, AsyncWebsocketConsumer):
    """Echoes. It is not monitored itself: only `hub.monitor` sees it."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        witnessed["handled"][consumer_of(self.scope)] += 1
        if text_data is not None and text_data[:1] == "!":
            await self.obey(text_data[1:])
        else:
            await self.send(text_data=text_data, bytes_data=bytes_data)


class Telemetry(MonitoredConsumerMixin, Plain):
    """The same, monitored."""

    hub_consumer = "telemetry"

    def get_hub_tenant(self) -> str:
        return tenant_of(self.scope)


class Chat(MonitoredConsumerMixin, Obedient, AsyncJsonWebsocketConsumer):
    """JSON with types, and a room for each connection."""

    hub_consumer = "chat"
    hub_message_types = ("chat.said", "chat.shouted")

    async def connect(self) -> None:
        self.room = f"room.{id(self)}"
        await self.channel_layer.group_add(self.room, self.channel_name)
        await super().connect()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.room, self.channel_name)
        await super().disconnect(code)

    async def receive_json(self, content: Any, **_: Any) -> None:
        witnessed["handled"][consumer_of(self.scope)] += 1
        handler = getattr(self, content["type"].replace(".", "_"), None)
        if handler is None:
            await self.send_json({"type": "chat.what", "text": content["text"]})
        else:
            await handler(content)

    async def chat_say(self, content: Any) -> None:
        await self.send_json({"type": "chat.said", "text": content["text"]})

    async def chat_shout(self, content: Any) -> None:
        await self.channel_layer.group_send(self.room, {"type": "room.message", "text": content["text"]})

    async def room_message(self, event: Any) -> None:
        await self.send_json({"type": "chat.shouted", "text": event["text"]})

    async def chat_order(self, content: Any) -> None:
        await self.obey(content["text"])


class Legacy(MonitoredConsumerMixin, WebsocketConsumer):
    """Synchronous."""

    hub_consumer = "legacy"

    def connect(self) -> None:
        match wish(self.scope, "connect"):
            case "refuse":
                self.close()
            case "hang":
                witnessed["hanging"][consumer_of(self.scope)] += 1
            case "":
                self.accept()
            case error:
                raise ERRORS[error]("on connect")

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        witnessed["handled"][consumer_of(self.scope)] += 1
        if text_data is None or text_data[:1] != "!":
            self.send(text_data=text_data, bytes_data=bytes_data)
            return
        verb, _, rest = text_data[1:].partition(" ")
        if verb == "fail":
            raise ERRORS[rest]("as told")
        if verb == "end":
            self.close(int(rest))
        if verb == "shout":
            async_to_sync(self.channel_layer.send)(self.channel_name, {"type": "own.message", "text": rest})

    def own_message(self, event: Any) -> None:
        self.send(text_data=json.dumps(event["text"]))

    def disconnect(self, _: int) -> None:
        if error := wish(self.scope, "disconnect"):
            raise ERRORS[error]("on disconnect")
