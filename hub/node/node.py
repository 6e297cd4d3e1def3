"""
The node: one process at work. Once a second it samples its ledger and tells the bus; events go out at once.

It starts with the first call of a monitored application, in that call's event loop. Rooms above it register what
they want to do with it (`on_new_node`), on each tick and on stopping; `hub/apps.py` connects them.
"""

import asyncio
import os
import secrets
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar

from hub import __version__
from hub.bus.base import Bus
from hub.bus.memory import MemoryBus
from hub.clock import Clock
from hub.core.events import Event
from hub.core.metrics import Packed
from hub.core.snapshot import NodeSnapshot
from hub.faults import record_fault
from hub.instrument.state import Instruments, instruments
from hub.metrics import REGISTRY
from hub.node.sampler import Sampler

#: Seconds between two samples.
CADENCE = 1.0
#: Seconds that a node counts as live after its last snapshot.
LEASE = 10.0
#: Events that wait for the bus at most; beyond, the oldest is dropped and counted as a fault.
MAX_PENDING_EVENTS = 10_000

Part = TypeVar("Part")
Tick = Callable[[float], Awaitable[None]]


class Node:
    """
    One process at work.

    Args:
        shared: The process's instruments.
        bus: How it talks to the fleet.

    Attributes:
        name: Host and process id.
        boot: Unique for this start.
        events_sent: Events handed to the bus.
    """

    def __init__(self, shared: Instruments, bus: Bus) -> None:
        self.instruments = shared
        self.bus = bus
        self.clock: Clock = shared.clock
        self.host = socket.gethostname()
        self.name = f"{self.host}:{os.getpid()}"
        self.boot = secrets.token_hex(4)
        self.started_at = self.clock.wall()
        self.events_sent = 0
        self.sampler_seconds = 0.0
        self.loop_lag: float | None = None
        #: Gives the worst episodes of slowness, packed; a part that looks for them takes its place.
        self.rank_slow: Callable[[], list[list[Any]]] = list
        #: Gives what is measured of the process as a whole, as packed metrics; likewise.
        self.measure_process: Callable[[], list[Packed]] = list
        #: Gives what alerting says of itself, as packed metrics; likewise.
        self.measure_alerts: Callable[[], list[Packed]] = list
        #: Give what was lost of late and how full channel layers are, packed; likewise.
        self.list_drops: Callable[[], list[list[Any]]] = list
        self.list_layers: Callable[[], list[list[Any]]] = list
        self.loop = asyncio.get_running_loop()
        self.sampler = Sampler(shared.ledger)
        self._parts: dict[type, Any] = {}
        self._ticks: list[Tick] = []
        self._endings: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._pending: deque[Event] = deque(maxlen=MAX_PENDING_EVENTS)
        self._wake = asyncio.Event()

    # --- parts of the rooms above ---

    def add(self, part: object, tick: Tick | None = None) -> None:
        """Let a part live with this node, found by its type, and be called on each tick."""
        self._parts[type(part)] = part
        if tick is not None:
            self._ticks.append(tick)

    def part(self, kind: type[Part]) -> Part:
        """The part of a type, as it was added."""
        found: Part = self._parts[kind]
        return found

    def keep(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        """Run something for as long as the node lives; a fault in it is counted, not raised."""
        self._tasks.append(self.loop.create_task(_guarded(work, name), name=f"hub {name}"))

    def at_end(self, ending: Callable[[], None]) -> None:
        """Call something when the node ends, or when another takes its place because its loop is gone."""
        self._endings.append(ending)

    # --- life ---

    def start(self) -> None:
        """Begin to sample and to send events."""
        self.instruments.listeners.append(self.publish)
        self.keep(self._send_events, "events")
        self.keep(self._run, "node")
        self.publish(
            Event(kind="node.started", at=self.started_at, details={"version": __version__, "pid": os.getpid()})
        )

    async def stop(self) -> None:
        """End all tasks and withdraw from the fleet."""
        self.detach()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.bus.withdraw(self.name)

    def detach(self) -> None:
        """Let go of the instruments and of all that the parts hold on to."""
        if self.publish in self.instruments.listeners:
            self.instruments.listeners.remove(self.publish)
        while self._endings:
            self._endings.pop()()

    @property
    def alive(self) -> bool:
        """Whether its event loop still runs it."""
        return not self.loop.is_closed() and self.loop.is_running()

    # --- numbers ---

    async def _run(self) -> None:
        due = self.loop.time()
        while True:
            self.loop_lag = max(0.0, self.loop.time() - due)
            try:
                await self.tick()
            except Exception as error:  # noqa: BLE001 - the border: the next second is a new chance
                record_fault("node tick", error)
            due = max(due + CADENCE, self.loop.time())
            await asyncio.sleep(due - self.loop.time())

    async def tick(self) -> None:
        """Sample, publish, and let the parts do what they do each second."""
        began = self.clock.monotonic()
        snapshot = await self.snapshot()
        await self.bus.publish(self.name, snapshot.pack(), LEASE)
        self.sampler_seconds = self.clock.monotonic() - began
        for event in self.instruments.limiter.summaries(self.clock.wall()):
            self.publish(event)
        now = self.clock.wall()
        for tick in self._ticks:
            try:
                await tick(now)
            except Exception as error:  # noqa: BLE001 - the border: a part's fault must not stop the others
                record_fault("node tick", error)

    async def snapshot(self) -> NodeSnapshot:
        """What this process has counted up to now."""
        rows = await self.sampler.sample()
        return NodeSnapshot(
            node=self.name, boot=self.boot, host=self.host, pid=os.getpid(), version=__version__,
            started_at=self.started_at, at=self.clock.wall(), rows=rows, metrics=REGISTRY.pack(),
            sampler_seconds=self.sampler_seconds, loop_lag=self.loop_lag, slow=self.rank_slow(),
            drops=self.list_drops(), layers=self.list_layers(),
        )  # fmt: skip

    # --- events ---

    def publish(self, event: Event) -> None:
        """Queue an event for the bus; callable from any thread of this process."""
        if len(self._pending) == MAX_PENDING_EVENTS:
            record_fault("event queue", OverflowError(f"over {MAX_PENDING_EVENTS} events wait for the bus"))
        self._pending.append(event)
        self._wake_sender()

    def _wake_sender(self) -> None:
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self.loop:
            self._wake.set()
        elif self.alive:
            self.loop.call_soon_threadsafe(self._wake.set)

    async def _send_events(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                await self._send(self._pending[0])

    async def _send(self, event: Event) -> None:
        """Hand an event to the bus; it stays first in the queue until that worked."""
        try:
            await self.bus.append({**asdict(event), "severity": event.severity, "node": self.name})
        except Exception as error:  # noqa: BLE001 - the border: the bus is away, and may come back
            record_fault("events", error)
            await asyncio.sleep(CADENCE)
            return
        self.events_sent += 1
        if self._pending and self._pending[0] is event:
            self._pending.popleft()


async def _guarded(work: Callable[[], Awaitable[None]], name: str) -> None:
    try:
        await work()
    except Exception as error:  # noqa: BLE001 - the border: a task of the hub's must not end in silence
        record_fault(name, error)


_current: list[Node] = []
_builders: list[Callable[[Node], None]] = []


def on_new_node(builder: Callable[[Node], None]) -> None:
    """Register what a room above adds to each new node."""
    if builder not in _builders:
        _builders.append(builder)


def current_node() -> Node | None:
    """The node of this process, if it runs."""
    return _current[0] if _current and _current[0].alive else None


def ensure_node() -> None:
    """Start this process's node in the running event loop, unless it runs already."""
    if _current and _current[0].alive:
        return
    shared = instruments()
    if _current:
        # Its loop is gone (tests, a reloader): nothing of it runs any more.
        _current[0].detach()
    settings = shared.config
    bus = MemoryBus(shared.clock.monotonic, settings.event_retention, settings.event_retention_seconds)
    node = Node(shared, bus)
    _current[:] = [node]
    for builder in _builders:
        builder(node)
    node.start()
