"""
Looks after the channel layers of this process: how full they are, once a second; what they lost, at once.

A task of its own: a layer whose Redis does not answer must not keep the node from its samples.
"""

import asyncio

from channels.layers import channel_layers

from hub.core.events import Event
from hub.core.layers import Depth, Filling
from hub.core.redaction import redact
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
        self.losses = lost
        self.depths: dict[str, Depth] = {}

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
        link = self.losses.links.get(depth.channel)
        counts = None if link is None else shared.ledger.settle(link.connection)
        tenant, consumer = ("", "") if counts is None else (counts.tenant, counts.consumer)
        if not shared.limiter.admit("layer.filling", tenant, consumer, shared.clock.monotonic()):
            return
        event = Event(
            kind="layer.filling", at=shared.clock.wall(), tenant=tenant, consumer=consumer,
            connection="" if link is None else str(link.connection.number),
            details={
                "layer": alias, "fullest": round(depth.fullest, 3), "capacity": depth.capacity,
                "messages": depth.messages, "oldest": None if depth.oldest is None else round(depth.oldest, 3),
                "channel": redact(depth.channel),
            },
        )  # fmt: skip
        shared.publish(event)


def attach(node: Node) -> None:
    """Let a new node look after its channel layers."""
    watch = LayerWatch(node, losses())
    node.add(watch)
    watch.losses.on_pending = watch.pending
    node.keep(watch.look, "layers")
    node.keep(watch.tell, "losses")
