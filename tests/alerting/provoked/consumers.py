"""Consumers of a host that get into trouble when they are told to: one for each rule of the pack, called as it is."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer

from hub import MonitoredConsumerMixin
from hub.alerting.pack import PACK
from tests.alerting.provoked.layers import LAYERS

#: By group.
_released: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
#: Rules about what takes long; nothing else is slow by its own threshold.
SLOW = ("slow_consumer", "slow_for_long")


def name_of(rule: str) -> str:
    """What the consumer of a rule is called: no name is a part of another one."""
    return f"at {rule} only"


class Trouble(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """
    Does as it is told, ``<what> <how much>``, and answers when it is done.

    The query says whose it is, whether it is a member of the group, and whether it is refused.
    """

    hub_slow_threshold_ms = 60_000
    hub_heartbeat_interval = 1.0
    group = ""
    """Its members are held and released together."""

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.scope["query_string"].decode())

    def get_hub_tenant(self) -> str:
        return self.query["tenant"][0]

    async def connect(self) -> None:
        if "refuse" in self.query:
            await self.close()
            return
        if "member" in self.query:
            await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def receive(self, text_data: str = "", bytes_data: Any = None) -> None:
        what, _, amount = text_data.partition(" ")
        await getattr(self, what)(float(amount or 0))
        await self.send(text_data=text_data)

    async def echo(self, amount: float) -> None:
        """Nothing more."""

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def hold(self, amount: float) -> None:
        """Until somebody says that it is over."""
        await _released[self.group].wait()

    async def release(self, amount: float) -> None:
        _released[self.group].set()

    async def block(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - blocks the loop

    async def fail(self, amount: float) -> None:
        raise ValueError("as asked")

    async def publish(self, messages: float) -> None:
        """Send so many messages to the group at once: each takes a few turns, and a crowd makes these long."""
        step = {"type": "trouble.step"}
        await asyncio.gather(*(self.channel_layer.group_send(self.group, step) for _ in range(int(messages))))

    async def trouble_step(self, message: dict[str, Any]) -> None:
        await self.send(text_data="step")


def _consumer(rule: str) -> Any:
    own: dict[str, Any] = {"hub_consumer": name_of(rule), "group": rule, "__module__": __name__}
    if rule in SLOW:
        own["hub_slow_threshold_ms"] = 300
    if rule in LAYERS:
        own["channel_layer_alias"] = rule
    return type(f"Trouble_{rule}", (Trouble,), own)


CONSUMERS: dict[str, Any] = {rule: _consumer(rule) for rule in PACK}
