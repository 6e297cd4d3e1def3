"""A feed without servers: a real node, bus, view and service with a clock of the test's own, and operators on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator

from hub import access
from hub.access import Rights
from hub.bus.memory import MemoryBus
from hub.clock import Clock
from hub.conf import Config
from hub.core.control import Negotiated
from hub.core.events import Event
from hub.core.ledger import Connection
from hub.core.policy import Policy
from hub.feed import wire
from hub.feed.board import Board, Fetch
from hub.feed.service import FeedService
from hub.feed.service import attach as attach_feed
from hub.feed.session import Limits, Session
from hub.feed.topics import Encoded
from hub.fleet.roster import FleetRoster
from hub.fleet.roster import attach as attach_roster
from hub.fleet.service import attach as attach_fleet
from hub.fleet.view import FleetView
from hub.instrument.state import Instruments
from hub.node.node import Node
from hub.node.presence import NodePresence
from hub.node.presence import attach as attach_presence
from tests.support.processes import ROOT

SCHEMA = ROOT / "frontend" / "src" / "wire" / "schema.json"
ALL_RIGHTS = Rights(view=True, operate=True)


@cache
def server_messages() -> Draft202012Validator:
    """Validates what the server sends against the committed schema, from which the page's types are made."""
    document = json.loads(Path(SCHEMA).read_text())
    return Draft202012Validator({"$ref": "#/$defs/ServerMessage", "$defs": document["$defs"]})


def decoded(frame: Encoded) -> dict[str, Any]:
    """A frame as its receiver has it, decoded by somebody else's decoder and checked against the schema."""
    message = json.loads(frame) if isinstance(frame, str) else msgpack.unpackb(frame)
    server_messages().validate(message)
    return dict(message)


class ManualClock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_800_000_000.0 + self.now


class Stage:
    """One node with its feed; nothing in it happens by itself but the delivery of events."""

    def __init__(self, fetch: Fetch | None = None, **settings: Any) -> None:
        self.clock = ManualClock()
        self.config = Config(**settings)
        self.instruments = Instruments(self.config, self.clock)
        self.ledger = self.instruments.ledger
        self.bus = MemoryBus(self.clock.monotonic, self.config.event_retention, self.config.event_retention_seconds)
        self.node = Node(self.instruments, self.bus)
        attach_fleet(self.node)
        attach_presence(self.node)
        attach_roster(self.node)
        self.board = Board()
        attach_feed(self.node, fetch or self.fetch_board)
        self.service = self.node.part(FeedService)
        self.view = self.node.part(FleetView)
        self.roster = self.node.part(FleetRoster)
        self.topics = self.service.topics

    async def fetch_board(self, _: Clock) -> Board:
        """What there is of alerts, as a test says."""
        return self.board

    async def tick(self, seconds: float = 1.0) -> None:
        """Let time pass and the node sample."""
        self.clock.now += seconds
        await self.node.tick()

    async def happen(
        self, kind: str = "connection.opened", *, tenant: str = "", consumer: str = "", deliver: bool = True
    ) -> int:
        """An event happens, and everybody who listens is told, or not yet; returns its id."""
        event = Event(kind=kind, at=self.clock.wall(), tenant=tenant, consumer=consumer)
        entry = await self.bus.append(
            {
                "kind": event.kind, "at": event.at, "tenant": event.tenant, "consumer": event.consumer,
                "connection": event.connection, "count": event.count, "details": event.details,
                "severity": event.severity, "node": self.node.name,
            }
        )  # fmt: skip
        if deliver:
            await self.delivered()
        return entry.id

    async def delivered(self) -> None:
        """Wait until the service has handed out every event."""
        for _ in range(100):
            if self.service.last_id == await self.bus.newest():
                return
            await asyncio.sleep(0)
        raise AssertionError("the service does not deliver")

    def receive_messages(self, consumer: str, tenant: str, count: int = 1, seconds: float = 0.01) -> None:
        """Messages were handled, all on one connection."""
        if (consumer, tenant) not in self.ledger.counts:
            self.ledger.accept(self.ledger.open(consumer, self.clock.now, lambda: tenant), self.clock.now)
        counts = self.ledger.counts[consumer, tenant]
        counts.arrived += count
        counts.received["text"] = counts.received.get("text", 0) + count
        for _ in range(count):
            counts.latency.observe(seconds)

    def arrive(
        self, tenant: str, member: str, name: str = "", *, groups: tuple[str, ...] = (), negotiated: bool = False
    ) -> Connection:
        """Somebody connects."""
        connection = self.ledger.open("shop.Chat", self.clock.now, lambda: tenant)
        connection.policy = Policy()
        connection.control = Negotiated(lambda: None) if negotiated else None
        connection.member_of = lambda: ((member, name), frozenset(groups))
        self.instruments.accepted(connection)
        return connection

    async def depart(self, *connections: Connection) -> None:
        """Connections are closed, and the grace passes."""
        for connection in connections:
            self.ledger.close(connection, None)
            self.instruments.ended(connection, None)
        await self.pass_time(Policy().grace + 1)

    async def pass_time(self, seconds: float) -> None:
        """Time passes for the members, too."""
        self.clock.now += seconds
        await self.node.part(NodePresence).sweep()

    def operator(self, rights: Rights = ALL_RIGHTS, subprotocol: str = wire.JSON_SUBPROTOCOL) -> Operator:
        """An operator connects."""
        return Operator(self, rights, subprotocol)

    async def close(self) -> None:
        await self.node.stop()


