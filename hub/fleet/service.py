"""Keeps a node's view of the fleet fresh: reads the bus on each tick."""

from hub.core.history import History
from hub.core.snapshot import NodeSnapshot
from hub.fleet.view import COLUMNS, FleetView
from hub.node.node import Node


def attach(node: Node) -> None:
    """Give a new node its view of the fleet."""
    view = FleetView(History(node.instruments.config.history_bytes, len(COLUMNS)))

    async def renew(now: float) -> None:
        packed = await node.bus.snapshots()
        view.renew([NodeSnapshot.unpack(snapshot) for snapshot in packed], now)

    node.add(view, renew)
