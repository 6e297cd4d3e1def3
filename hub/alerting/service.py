"""
Alerting on a node: what the fleet's view and the bus bring goes to the evaluator's duty, what that decides to the
outbox and to the feed.

Nothing here works on the event loop but reading the view, in slices, and handing over. The engine and the outbox have
a thread of alerting's own for their database work, and each receiver one in which it may hang. A database that is not
there, or has not been migrated, is a fault that is recorded, and tried again.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, connections, router

from hub.alerting.duty import Duty, Flushed, Told
from hub.alerting.outbox import Claim, Outbox
from hub.alerting.retention import expire
from hub.alerting.setup import Setup, read_setup
from hub.alerting.sources import Read, Reader
from hub.alerting.store import Store
from hub.alerting.threads import Threads
from hub.bus.base import Payload
from hub.core.errors import CursorError
from hub.core.events import Event
from hub.core.metrics import Packed
from hub.core.rules import SEVERITIES
from hub.faults import record_fault
from hub.fleet.roster import FleetRoster
from hub.fleet.view import FleetView
from hub.models import Evaluator
from hub.node.node import Node

#: Seconds before a new node looks at the database for the first time: a host's tests are over by then.
START_DELAY = 3.0
#: Seconds between two looks at the time, and at the outbox; longer if a look takes long.
PASS_INTERVAL, SEND_INTERVAL = 0.2, 2.0
#: Of its time the thread spends at most one part in so many at work.
SHARE = 4
#: Seconds after which a database that failed is tried again, unless something happens.
RETRY_INTERVAL = 5.0
#: Ticks and events that wait for the engine at most; beyond, the oldest is dropped.
MAX_TICKS, MAX_EVENTS = 60, 10_000
#: Seconds between two times that what is old is deleted.
EXPIRE_INTERVAL = 60.0
#: Events about alerts themselves: rules don't look at them.
OWN_EVENTS = "alert."

Series = list[tuple[tuple[str, ...], Any]]


class AlertService:
    """
    Alerting, as a part of one node.

    Args:
        node: Its view of the fleet must be there already.
        setup: Rules, routes and receivers.

    Attributes:
        evaluation_seconds: Time that the last evaluation took.
    """

    def __init__(self, node: Node, setup: Setup) -> None:
        holder = f"{node.name} {node.boot}"
        self.evaluation_seconds = 0.0
        self.duty = Duty(Store(holder), setup.make_engine)
        self.outbox = Outbox(
            setup.receivers, holder, node.clock, last_resort=setup.last_resort, page=setup.page, site=setup.site
        )
        self._node = node
        self._view = node.part(FleetView)
        self._roster = node.part(FleetRoster)
        self._retention = setup.retention
        self._reader = Reader()
        self._version = -1
        self._on_duty = False
        self._ticks: deque[tuple[Read | None, float]] = deque(maxlen=MAX_TICKS)
        self._events: deque[tuple[Payload, float]] = deque(maxlen=MAX_EVENTS)
        self._happened, self._posted = asyncio.Event(), asyncio.Event()
        self._thread = Threads(1, "hub-alerting")
        self._senders = Threads(max(1, len(setup.receivers)), "hub-outbox")
        self._expire_at = 0.0

    # --- what comes in, on the event loop ---

    async def tick(self, now: float) -> None:
        """Read the fleet's numbers, if this process is the one that evaluates them."""
        if not self._on_duty:
            return
        samples: Read | None = None
        if self._view.version != self._version:
            self._version, samples = self._view.version, {}
            for _ in self._reader.read_in_steps(self._view, samples, self._roster.tallies):
                await asyncio.sleep(0)
        self._append(self._ticks, (samples, now))

    async def follow(self) -> None:
        """Hand over each event of the fleet, for as long as the node lives."""
        bus = self._node.bus
        last = await bus.newest()
        while True:
            await bus.wait(last)
            try:
                entries = await bus.read(last)
            except CursorError:
                # The log moved on without us; what is counted comes with the next tick anyhow.
                last = await bus.oldest() - 1
                continue
            for entry in entries:
                last = entry.id
                if self._on_duty and not entry.payload["kind"].startswith(OWN_EVENTS):
                    self._append(self._events, (entry.payload, self._node.clock.wall()))

    def _append(self, queue: deque[Any], item: object) -> None:
        if len(queue) == queue.maxlen:
            record_fault("alerting queue", OverflowError(f"over {queue.maxlen} ticks or events wait to be evaluated"))
        queue.append(item)
        self._happened.set()

    # --- the evaluator's thread ---

    async def run(self) -> None:
        """Evaluate, for as long as the node lives."""
        await asyncio.sleep(START_DELAY)
        try:
            while True:
                rest = await self._step()
                await _heard(self._happened, rest)
                self._happened.clear()
        finally:
            self.end()

    async def _step(self) -> float:
        """Evaluate what waits. Returns seconds until it is time again."""
        clock = self._node.clock
        began = clock.monotonic()
        ticks, events = list(self._ticks), list(self._events)
        self._ticks.clear()
        self._events.clear()
        try:
            flushed = await self._thread.run(self._evaluate, ticks, events)
        except Exception as error:  # noqa: BLE001 - the border: the database is away, and may come back
            record_fault("alerting", error)
            self._on_duty = self.duty.engine is not None
            return RETRY_INTERVAL
        self._on_duty = self.duty.engine is not None
        self._tell(flushed.told)
        if flushed.posted:
            self._posted.set()
        return max(PASS_INTERVAL, SHARE * (clock.monotonic() - began))

    def _evaluate(self, ticks: Iterable[tuple[Read | None, float]], events: Iterable[tuple[Payload, float]]) -> Flushed:
        clock, duty = self._node.clock, self.duty
        if not duty.stand_by(clock.wall()):
            return Flushed()
        for event, at in events:
            duty.event(event, at)
        for samples, at in ticks:
            began = clock.monotonic()
            duty.tick(samples, at)
            self.evaluation_seconds = clock.monotonic() - began
        flushed = duty.flush(clock.wall())
        if duty.engine is not None and clock.wall() >= self._expire_at:
            self._expire(clock.wall())
        return flushed

    def _expire(self, now: float) -> None:
        self._expire_at = now + EXPIRE_INTERVAL
        try:
            if expire(now, self._retention):
                # There is more to delete.
                self._expire_at = now + 1.0
        except DatabaseError as error:
            record_fault("alert history", error)

    def _tell(self, told: Iterable[Told]) -> None:
        """Tell the feed, by way of the bus."""
        shared = self._node.instruments
        for one in told:
            kind, labels = f"{OWN_EVENTS}{one.kind}", one.alert.labels
            tenant, consumer = labels.get("tenant", ""), labels.get("consumer", "")
            if one.kind == "inactive" or not shared.limiter.admit(kind, tenant, consumer, self._node.clock.monotonic()):
                continue
            self._node.publish(
                Event(kind=kind, at=self._node.clock.wall(), tenant=tenant, consumer=consumer, details=_details(one))
            )

    # --- the outbox ---

    async def send(self) -> None:
        """Send what waits in the outbox while this process is on duty, for as long as the node lives."""
        under_way: set[asyncio.Future[None]] = set()
        while True:
            self._posted.clear()
            for claim in await self._claims():
                one = asyncio.ensure_future(self._deliver(claim))
                under_way.add(one)
                one.add_done_callback(under_way.discard)
            await _heard(self._posted, SEND_INTERVAL)

    async def _claims(self) -> list[Claim]:
        if not self._on_duty:
            return []
        try:
            return await self._thread.run(self.outbox.claim)
        except Exception as error:  # noqa: BLE001 - the border: the database is away, and may come back
            record_fault("outbox", error)
            await asyncio.sleep(SEND_INTERVAL)
            return []

    async def _deliver(self, claim: Claim) -> None:
        try:
            await self._senders.run(self.outbox.deliver, claim)
        except Exception as error:  # noqa: BLE001 - the border: the claim ends, and it is sent again
            record_fault("outbox", error)
        # The receiver is free: it may have something else to be told.
        self._posted.set()

    # --- what it says of itself ---

    def measured(self) -> list[Packed]:
        """Its numbers, packed as a host's metrics are; most of them only where the rules are evaluated."""
        outbox, oldest = self.outbox, self.outbox.oldest
        sent = [((receiver, result), float(count)) for (receiver, result), count in dict(outbox.counts).items()]
        counts: Packed = (
            "hub_deliveries_total", "counter", "Attempts to tell receivers, by what became of them.",
            ("receiver", "result"), (), list(sent),
        )  # fmt: skip
        if not self._on_duty:
            return [counts]
        firing = self.duty.firing
        age = 0.0 if oldest is None else max(0.0, self._node.clock.wall() - oldest)
        numbers: tuple[tuple[str, str, tuple[str, ...], Series], ...] = (
            (
                "hub_alerts_firing", "Alerts that fire.", ("severity",),
                [((severity,), float(firing.get(severity, 0))) for severity in SEVERITIES],
            ),
            ("hub_outbox_waiting", "Messages that wait for their receivers.", (), [((), float(outbox.waiting))]),
            ("hub_outbox_oldest_seconds", "How long the oldest of them has waited.", (), [((), age)]),
            (
                "hub_evaluation_seconds", "Time that the last evaluation of the rules took.", (),
                [((), self.evaluation_seconds)],
            ),
        )  # fmt: skip
        return [counts, *((name, "gauge", text, labels, (), series) for name, text, labels, series in numbers)]

    # --- the end ---

    def end(self) -> None:
        """Leave the lease to others; what is on its way to a receiver is finished, and nothing new begins."""
        now, self._on_duty = self._node.clock.wall(), False
        self._thread.end(lambda: self._leave(now))
        self._senders.end()

    def _leave(self, now: float) -> None:
        try:
            self.duty.leave(now)
        except Exception as error:  # noqa: BLE001 - the border: the lease ends by itself
            record_fault("alerting", error)


async def _heard(event: asyncio.Event, seconds: float) -> None:
    """Wait until something happens, for so many seconds at most."""
    # Not `asyncio.wait_for`: until Python 3.12 it swallows a cancellation that comes together with the event.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _details(told: Told) -> dict[str, Any]:
    """What an event says of an alert."""
    alert = told.alert
    details = {"rule": alert.rule, "severity": alert.severity, "key": alert.key, "summary": alert.summary[:300]}
    return {**details, "by": told.by} if told.by else details


def _has_database() -> bool:
    """Whether the host has named a database at all."""
    backend = str(connections[router.db_for_write(Evaluator)].settings_dict["ENGINE"])
    return not backend.endswith(".dummy")


def attach(node: Node, setup: Setup | None = None) -> None:
    """Give a new node its part in alerting; the fleet's view must be there already."""
    settings = node.instruments.config
    if not settings.alerts or not _has_database():
        return
    service = AlertService(node, setup or read_setup(settings))
    node.add(service, service.tick)
    node.keep(service.follow, "alerting")
    node.keep(service.run, "alerting")
    node.keep(service.send, "alerting")
    node.at_end(service.end)
    node.measure_alerts = service.measured
