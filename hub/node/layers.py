"""
Looks after the channel layers of this process: how full they are, once a second; what they lost, at once.

A task of its own: a layer whose Redis does not answer must not keep the node from its samples.
"""

import asyncio
from typing import Any

from channels.layers import channel_layers

from hub.core.events import Event
from hub.core.layers import Depth, Filling
from hub.core.redaction import redact
from hub.core.snapshot import LayerRow
from hub.faults import record_fault
from hub.instrument.layers.base import Instrumented
from hub.instrument.layers.losses import Losses, losses
from hub.node.node import Node

#: Seconds between two looks at the layers.
CADENCE = 1.0
#: Seconds after which a layer that does not answer counts as unknown.
PATIENCE = 2.0
#: Seconds in which losses are collected, so that one cause is one event.
GATHER = 0.05


class LayerWatch:
    """
    What a node knows of its channel layers.

    Layers that are not instrumented are left alone.

    Args:
        node: The node; where its events go.
        lost: What layers have lost.

    Attributes:
        depths: By alias, as they were last; a layer of which that is unknown is missing.
    """

    def __init__(self, node: Node, lost: Losses) -> None:
        self._node = node
        self._wake = asyncio.Event()
        self._filling: dict[str, Filling] = {}
        self._backends: dict[str, str] = {}
        self.losses = lost
        self.depths: dict[str, Depth] = {}

    def layers(self) -> list[list[Any]]:
        """The layers that were looked at, packed; each as `hub.core.snapshot.LayerRow`."""
        return [list(self._row(alias, gaps)) for alias, gaps in self.gaps().items()]

    def gaps(self) -> dict[str, int]:
        """How often messages were lost in a number that nobody can know, by alias; 0 for layers that were looked at."""
        return {**dict.fromkeys(self._backends, 0), **self.losses.gaps}

    def drops(self) -> list[list[Any]]:
        """What was lost of late, packed; each as `hub.core.snapshot.DropRow`."""
        return [list(row) for row in self.losses.recent()]

    def _row(self, alias: str, gaps: int) -> LayerRow:
        depth = self.depths.get(alias)
        if depth is None:
            unknown = (None, None, None, None, "", "", "")
            return LayerRow(alias, self._backends.get(alias, ""), *unknown, gaps)
        tenant, consumer, _ = self._receiver(depth.channel)
        return LayerRow(
            alias=alias, backend=self._backends[alias], depth=depth.messages,
            oldest=depth.oldest if depth.messages else 0.0, capacity=depth.capacity,
            fullest=None if depth.capacity is None else depth.fullest, channel=redact(depth.channel),
            consumer=consumer, tenant=tenant, gaps=gaps,
        )  # fmt: skip

    def _receiver(self, channel: str) -> tuple[str, str, str]:
        """Tenant, consumer and connection behind a channel; empty where nobody is known."""
        link = self.losses.links.get(channel)
        if link is None:
            return "", "", ""
        counts = self._node.instruments.ledger.settle(link.connection)
        return counts.tenant, counts.consumer, str(link.connection.number)

    def pending(self) -> None:
        """Something was lost; called from any thread."""
        if self._node.alive:
            self._node.loop.call_soon_threadsafe(self._wake.set)

    async def tell(self) -> None:
        """Send what was lost as events, for as long as the node lives."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER)
            self._wake.clear()
            self.losses.flush()

    async def look(self) -> None:
        """Look at the layers once a second, for as long as the node lives."""
        while True:
            for alias, layer in list(channel_layers.backends.items()):
                if isinstance(layer, Instrumented):
                    await self._look_at(alias, layer)
            await asyncio.sleep(CADENCE)

    async def _look_at(self, alias: str, layer: Instrumented) -> None:
        layer.hub_alias = alias
        self._backends[alias] = type(layer).__qualname__
        try:
            # `wait_for` would swallow a cancellation that comes with the answer (Python 3.11).
            async with asyncio.timeout(PATIENCE):
                depth = await layer.hub_depth()
        except OSError:
            # Its Redis is away: consumers notice as well.
            depth = None
        except Exception as error:  # noqa: BLE001 - the border: one layer's fault must not hide the others
            depth = None
            if type(error).__module__.split(".")[0] != "redis":
                record_fault("channel layer", error)
        if depth is None:
            self.depths.pop(alias, None)
            return
        self.depths[alias] = depth
        if self._filling.setdefault(alias, Filling()).look(depth.fullest):
            self._tell_filling(alias, depth)

    def _tell_filling(self, alias: str, depth: Depth) -> None:
        shared = self._node.instruments
        tenant, consumer, connection = self._receiver(depth.channel)
        if not shared.limiter.admit("layer.filling", tenant, consumer, shared.clock.monotonic()):
            return
        event = Event(
            kind="layer.filling", at=shared.clock.wall(), tenant=tenant, consumer=consumer,
            connection=connection,
            # Of that queue alone: a tenant's operator may see this, and the layer's other queues are others'.
            details={
                "layer": alias, "fullest": round(depth.fullest, 3), "capacity": depth.capacity,
                "messages": round(depth.fullest * (depth.capacity or 0)), "channel": redact(depth.channel),
            },
        )  # fmt: skip
        shared.publish(event)


def attach(node: Node) -> None:
    """Let a new node look after its channel layers."""
    watch = LayerWatch(node, losses())
    node.add(watch)
    watch.losses.on_pending = watch.pending
    node.list_layers, node.list_drops = watch.layers, watch.drops
    node.keep(watch.look, "layers")
    node.keep(watch.tell, "losses")
