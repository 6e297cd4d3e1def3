"""An echo, monitored and bare, for real servers to serve."""

import asyncio
import os
from typing import Any
from urllib.parse import parse_qs

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django.setup()

from django.urls import path

from hub import MonitoredConsumerMixin, monitor, presence


class Bare(AsyncWebsocketConsumer):
    """
    Says back what it hears; ``flood <n>``: n numbers; ``bulk <n>``: n frames of 32 KiB; ``query``: the query that it
    sees; ``close <code>``; ``look <member>``: what the hub knows of somebody.
    """

    async def connect(self):
        offered = list(self.scope["subprotocols"])
        await self.accept(offered[0] if offered else None)

    async def receive(self, text_data=None, bytes_data=None):
        match (text_data or "").split():
            case ["flood", number]:
                for sent in range(int(number)):
                    await self.send(text_data=str(sent))
            case ["bulk", number]:
                for sent in range(int(number)):
                    await self.send(text_data=f"{sent} ".ljust(32_768, "x"))
                    # Others have their turns: a loop that stands still for seconds looks dead to their clients.
                    await asyncio.sleep(0)
            case ["look", member]:
                known = presence.get("", member)
                await self.send(text_data="gone" if known is None else f"{known.state} {known.heard_by}")
            case ["query"]:
                await self.send(text_data="query " + self.scope["query_string"].decode())
            case ["close", code]:
                await self.close(int(code))
            case _:
                await self.send(text_data=text_data, bytes_data=bytes_data)


class Echo(MonitoredConsumerMixin, Bare):
    """The same, monitored, with short times."""

    hub_heartbeat_interval = 0.4
    hub_presence_timeout = 5

    def get_hub_member(self):
        return "".join(parse_qs(self.scope["query_string"].decode()).get("member", []))


ROUTES: dict[str, Any] = {"ws/bare/": Bare.as_asgi(), "ws/echo/": monitor(Echo.as_asgi())}

application = URLRouter([path(route, served) for route, served in ROUTES.items()])
