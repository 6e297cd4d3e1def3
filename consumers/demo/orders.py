"""
The shop that misbehaves now and then, so that there is something to see.

Its store is out of reach once in a hundred handshakes, its payments are slow one time in ten, and two of its
handlers trust what they are sent, as handlers do: an unknown product is a ``KeyError``, a coupon without a
number a ``ValueError``, and either ends the connection.
"""

# The methods below are Channels' own, with its signatures and its contracts.
# ruff: noqa: ANN401, ARG002, D102

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any, ClassVar

from channels.generic.websocket import AsyncJsonWebsocketConsumer

from hub import MonitoredConsumerMixin, metrics

PRICES = {"lamp": 39.0, "chair": 120.0, "desk": 480.0, "mug": 9.5, "plant": 24.0, "rug": 210.0}
MAX_QUANTITY = 20
CLOSE_NOT_LOGGED_IN = 4401

ORDERS = metrics.counter("demo_orders_total", "Orders of the demo shop.", labels=("shop", "outcome"))
BASKETS = metrics.histogram(
    "demo_basket_value", "Value of a basket at checkout.", labels=("shop",), buckets=(10, 25, 50, 100, 250, 500, 1000)
)

_numbers = itertools.count(1001)
_dice = random.Random()  # noqa: S311 - accidents, not secrets


class Orders(MonitoredConsumerMixin, AsyncJsonWebsocketConsumer):
    """``add`` a product to the basket, try a ``coupon``, ``checkout``. The token's owner decides the tenant."""

    hub_heartbeat_interval = 5
    hub_presence_timeout = 40
    hub_message_types = ("add", "coupon", "checkout", "basket", "order", "error")

    outage_share: ClassVar[float] = 0.01
    slow_share: ClassVar[float] = 0.1
    declined_share: ClassVar[float] = 0.05
    payment_seconds: ClassVar[tuple[float, float]] = (0.05, 0.3)

    discount = 0

    @property
    def customer(self) -> Any:
        """Who is logged in: a Customer, or Django's AnonymousUser."""
        return self.scope["user"]

    def get_hub_tenant(self) -> str | None:
        """The tenant is the logged-in customer's."""
        return getattr(self.customer, "tenant", None)

    def get_hub_member(self) -> str | None:
        """A customer with two pages open is one member."""
        return getattr(self.customer, "pk", None)

    def get_hub_member_name(self) -> str | None:
        """What the others in the shop see."""
        return getattr(self.customer, "name", None)

    async def connect(self) -> None:
        if not self.customer.is_authenticated:
            await self.close(code=CLOSE_NOT_LOGGED_IN)
            return
        if _dice.random() < self.outage_share:
            raise ConnectionError("The basket store does not answer.")
        self.basket: dict[str, int] = {}
        await self.accept()

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        match content:
            case {"type": "add", "product": str(product), "quantity": int(quantity)}:
                await self.add(product, quantity)
            case {"type": "coupon", "code": str(code)}:
                self.discount = min(int(code.removeprefix("SAVE")), 50)
                await self.send_basket()
            case {"type": "checkout"} if self.basket:
                await self.checkout()
            case _:
                await self.send_json({"type": "error", "reason": "Nothing to check out, or not understood."})

    async def add(self, product: str, quantity: int) -> None:
        wanted = self.basket.get(product, 0) + max(1, quantity)
        self.basket[product] = min(wanted, MAX_QUANTITY)
        await self.send_basket()

    async def checkout(self) -> None:
        value, shop = self.value(), self.customer.tenant
        paid = await self.pay()
        ORDERS.inc(shop=shop, outcome="paid" if paid else "declined")
        if not paid:
            await self.send_json({"type": "error", "reason": "The payment was declined."})
            return
        BASKETS.observe(value, shop=shop)
        self.basket, self.discount = {}, 0
        await self.send_json({"type": "order", "number": next(_numbers), "value": value})

    async def pay(self) -> bool:
        """Ask the payment service, which is slow now and then and sometimes declines."""
        if _dice.random() < self.slow_share:
            await asyncio.sleep(_dice.uniform(*self.payment_seconds))
        return _dice.random() >= self.declined_share

    def value(self) -> float:
        """Return what the basket costs, after the discount."""
        full = sum(PRICES[product] * quantity for product, quantity in self.basket.items())
        return round(full * (100 - self.discount) / 100, 2)

    async def send_basket(self) -> None:
        await self.send_json({"type": "basket", "items": self.basket, "value": self.value()})
