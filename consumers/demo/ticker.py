"""A broadcast ticker: prices pushed to everybody of a tenant, for as long as somebody listens."""

# The methods below are Channels' own, with its signatures and its contracts.
# ruff: noqa: ANN401, ARG002, D102

from __future__ import annotations

import asyncio
import random
from typing import Any
from weakref import WeakSet

from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.layers import get_channel_layer
from django.utils import timezone

from consumers.demo.tenants import TENANTS, route_tenant
from hub import MonitoredConsumerMixin

SYMBOLS = ("BOLT", "CRUX", "DUNE", "FERN", "GLOW", "HALO")
INTERVAL = 1.0
"""Seconds between two prices."""

_dice = random.Random()  # noqa: S311 - prices, not secrets


class Market:
    """The prices of one tenant. A background task moves them while there are listeners, and ends after the last."""

    def __init__(self, tenant: str) -> None:
        self.group = f"demo.ticker.{tenant}"
        self.prices = dict.fromkeys(SYMBOLS, 100.0)
        # Weak, because a consumer that ends with an exception never gets to say goodbye.
        self.listeners: WeakSet[Ticker] = WeakSet()
        self._task: asyncio.Task[None] | None = None

    def open_for(self, listener: Ticker) -> None:
        """Add a listener; the first one starts the task."""
        self.listeners.add(listener)
        if self._task is None or self._task.done() or self._task.get_loop().is_closed():
            self._task = asyncio.create_task(self._trade(), name=self.group)

    async def _trade(self) -> None:
        layer: Any = get_channel_layer()
        while self.listeners:
            self._move()
            await layer.group_send(
                self.group, {"type": "ticker.prices", "at": timezone.now().timestamp(), "prices": self.prices}
            )
            await asyncio.sleep(INTERVAL)

    def _move(self) -> None:
        self.prices = {symbol: round(price * _dice.uniform(0.995, 1.005), 2) for symbol, price in self.prices.items()}


markets = {tenant: Market(tenant) for tenant in TENANTS}


class Ticker(MonitoredConsumerMixin, AsyncJsonWebsocketConsumer):
    """Sends ``prices`` once a second; ``watch`` with a list of symbols narrows them down."""

    # Most only listen: whoever has said nothing for so long is shown as idle.
    hub_heartbeat_interval = 5
    hub_presence_timeout = 30
    hub_message_types = ("watch", "prices", "watching", "error")

    watched: tuple[str, ...] = SYMBOLS
    market: Market | None = None

    def get_hub_tenant(self) -> str | None:
        """The tenant is in the address."""
        return route_tenant(self.scope)

    async def connect(self) -> None:
        self.market = markets.get(route_tenant(self.scope) or "")
        if self.market is None:
            await self.close()
            return
        await self.channel_layer.group_add(self.market.group, self.channel_name)
        await self.accept()
        self.market.open_for(self)

    async def disconnect(self, code: int) -> None:
        if self.market is not None:
            self.market.listeners.discard(self)
            await self.channel_layer.group_discard(self.market.group, self.channel_name)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        match content:
            case {"type": "watch", "symbols": list(symbols)}:
                self.watched = tuple(symbol for symbol in SYMBOLS if symbol in symbols)
                await self.send_json({"type": "watching", "symbols": self.watched})
            case _:
                await self.send_json({"type": "error", "reason": "Only watch is understood."})

    async def ticker_prices(self, message: dict[str, Any]) -> None:
        prices = {symbol: message["prices"][symbol] for symbol in self.watched}
        await self.send_json({"type": "prices", "at": message["at"], "prices": prices})
