"""
Consumers of a host that tell what they see: the scope they were given, and every frame, as it came.

``<consumer>/<offer>/``: the offer says what the host does with subprotocols, ``none``, ``one`` or ``several``.
"""

import json
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer, WebsocketConsumer

from hub import MonitoredConsumerMixin

CHOICES: dict[str, tuple[str, ...]] = {"none": (), "one": ("chat.v1",), "several": ("chat.v2", "chat.v1")}
#: How many frames each consumer class was handed, ever.
handed: dict[str, int] = {}


class Witness:
    """What both kinds have in common."""

    scope: Any

    @property
    def chosen(self) -> str | None:
        """The first of the host's subprotocols that the client offers."""
        known = CHOICES[self.scope["url_route"]["kwargs"]["offer"]]
        return next((name for name in known if name in self.scope["subprotocols"]), None)

    @property
    def seen(self) -> str:
        """What this consumer sees of its client's address."""
        scope = self.scope
        return json.dumps({
            "path": scope["path"], "query": scope["query_string"].decode(), "offered": list(scope["subprotocols"]),
        })  # fmt: skip

    def count(self) -> None:
        handed[type(self).__name__] = handed.get(type(self).__name__, 0) + 1


class Echo(Witness, AsyncWebsocketConsumer):
    """Greets with what it sees, then sends back what it gets."""

    async def connect(self) -> None:
        await self.accept(self.chosen)
        await self.send(self.seen)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.count()
        await self.send(text_data=text_data, bytes_data=bytes_data)


class SyncEcho(Witness, WebsocketConsumer):
    """The same, synchronous."""

    def connect(self) -> None:
        self.accept(self.chosen)
        self.send(self.seen)

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.count()
        self.send(text_data=text_data, bytes_data=bytes_data)


def monitored(plain: Any, name: str, **attributes: Any) -> Any:
    return type(name, (MonitoredConsumerMixin, plain), {"__module__": __name__, **attributes})


CHANNELS_OWN = {"hub_inbox": False, "hub_sweep": False}
#: Which consumers negotiate when asked, on a server whose control frames are on.
NEGOTIATE: dict[str, Any] = {
    "inbox": monitored(Echo, "Inbox"),
    "wrapped": monitored(Echo, "Wrapped", **CHANNELS_OWN),
    "sync": monitored(SyncEcho, "Sync"),
    "wrapped-sync": monitored(SyncEcho, "WrappedSync", **CHANNELS_OWN),
    "twin": monitored(Echo, "Twin"),
}
#: And which don't: without the mixin, or told not to.
DECLINE: dict[str, Any] = {
    "plain": Echo,
    "plain-sync": SyncEcho,
    "told-not-to": monitored(Echo, "ToldNotTo", hub_control_frames=False),
}
CONSUMERS = {**NEGOTIATE, **DECLINE}
