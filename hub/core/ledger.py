"""
The ledger: what one process has counted, per consumer and tenant, and what it knows of each connection.

A connection is *connecting* until it is accepted; it then is *open* until its consumer returns, and *ended* for
good. A connection that is never accepted goes from *connecting* to *ended* and counts as one failure: ``rejected``
(the consumer refused it), ``error`` (its consumer raised) or ``timeout`` (client or server gave up waiting).

The hot path updates slots of these records directly, on the event loop; no lock, no look-up, no event object.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from hub.core.control import Negotiated
from hub.core.delivery import CLOSED, LEFT, RECEIVED, UNCONFIRMED
from hub.core.events import Detail
from hub.core.latency import DURATION_BOUNDS, LATENCY_BOUNDS, Histogram
from hub.core.policy import Policy

#: Who is connected: an id, unique in the tenant, and a display name, which may be empty.
Member = tuple[str, str]
NO_GROUPS: frozenset[str] = frozenset()
#: What the id of a member begins with that is known by its connection alone.
ANONYMOUS = "anonymous:"

CONNECTING, OPEN, ENDED = "connecting", "open", "ended"

REJECTED, ERROR, TIMEOUT = "rejected", "error", "timeout"
AFTER_CLOSE, TEARDOWN = "after_close", "teardown"
#: How a channel layer loses messages.
CHANNEL_FULL, OVER_CAPACITY, BUFFER_OVERFLOW = "channel_full", "over_capacity", "buffer_overflow"
EXPIRED, GROUP_LOST = "expired", "group_lost"
#: The consumer of what is counted where nobody can say whose it was.
UNKNOWN = "unknown"
#: RFC 6455, section 7.4.1: the codes that an end without a close of either side is counted under.
CODE_ABNORMAL = 1006
CODE_INTERNAL_ERROR = 1011
CODE_NORMAL = 1000


def increment(counts: dict[str, int], key: str, by: int = 1) -> None:
    """Add to one entry of a dictionary of counters."""
    counts[key] = counts.get(key, 0) + by


class Counts:
    """
    Everything counted for one consumer class and one tenant; counters since the process started.

    ``arrived = sum(received) + waiting + inbound_lost``: a client's message is *received* when its handler ends,
    however it ends, *waiting* before that, and lost inbound when its connection ended before its turn came.

    Of clients that confirm frames, and of no other: ``frames sent = confirmed + in_flight + lost["unconfirmed"] +
    unknown``, as of the last time that `Ledger.record_delivery` looked at each of them.
    """

    __slots__ = (
        "accepted", "active", "arrived", "confirmed", "consumer", "disconnects", "duration", "errors", "failures",
        "garbled", "heartbeats", "heartbeats_missed", "in_flight", "inbound_lost", "latency", "layer", "layer_wait",
        "lost", "misnumbered", "received", "received_bytes", "rtt", "sent", "sent_bytes", "slow", "slow_episodes",
        "tenant", "unknown", "wait",
    )  # fmt: skip

    def __init__(self, consumer: str = "", tenant: str = "") -> None:
        self.consumer = consumer
        self.tenant = tenant
        self.active = 0
        self.accepted = 0
        self.arrived = 0
        self.inbound_lost = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self.heartbeats = 0
        self.heartbeats_missed = 0
        self.garbled = 0
        self.confirmed = 0
        self.in_flight = 0
        self.unknown = 0
        self.failures: dict[str, int] = {}
        self.disconnects: dict[str, int] = {}
        self.received: dict[str, int] = {}
        self.layer: dict[str, int] = {}
        self.sent: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        self.lost: dict[str, int] = {}
        self.slow: dict[str, int] = {}
        self.slow_episodes: dict[str, int] = {}
        self.misnumbered: dict[str, int] = {}
        self.latency = Histogram(LATENCY_BOUNDS)
        self.wait = Histogram(LATENCY_BOUNDS)
        self.duration = Histogram(DURATION_BOUNDS)
        self.rtt = Histogram(LATENCY_BOUNDS)
        self.layer_wait = Histogram(LATENCY_BOUNDS)

    @property
    def waiting(self) -> int:
        """Messages of clients that have arrived and whose handler has not ended."""
        return self.arrived - sum(self.received.values()) - self.inbound_lost

    def add(self, other: "Counts") -> None:
        """Merge another's numbers into this one; commutative and associative."""
        for name in NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in MAPPINGS:
            mine = getattr(self, name)
            for key, value in getattr(other, name).items():
                mine[key] = mine.get(key, 0) + value
        for name in HISTOGRAMS:
            getattr(self, name).merge(getattr(other, name))

    def since(self, earlier: "Counts") -> "Counts":
        """What was counted after ``earlier``, an older copy; gauges become their change."""
        change = Counts(self.consumer, self.tenant)
        for name in NUMBERS:
            setattr(change, name, getattr(self, name) - getattr(earlier, name))
        for name in MAPPINGS:
            then = getattr(earlier, name)
            grown = {key: n - then.get(key, 0) for key, n in getattr(self, name).items() if n != then.get(key, 0)}
            setattr(change, name, grown)
        for name in HISTOGRAMS:
            setattr(change, name, getattr(self, name).since(getattr(earlier, name)))
        return change

    def same(self, other: "Counts") -> bool:
        """Whether all numbers are equal."""
        if any(getattr(self, name) != getattr(other, name) for name in NUMBERS + MAPPINGS):
            return False
        return all(self.histogram_of(name).counts == other.histogram_of(name).counts for name in HISTOGRAMS)

    def mark(self) -> tuple[float, ...]:
        """A few numbers, one of which differs as soon as anything was counted in between; cheaper than a copy."""
        return (
            self.active, self.accepted, self.arrived, self.inbound_lost, self.received_bytes, self.sent_bytes,
            self.latency.sum, self.wait.sum, self.duration.sum, self.rtt.sum, self.layer_wait.sum,
            self.heartbeats, self.heartbeats_missed, self.garbled, self.confirmed, self.in_flight, self.unknown,
            *[sum(list(getattr(self, name).values())) for name in MAPPINGS],
        )  # fmt: skip

    def pack(self) -> list[Any]:
        """A copy as plain lists, dictionaries and numbers, to travel on the bus; see `unpack`."""
        # list() first: copying a dictionary's items is atomic, so another thread may do it while the loop counts.
        return [
            self.consumer,
            self.tenant,
            [getattr(self, name) for name in NUMBERS],
            [dict(list(getattr(self, name).items())) for name in MAPPINGS],
            [[list(histogram.counts), histogram.sum] for histogram in map(self.histogram_of, HISTOGRAMS)],
        ]

    def histogram_of(self, name: str) -> Histogram:
        """One of the `HISTOGRAMS`, by name."""
        histogram: Histogram = getattr(self, name)
        return histogram

    @classmethod
    def unpack(cls, packed: list[Any]) -> "Counts":
        """The counterpart of `pack`; shares the packed lists, which must not be changed afterwards."""
        consumer, tenant, numbers, mappings, histograms = packed
        counts = cls(str(consumer), str(tenant))
        for name, number in zip(NUMBERS, numbers, strict=True):
            setattr(counts, name, number)
        for name, mapping in zip(MAPPINGS, mappings, strict=True):
            setattr(counts, name, mapping)
        for name, (buckets, total) in zip(HISTOGRAMS, histograms, strict=True):
            histogram = counts.histogram_of(name)
            histogram.counts, histogram.sum = buckets, total
        return counts