@asynccontextmanager
async def stage(fetch: Fetch | None = None, **settings: Any) -> AsyncIterator[Stage]:
    """A stage, ended with its tasks."""
    made = Stage(fetch, **settings)
    await asyncio.sleep(0)  # the service begins
    try:
        yield made
    finally:
        await made.close()


class Operator:
    """What one operator asks and gets, in place of a connection."""

    def __init__(self, on: Stage, rights: Rights, subprotocol: str) -> None:
        self.stage = on
        limits = Limits(buffer_events=on.config.feed_buffer_events, heartbeat=on.config.feed_heartbeat)
        self.session = Session(on.topics, access.Operator("ann", rights), subprotocol, limits, on.clock.now)
        self.session.last_id = on.service.last_id
        self.heard: list[dict[str, Any]] = []
        self.cursor: str | None = None
        on.service.listeners.add(self)

    def wake(self) -> None:
        """The test reads when it likes."""

    def say(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        clock = self.stage.clock
        self.session.receive(frame, clock.monotonic(), self.stage.service.cursor, clock.wall())

    async def ask(self, **message: Any) -> list[dict[str, Any]]:
        """Send a message and read everything that there is."""
        text = self.session.subprotocol == wire.JSON_SUBPROTOCOL
        self.say(json.dumps(message) if text else msgpack.packb(message))
        await self.stage.service.settle(self.session)
        return await self.read()

    async def read(self, limit: int = 1_000_000) -> list[dict[str, Any]]:
        """Read as many frames as there are, or up to a limit, as the connection's sender would."""
        messages: list[dict[str, Any]] = []
        session, service = self.session, self.stage.service
        while session.pending and not session.closing and len(messages) < limit:
            frame = session.next_frame(self.stage.clock.now, service.cursor)
            if frame is not None:
                messages.append(decoded(frame))
            elif session.replaying:
                await service.replay(session)
        for message in messages:
            if message["type"] in ("event", "heartbeat") or message.get("topic") == "events":
                self.cursor = message["cursor"]
        self.heard += messages
        return messages

    def leave(self) -> None:
        """The connection is gone."""
        self.stage.service.listeners.discard(self)


def of_type(messages: list[dict[str, Any]], *types: str) -> list[dict[str, Any]]:
    """The messages of some types."""
    return [message for message in messages if message["type"] in types]


def ids(messages: list[dict[str, Any]]) -> list[int]:
    """The ids of the events among some messages, in order, those in snapshots included."""
    found = []
    for message in messages:
        events = [message] if message["type"] == "event" else message.get("events", [])
        found += [int(event["cursor"].rpartition("-")[2]) for event in events]
    return found
