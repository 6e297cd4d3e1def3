"""A shop in trouble, to take pictures of: consumers that are slow or lose messages, beside the stand-alone site."""

# Each does the wrong thing on purpose; the methods are Channels' own, with its signatures and contracts.
# ruff: noqa: ARG002, D102, S311, TID251

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from hub.asgi import django_application  # first: it sets up Django

# isort: split
from channels.auth import AuthMiddlewareStack
from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

import hub
from consumers.routing import websocket_urlpatterns
from hub import MonitoredConsumerMixin
from hub.web.metrics import metrics_before

FRAME = "x" * 65_536


class OfTenant(MonitoredConsumerMixin):
    """Takes its tenant from the address, and words of the form ``what seconds``."""

    def get_hub_tenant(self) -> str:
        return str(self.scope["url_route"]["kwargs"]["tenant"])  # type: ignore[attr-defined]


class Checkout(OfTenant, AsyncWebsocketConsumer):
    """Asks a bank that does not answer."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.charge(float(text_data or "0"))

    async def charge(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Search(OfTenant, AsyncWebsocketConsumer):
    """Reckons on the event loop."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.rank(float(text_data or "0"))

    def rank(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            sorted(random.random() for _ in range(1000))


class Invoices(OfTenant, WebsocketConsumer):
    """Does long work in the thread that all synchronous code shares."""

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.render(float(text_data or "0"))

    def render(self, seconds: float) -> None:
        time.sleep(seconds)


class Prices(OfTenant, AsyncWebsocketConsumer):
    """Sends more than some clients read."""

    streaming: asyncio.Task[None] | None = None

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.streaming = asyncio.create_task(self.stream(float(text_data or "0")))

    async def stream(self, frames_per_second: float) -> None:
        while True:
            await self.send(text_data=FRAME)
            await asyncio.sleep(1 / frames_per_second)

    async def disconnect(self, code: int) -> None:
        if self.streaming is not None:
            self.streaming.cancel()


class Kitchen(OfTenant, AsyncWebsocketConsumer):
    """A room whose screens may hang, while orders go on coming."""

    async def connect(self) -> None:
        self.group = f"kitchen.{self.get_hub_tenant()}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        what, _, number = (text_data or "").partition(" ")
        if what == "hang":
            await asyncio.sleep(float(number))
            return
        await self.channel_layer.group_discard(self.group, self.channel_name)
        for _ in range(int(number)):
            await self.channel_layer.group_send(self.group, {"type": "kitchen.order"})

    async def kitchen_order(self, _: dict[str, Any]) -> None:
        await self.send(text_data="an order")

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)


SHOP: tuple[Any, ...] = (Checkout, Search, Invoices, Prices, Kitchen)
routes: list[Any] = [path(f"shop/<slug:tenant>/{one.__name__.lower()}/", one.as_asgi()) for one in SHOP]
application = hub.monitor(
    ProtocolTypeRouter(
        {
            "http": metrics_before(django_application),
            "websocket": AuthMiddlewareStack(URLRouter([*websocket_urlpatterns, *routes])),
        }
    )
)
