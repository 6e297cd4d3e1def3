"""Keeps a node's view of the fleet fresh: reads the bus on each tick."""

import asyncio

from hub.core.history import History
from hub.core.snapshot import NodeSnapshot
from hub.fleet.view import COLUMNS, FleetView
from hub.node.node import Node


def attach(node: Node) -> None:
    """Give a new node its view of the fleet."""
    view = FleetView(History(node.instruments.config.history_bytes, len(COLUMNS)))

    async def renew(now: float) -> None:
        packed = await node.bus.snapshots()
        for _ in view.renew_in_steps([NodeSnapshot.unpack(snapshot) for snapshot in packed], now):
            # A large fleet takes a while: let everybody else have their turn.
            await asyncio.sleep(0)

    node.add(view, renew)
