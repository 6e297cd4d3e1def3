"""
Alerting on a node: what the fleet's view and the bus bring goes to the evaluator's duty, what that decides to the
outbox and to the feed.

Nothing here works on the event loop but reading the view, in slices, and handing over. One thread evaluates, writes
down and takes out of the outbox, and each receiver has one in which it may hang; between what happens and whoever is
told there is no turn of the loop, since a storm makes turns long just when somebody has to be told. A database that is
not there, or has not been migrated, is a fault that is recorded, and tried again.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from django.db import DatabaseError, connections, router

from hub.alerting.duty import Duty, Told
from hub.alerting.outbox import Claim, Outbox
from hub.alerting.retention import expire
from hub.alerting.setup import Setup, read_setup
from hub.alerting.sources import Read, Reader
from hub.alerting.store import Store
from hub.alerting.threads import Threads
from hub.bus.base import Payload
from hub.clock import processor_time
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
#: Seconds between two looks at the outbox though nobody has put anything into it.
SEND_INTERVAL = 2.0
#: Of its time the thread spends at most one part in so many on the processor, unless something happens.
SHARE = 4
#: Seconds after which a database that failed is tried again, unless something happens.
RETRY_INTERVAL = 5.0
#: Ticks and events that wait for the engine at most; beyond, the oldest is dropped.
MAX_TICKS, MAX_EVENTS = 60, 10_000
#: Seconds between two times that what is old is deleted.
EXPIRE_INTERVAL = 60.0
#: Seconds that the thread keeps a connection to the database.
CONNECTION_AGE = 60.0
#: Events about alerts themselves: rules don't look at them.
OWN_EVENTS = "alert."

Series = list[tuple[tuple[str, ...], Any]]
Item = TypeVar("Item")


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
        self._happened = threading.Event()
        self._posted = self._ended = False
        self._thread = Threads(1, "hub-alerting")
        self._senders = Threads(max(1, len(setup.receivers)), "hub-outbox")
        self._expire_at = self._send_at = self._connect_at = 0.0

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

    # --- the thread ---

    async def run(self) -> None:
        """Evaluate and send, for as long as the node lives."""
        await asyncio.sleep(START_DELAY)
        try:
            await self._thread.run(self._work)
        finally:
            self.end()

    def _work(self) -> None:
        # Where nobody has ended it, the interpreter may.
        while not self._ended and threading.main_thread().is_alive():
            began = processor_time()
            rest = self._step()
            self._happened.wait(max(rest, SHARE * (processor_time() - began)))
            self._happened.clear()

    def _step(self) -> float:
        """Evaluate what waits, and send what is written. Returns seconds until it is time again."""
        wall = self._node.clock.wall
        try:
            self._reconnect()
            self._evaluate()
            rest = self.duty.rest(wall())
        except Exception as error:  # noqa: BLE001 - the border: the database is away, and may come back
            record_fault("alerting", error)
            self._connect_at, rest = 0.0, RETRY_INTERVAL
        self._on_duty = self.duty.engine is not None and not self._ended
        if self._on_duty:
            self._send()
        return rest

    def _reconnect(self) -> None:
        """Begin with a new connection to the database from time to time, and after a fault."""
        now = self._node.clock.monotonic()
        if now >= self._connect_at:
            self._connect_at = now + CONNECTION_AGE
            connections.close_all()

    def _evaluate(self) -> None:
        clock, duty = self._node.clock, self.duty
        if not duty.stand_by(clock.wall()):
            self._ticks.clear()
            self._events.clear()
            return
        for event, at in _taken(self._events):
            duty.event(event, at)
        for samples, at in _taken(self._ticks):
            began = clock.monotonic()
            duty.tick(samples, at)
            self.evaluation_seconds = clock.monotonic() - began
        flushed = duty.flush(clock.wall())
        self._posted = self._posted or flushed.posted
        if flushed.told:
            self._on_loop(self._tell, flushed.told)
        if duty.engine is not None and clock.wall() >= self._expire_at:
            self._expire(clock.wall())

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

    def _on_loop(self, call: Callable[[Iterable[Told]], None], told: Iterable[Told]) -> None:
        # The loop may have ended.
        with suppress(RuntimeError):
            self._node.loop.call_soon_threadsafe(call, told)

    # --- the outbox ---

    def _send(self) -> None:
        """Begin to send what waits in the outbox, if there may be something."""
        now = self._node.clock.monotonic()
        if not self._posted and now < self._send_at:
            return
        # Before it looks: what is put in meanwhile is seen the next time.
        self._posted, self._send_at = False, now + SEND_INTERVAL
        try:
            claims = self.outbox.claim()
        except Exception as error:  # noqa: BLE001 - the border: the database is away, and may come back
            record_fault("outbox", error)
            self._connect_at = 0.0
            return
        for claim in claims:
            self._senders.begin(self._deliver, claim)

    def _deliver(self, claim: Claim) -> None:
        try:
            self.outbox.deliver(claim)
        except Exception as error:  # noqa: BLE001 - the border: the claim ends, and it is sent again
            record_fault("outbox", error)
        # The receiver is free: it may have something else to be told.
        self._posted = True
        self._happened.set()

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
        now, self._on_duty, self._ended = self._node.clock.wall(), False, True
        self._happened.set()
        self._thread.end(lambda: self._leave(now))
        self._senders.end()

    def _leave(self, now: float) -> None:
        try:
            self.duty.leave(now)
        except Exception as error:  # noqa: BLE001 - the border: the lease ends by itself
            record_fault("alerting", error)


def _taken(queue: deque[Item]) -> Iterator[Item]:
    """All that waits in a queue, into which somebody else may put more meanwhile: that waits for the next time."""
    for _ in range(len(queue)):
        yield queue.popleft()


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
    node.at_end(service.end)
    node.measure_alerts = service.measured