NUMBERS = (
    "active", "accepted", "arrived", "inbound_lost", "received_bytes", "sent_bytes",
    "heartbeats", "heartbeats_missed", "garbled", "confirmed", "in_flight", "unknown",
)  # fmt: skip
MAPPINGS = (
    "failures", "disconnects", "received", "layer", "sent", "errors", "lost", "slow", "slow_episodes", "misnumbered",
)  # fmt: skip
HISTOGRAMS = ("latency", "wait", "duration", "rtt", "layer_wait")


class Linked(Protocol):
    """What ties a connection to its channel in a channel layer."""

    def dispatched(self, counts: Counts, seconds: float) -> None:
        """The message taken last was handled, in so many seconds."""

    def undispatched(self) -> int:
        """How many messages were taken and never dispatched."""

    def oldest(self) -> float | None:
        """
        When the oldest message that waits in the layer was sent, by the wall clock.

        As far as this process holds it; None if none waits, or that is not known.
        """

    def waits(self) -> dict[str, Detail]:
        """What an operator should know of what waits in the layer for this connection."""

    def ended(self) -> None:
        """The connection is no more."""


class Connection:
    """
    What the process knows of one connection: one mutable record, shared by everything that sees the connection.

    Args:
        number: Unique in the process.
        consumer: The consumer's label; may be corrected until the connection is settled.
        opened_at: Monotonic time, in seconds.
        tenant_of: Says the tenant; called once, when the connection is accepted.

    Attributes:
        counts: Where it counts, once it is accepted.
        early: Messages that arrived before that; only a test's server hands over any.
        closing: Either side has closed it: what is sent from now on reaches nobody.
        broken: It was lost, whatever its code says.
        parting: How it parts (`hub.core.delivery`): by what its client did, or by a close from here; None: neither.
        heard_at: When the client last gave a sign of life, in monotonic seconds; zero before it was accepted.
        reading: Somebody waits for what the client sends. While nobody does, its silence says nothing.
        asked: The client's URL says that it speaks control frames.
        control: What is known of a negotiated connection's client; None on a plain connection.
        member: Who is connected, once it was accepted: id and display name; None where presence is off.
        member_of: Says who is connected and in which presence groups; called once, when the connection is accepted.
        groups: Presence groups it is in.
        link: Its tie to a channel layer; None where it has none, or one that is not instrumented.
        policy: How long it may be silent; None where presence is off and there are no control frames.
        touched: Something was sent to it since it was last looked at (`hub.instrument.busy.SENT`), or nobody looks.
    """

    __slots__ = (
        "accepted_at", "arrived_at", "asked", "broken", "closing", "code", "consumer", "control", "counts", "early",
        "failure", "groups", "heard_at", "inbound_type", "link", "member", "member_of", "number", "opened_at",
        "outbound_type", "owner", "parting", "policy", "raw_receive", "raw_send", "reading", "state", "tenant_of",
        "touched",
    )  # fmt: skip

    def __init__(self, number: int, consumer: str, opened_at: float, tenant_of: Callable[[], str]) -> None:
        self.number = number
        self.consumer = consumer
        self.opened_at = opened_at
        self.tenant_of = tenant_of
        self.state = CONNECTING
        self.counts: Counts | None = None
        self.early = 0
        self.accepted_at = 0.0
        self.arrived_at = 0.0
        self.code: int | None = None
        self.failure: str | None = None
        self.closing = False
        self.broken = False
        self.parting: str | None = None
        self.inbound_type: str | None = None
        self.outbound_type: str | None = None
        self.owner: str | None = None
        self.raw_receive: object = None
        self.raw_send: object = None
        self.heard_at = 0.0
        self.reading = True
        self.asked = False
        self.control: Negotiated | None = None
        self.member_of: Callable[[], tuple[Member, frozenset[str]]] | None = None
        self.member: Member | None = None
        self.groups: frozenset[str] = NO_GROUPS
        self.link: Linked | None = None
        self.policy: Policy | None = None
        self.touched = False


