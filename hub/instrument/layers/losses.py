"""
Who is behind a channel, and what was lost on the way to them.

A channel layer knows channels and groups, the ledger knows consumers and tenants. Each channel of a monitored
connection is *live* from the moment the layer has named it; when its connection has ended it is *ended*: what was
sent before that and never taken is lost, what is sent after it has nobody to miss it. Any other channel is *unknown*:
of another process, of a worker, or of a connection that nobody monitors.

Of ended channels the last ones are remembered. One that is not, and that a layer of this process must have named all
the same, for it bears its mark, is taken for one that ended long ago: stale members of groups may be sent to for a day.
"""

from collections.abc import Callable
from contextvars import ContextVar
from threading import Lock
from typing import Any, Protocol

from hub.core.events import Detail, Event
from hub.core.layers import Drop, Drops, Run, Runs
from hub.core.ledger import TEARDOWN, UNKNOWN, Connection, Counts, increment
from hub.core.redaction import redact
from hub.core.snapshot import DropRow
from hub.faults import record_fault
from hub.instrument.state import Instruments, instruments

#: Groups of a channel that are named.
MAX_GROUPS = 3
#: Ended channels that are remembered, for messages that are still on their way to them; and those of this process that
#: belong to no monitored connection.
MAX_ENDED = 10_000

#: The connection whose consumer runs here: whose a new channel will be.
CONNECTION: ContextVar[Connection | None] = ContextVar("hub_connection", default=None)


class Layer(Protocol):
    """What the register asks of an instrumented layer."""

    hub_alias: str
    hub_unknown: str

    def hub_left(self, channel: str) -> int:
        """The channel's connection has ended: how many messages for it does this process still hold?"""

    def hub_waiting(self, channel: str) -> int:
        """How many messages this process holds for a channel."""

    def hub_oldest(self, channel: str) -> float | None:
        """When the oldest of them was sent, by the wall clock; None if there is none, or that is not known."""

    def hub_groups(self, channel: str) -> list[str]:
        """Groups that a channel is in, as far as this process knows."""


class Link:
    """
    Ties a connection to its channel.

    Attributes:
        channel: The name that its consumer receives on; others that it asks for belong to it as well.
        sent_at: When the message taken last was sent, by the wall clock; None: unknown.
        taken: It is not dispatched yet.
    """

    __slots__ = ("_losses", "_others", "channel", "connection", "layer", "sent_at", "taken")

    def __init__(self, losses: "Losses", connection: Connection, layer: Layer, channel: str) -> None:
        self._losses = losses
        self._others: list[tuple[Layer, str]] | None = None
        self.connection = connection
        self.layer = layer
        self.channel = channel
        self.sent_at: float | None = None
        self.taken = False

    def add(self, layer: Layer, channel: str) -> None:
        """The connection has asked for one more channel."""
        self._others = [*(self._others or ()), (layer, channel)]

    def dispatched(self, counts: Counts, seconds: float) -> None:
        """See `hub.core.ledger.Linked`."""
        self.taken = False
        if self.sent_at is not None:
            # The sender's clock may run ahead of ours.
            counts.layer_wait.observe(max(0.0, self._losses.instruments.clock.wall() - seconds - self.sent_at))

    def undispatched(self) -> int:
        """See `hub.core.ledger.Linked`."""
        return int(self.taken)

    def oldest(self) -> float | None:
        """See `hub.core.ledger.Linked`."""
        try:
            return self.layer.hub_oldest(self.channel)
        except Exception as error:  # noqa: BLE001 - the border: one layer's fault must not hide what else is slow
            record_fault("channel layer", error)
            return None

    def waits(self) -> dict[str, Detail]:
        """See `hub.core.ledger.Linked`."""
        layer, oldest = self.layer, self.oldest()
        details: dict[str, Detail] = {
            "layer": layer.hub_alias, "channel": redact(self.channel), "waiting": layer.hub_waiting(self.channel),
        }  # fmt: skip
        if oldest is not None:
            details["oldest_seconds"] = round(max(0.0, self._losses.instruments.clock.wall() - oldest), 3)
        groups = layer.hub_groups(self.channel)
        if groups:
            more = [f"and {len(groups) - MAX_GROUPS} more"] if len(groups) > MAX_GROUPS else []
            details["groups"] = ", ".join([redact(group) for group in groups[:MAX_GROUPS]] + more)
        if layer.hub_unknown:
            details["unknown"] = layer.hub_unknown
        return details

    def ended(self) -> None:
        """See `hub.core.ledger.Linked`."""
        self._losses.ended(self.connection, [(self.layer, self.channel), *(self._others or ())])


