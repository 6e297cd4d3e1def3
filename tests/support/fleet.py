"""Nodes on one bus, and connections to them, with a clock that a test moves."""

from __future__ import annotations

import asyncio

from hub.bus.base import Payload
from hub.bus.memory import MemoryBus
from hub.conf import Config
from hub.core.ledger import Connection
from hub.core.policy import Policy
from hub.fleet import roster
from hub.fleet import service as fleet
from hub.instrument.state import Instruments
from hub.node import presence
from hub.node.node import Node
from hub.node.presence import NEWS, NodePresence
from tests.handclock import HandClock

POLICY = Policy(interval=30.0, timeout=300.0, grace=5.0)


class LossyBus(MemoryBus):
    """Loses news of presence while a test says so."""

    losing = False

    async def broadcast(self, topic: str, payload: Payload) -> None:
        if not (self.losing and topic == NEWS):
            await super().broadcast(topic, payload)


class Fleet:
    """Nodes on one bus, with a clock that a test moves."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.bus = LossyBus(self.clock.monotonic, 1000, 600.0)
        self.nodes: list[Node] = []

    def start(self, name: str) -> Node:
        node = Node(Instruments(Config(), self.clock), self.bus)
        node.name = name
        for attach in (presence.attach, fleet.attach, roster.attach):
            attach(node)
        node.instruments.listeners.append(node.publish)
        self.nodes.append(node)
        return node

    async def die(self, node: Node) -> None:
        """As a process that is killed: it neither says so nor withdraws."""
        self.nodes.remove(node)
        node.detach()
        for task in node._tasks:
            task.cancel()
        await asyncio.gather(*node._tasks, return_exceptions=True)

    async def wait(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.advance(1)
            for node in self.nodes:
                await node.part(NodePresence).sweep()
                await node.tick()
            await self.settle()

    async def settle(self) -> None:
        """Let everything that has been told arrive."""
        for node in self.nodes:
            node.part(NodePresence).flush()
        for _ in range(20):
            await asyncio.sleep(0)

    async def stop(self) -> None:
        await asyncio.sleep(0)
        for node in self.nodes:
            await node.stop()


def accept(node: Node, member="ann", *, tenant="north", groups=()) -> Connection:
    shared = node.instruments
    connection = shared.ledger.open("chat", shared.clock.monotonic(), lambda: tenant)
    connection.member_of = lambda: ((member, member.title()), frozenset(groups))
    connection.policy = POLICY
    shared.accepted(connection)
    return connection


def end(node: Node, connection: Connection, code: int = 1000) -> None:
    node.instruments.ledger.disconnect(connection, code)
    node.instruments.ended(connection, None)