class Ledger:
    """All the counts of one process."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], Counts] = {}
        self._opened = 0

    def __iter__(self) -> Iterator[Counts]:
        return iter(list(self.counts.values()))

    @property
    def active(self) -> int:
        """Connections open now."""
        return sum(counts.active for counts in self)

    def open(self, consumer: str, now: float, tenant_of: Callable[[], str]) -> Connection:
        """A connection has come in; nothing is counted yet."""
        self._opened += 1
        return Connection(self._opened, consumer, now, tenant_of)

    def settle(self, connection: Connection) -> Counts:
        """
        The counts that a connection belongs to.

        Before it is accepted nobody has vouched for its tenant: it then counts without one, or any stranger could
        add tenants to the ledger.
        """
        if connection.counts is not None:
            return connection.counts
        accepted = connection.state != CONNECTING and connection.failure is None
        counts = self.row(connection.consumer, connection.tenant_of() if accepted else "")
        counts.arrived += connection.early
        connection.early = 0
        if accepted:
            connection.counts = counts
        return counts

    def unattributed(self) -> Counts:
        """The counts of what was lost where nobody can say whose it was."""
        return self.row(UNKNOWN, "")

    def row(self, consumer: str, tenant: str) -> Counts:
        """The counts of a consumer and tenant."""
        key = (consumer, tenant)
        counts = self.counts.get(key)
        if counts is None:
            counts = self.counts[key] = Counts(*key)
        return counts

    def accept(self, connection: Connection, now: float) -> bool:
        """The connection was accepted. Returns whether that is news."""
        if connection.state != CONNECTING:
            return False
        connection.state = OPEN
        connection.accepted_at = now
        counts = self.settle(connection)
        counts.accepted += 1
        counts.active += 1
        return True

    def reject(self, connection: Connection) -> bool:
        """The consumer refused the connection. Returns whether that is news."""
        if connection.state != CONNECTING or connection.failure is not None:
            return False
        connection.failure = REJECTED
        increment(self.settle(connection).failures, REJECTED)
        return True

    def close(self, connection: Connection, code: int | None) -> None:
        """The consumer closed an open connection; the first code of either side is the one that counts."""
        connection.closing = True
        if connection.code is None:
            connection.code = CODE_NORMAL if code is None else code
            connection.parting = CLOSED

    def reopen(self, connection: Connection) -> None:
        """The server refused the consumer's close: the connection goes on."""
        connection.code, connection.closing, connection.parting = None, False, None

    def disconnect(self, connection: Connection, code: int | None, parting: str | None = LEFT) -> None:
        """The server reports the end of the connection, and whose doing it was if nobody had closed it from here."""
        connection.closing = True
        if connection.code is None:
            connection.code = CODE_ABNORMAL if code is None else code
            connection.parting = parting

    def end(self, connection: Connection, now: float, *, error: bool) -> bool:
        """
        The consumer is done with the connection, with or without an error. Returns whether that is news.

        A connection that was never accepted becomes a failure, unless it was counted as rejected before.
        """
        before = connection.state
        if before == OPEN:
            self._end_open(connection, now, error=error)
        elif before == CONNECTING and connection.failure is None:
            connection.failure = ERROR if error else TIMEOUT
            increment(self.settle(connection).failures, connection.failure)
        connection.state = ENDED
        return before != ENDED

    def _end_open(self, connection: Connection, now: float, *, error: bool) -> None:
        counts = self.settle(connection)
        counts.active -= 1
        counts.duration.observe(now - connection.accepted_at)
        if connection.code is None:
            connection.code = CODE_INTERNAL_ERROR if error else CODE_ABNORMAL
        increment(counts.disconnects, str(connection.code))

    # --- frames to clients that confirm them ---

    def record_delivery(self, connection: Connection) -> None:
        """Count what was sent to a client that confirms frames, and what it has confirmed, since the last time."""
        control = connection.control
        if control is None or not control.speaks:
            return
        counts, (confirmed, in_flight) = self.settle(connection), control.counted
        control.counted = control.frames_confirmed, control.in_flight
        counts.confirmed += control.frames_confirmed - confirmed
        counts.in_flight += control.in_flight - in_flight

    def record_fate(self, connection: Connection, fate: str) -> int:
        """
        Count what became of the frames that the client of an ended connection has not confirmed.

        Returns:
            How many of them are lost.
        """
        control = connection.control
        if control is None or not control.speaks:
            return 0
        frames = control.decide(fate)
        self.record_delivery(connection)
        if fate == RECEIVED or not frames:
            return 0
        counts = self.settle(connection)
        if fate != UNCONFIRMED:
            counts.unknown += frames
            return 0
        increment(counts.lost, UNCONFIRMED, frames)
        return frames
