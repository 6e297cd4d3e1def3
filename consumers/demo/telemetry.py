"""Machines that report readings in packed binary frames, and get an acknowledgement for every tenth."""

# The methods below are Channels' own, with its signatures and its contracts.
# ruff: noqa: ARG002, D102

from __future__ import annotations

import struct
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from consumers.demo.tenants import route_tenant
from hub import MonitoredConsumerMixin

READING = struct.Struct("!IdHf")
"""Sequence number, Unix time in seconds, sensor, value."""
ACKNOWLEDGEMENT = struct.Struct("!III")
"""Last sequence number seen, readings received, readings missing in between."""
ACKNOWLEDGE_EVERY = 10
CLOSE_MALFORMED = 4400


class Telemetry(MonitoredConsumerMixin, AsyncWebsocketConsumer):
    """Counts readings and the holes between their sequence numbers; closes with 4400 at anything else."""

    # A machine that says nothing for half a minute is out of order.
    hub_heartbeat_interval = 3
    hub_presence_timeout = 30
    hub_message_types = ("reading", "acknowledgement")

    received = 0
    missing = 0
    last: int | None = None

    def get_hub_tenant(self) -> str | None:
        """The tenant is in the address."""
        return route_tenant(self.scope)

    def get_hub_member_name(self) -> str | None:
        """Machines log in by token as people do."""
        return getattr(self.scope.get("user"), "name", None)

    def get_hub_message_type(self, message: dict[str, Any]) -> str | None:
        """Tell the two kinds of binary frames apart by their direction."""
        return "reading" if message["type"] == "websocket.receive" else "acknowledgement"

    async def connect(self) -> None:
        if route_tenant(self.scope):
            await self.accept()
        else:
            await self.close()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if bytes_data is None or len(bytes_data) != READING.size:
            await self.close(code=CLOSE_MALFORMED)
            return
        self.record(READING.unpack(bytes_data)[0])
        if self.received % ACKNOWLEDGE_EVERY == 0:
            await self.send(bytes_data=ACKNOWLEDGEMENT.pack(self.last, self.received, self.missing))

    def record(self, sequence: int) -> None:
        """Count a reading, and those that should have come before it."""
        if self.last is not None:
            self.missing += max(0, sequence - self.last - 1)
        self.last = sequence
        self.received += 1