class Losses:
    """
    Counts what channel layers lose, for all loops and threads of the process.

    Losses are rare, so a lock is no cost; it is never held while anything waits.

    Attributes:
        links: Live channels.
        gaps: How often messages were lost in a number that nobody can know, by layer.
        on_pending: Called when something waits for `flush`, from any thread.
    """

    def __init__(self, shared: Instruments) -> None:
        self.instruments = shared
        self.links: dict[str, Link] = {}
        self.gaps: dict[str, int] = {}
        self.on_pending: Callable[[], None] | None = None
        self._ended: dict[str, tuple[Counts, float]] = {}
        #: What stands before the "!" in names that layers of this process give; such names of unmonitored consumers.
        self._marks: set[str] = set()
        self._unmonitored: dict[str, None] = {}
        self._drops = Drops()
        self._runs = Runs()
        self._lock = Lock()

    # --- channels ---

    def linked(self, connection: Connection, layer: Layer, channel: str) -> None:
        """The layer has given a connection a channel."""
        link = connection.link
        if isinstance(link, Link):
            link.add(layer, channel)
        else:
            link = connection.link = Link(self, connection, layer, channel)
        self.links[channel] = link
        self._marks.add(_mark(channel))

    def unmonitored(self, channel: str) -> None:
        """The layer has named a channel for somebody else in this process."""
        self._marks.add(_mark(channel))
        self._unmonitored[channel] = None
        _trim(self._unmonitored)

    def ended(self, connection: Connection, channels: list[tuple[Layer, str]]) -> None:
        """A connection is no more; what waits for it in this process will never be taken."""
        connection.link = None
        counts = self.instruments.ledger.settle(connection)
        for layer, channel in channels:
            try:
                left = layer.hub_left(channel)
            except Exception as error:  # noqa: BLE001 - the border: nothing may keep a connection from ending
                record_fault("channel layer", error)
                left = 0
            self.record(TEARDOWN, channel, left)
            self.links.pop(channel, None)
            self._ended[channel] = (counts, self.instruments.clock.wall())
        _trim(self._ended)

    def is_ended(self, channel: str) -> bool:
        """Whether the channel's connection was one of ours and is no more."""
        return channel in self._ended or self._is_forgotten(channel)

    def _is_forgotten(self, channel: str) -> bool:
        mark = _mark(channel)
        return bool(mark) and mark in self._marks and channel not in self.links and channel not in self._unmonitored

    def taken(self, channel: str, sent_at: float | None) -> None:
        """A message was taken from a channel by whoever receives on it."""
        link = self.links.get(channel)
        if link is not None and link.channel == channel:
            link.sent_at, link.taken = sent_at, True

    # --- losses ---

    def record(
        self, reason: str, channel: str, count: int = 1, *, group: str = "", sent_at: float | None = None
    ) -> None:
        """
        Messages for a channel are lost.

        Args:
            channel: As far as known; empty if not.
            sent_at: When they were sent, by the wall clock; only such messages can have been sent to a channel
                before its connection ended, any other one has nobody to miss it.
        """
        if not count:
            return
        link = self.links.get(channel)
        connection = "" if link is None else str(link.connection.number)
        with self._lock:
            if link is not None:
                counts = self.instruments.ledger.settle(link.connection)
            elif channel in self._ended:
                counts, ended_at = self._ended[channel]
                if sent_at is None or sent_at > ended_at:
                    return
                reason = TEARDOWN
            elif self._is_forgotten(channel):
                return
            else:
                counts = self.instruments.ledger.unattributed()
            increment(counts.lost, reason, count)
            self._drops.add((reason, counts.consumer, counts.tenant, group), count, channel, connection)
        if self.on_pending is not None:
            self.on_pending()

    def tell_frames(self, reason: str, connection: Connection, count: int) -> None:
        """Frames to the client of a connection are lost, and counted already."""
        counts = self.instruments.ledger.settle(connection)
        with self._lock:
            self._drops.add((reason, counts.consumer, counts.tenant, ""), count, "", str(connection.number))
        if self.on_pending is not None:
            self.on_pending()

    def record_gap(self, layer: str, **details: Detail) -> None:
        """Messages were lost, nobody can know how many."""
        with self._lock:
            increment(self.gaps, layer)
            self._runs.add_gap(layer, self.instruments.clock.monotonic())
        if self.instruments.limiter.admit("frames.dropped", "", UNKNOWN, self.instruments.clock.monotonic()):
            self._publish("", UNKNOWN, "", {"reason": UNKNOWN, "layer": layer, "messages": None, **details})

    def flush(self) -> None:
        """Tell of what was lost since the last time: one event for each reason, consumer, tenant and group."""
        limiter, clock = self.instruments.limiter, self.instruments.clock
        with self._lock:
            drops = self._drops.take()
            for drop in drops:
                self._runs.add(drop, clock.monotonic())
        for drop in drops:
            if limiter.admit("frames.dropped", drop.tenant, drop.consumer, clock.monotonic()):
                connection = next(iter(drop.connections)) if len(drop.connections) == 1 else ""
                self._publish(drop.tenant, drop.consumer, connection, _details(drop))

    def recent(self) -> list[DropRow]:
        """What was lost of late, as far as it was told."""
        clock = self.instruments.clock
        now = clock.monotonic()
        ahead = clock.wall() - now
        with self._lock:
            self._runs.expire(now)
            return [_row(run, ahead) for run in self._runs]

    def _publish(self, tenant: str, consumer: str, connection: str, details: dict[str, Detail]) -> None:
        event = Event(
            kind="frames.dropped", at=self.instruments.clock.wall(), tenant=tenant, consumer=consumer,
            connection=connection, details=details,
        )  # fmt: skip
        self.instruments.publish(event)


def _mark(channel: str) -> str:
    """What layers put before the "!" in the names that they give; empty where they don't."""
    return channel.rpartition("!")[0]


def _trim(channels: dict[str, Any]) -> None:
    while len(channels) > MAX_ENDED:
        channels.pop(next(iter(channels)), None)


def _details(drop: Drop) -> dict[str, Detail]:
    details: dict[str, Detail] = {"reason": drop.reason, "messages": drop.count}
    if drop.group:
        details["group"] = redact(drop.group)
    if len(drop.channels) == 1:
        details["channel"] = redact(next(iter(drop.channels)))
    elif drop.channels:
        details["channels"] = len(drop.channels)
    return details


def _row(run: Run, ahead: float) -> DropRow:
    """
    A run as it travels.

    Args:
        ahead: The wall clock's lead over the monotonic one, in seconds.
    """
    return DropRow(
        reason=run.reason, consumer=run.consumer, tenant=run.tenant, group=redact(run.group),
        since=ahead + run.since, at=ahead + run.at, messages=run.messages, layer=run.layer,
        channel=redact(next(iter(run.channels))) if len(run.channels) == 1 else "", channels=len(run.channels),
        connection=next(iter(run.connections)) if len(run.connections) == 1 else "", connections=len(run.connections),
    )  # fmt: skip


_current: list[Losses] = []


def losses() -> Losses:
    """Those of this process; new ones with new instruments."""
    shared = instruments()
    if not _current or _current[0].instruments is not shared:
        _current[:] = [Losses(shared)]
    return _current[0]
