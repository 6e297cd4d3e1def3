"""
What one operator sees: decides which frames go out next; no I/O.

A session is *waiting* until its first subscription, then *subscribed*; while events are replayed it is *replaying*
as well, and live events wait. It is *closing* once `close_code` is set. Numbers are never queued: when there is
room, the newest delta is built from the last version sent. Events are queued up to a limit; beyond it the operator
is too slow and is closed with a cursor.
"""

from collections import deque
from dataclasses import dataclass

import msgspec

from hub.access import Rights
from hub.bus.base import Entry
from hub.feed import wire
from hub.feed.topics import Encoded, Topics, encode, scopes_of


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an operator may send and leave unread; see `hub.conf.Config`."""

    buffer_events: int
    heartbeat: float


@dataclass(frozen=True, slots=True)
class Subscription:
    """What an operator wants to see, with everything it may not see left out."""

    topics: tuple[wire.Topic, ...]
    scopes: tuple[str | None, ...]
    tenants: frozenset[str] | None
    consumers: frozenset[str] | None
    severities: frozenset[str] | None
    cadence: int

    def wants(self, event: wire.Event) -> bool:
        """Whether an event belongs to it."""
        return (
            "events" in self.topics
            and (self.tenants is None or event.tenant in self.tenants)
            and (self.consumers is None or event.consumer in self.consumers)
            and (self.severities is None or event.severity in self.severities)
        )


class EncodedEvent:
    """An event of the bus as a wire message, encoded once per subprotocol."""

    __slots__ = ("_frames", "event", "id")

    def __init__(self, entry: Entry, cursor: str) -> None:
        self.id = entry.id
        self.event = wire.Event(cursor=cursor, **entry.payload)
        self._frames: dict[str, Encoded] = {}

    def frame(self, subprotocol: str) -> Encoded:
        """The event as a frame."""
        if subprotocol not in self._frames:
            self._frames[subprotocol] = encode(self.event, subprotocol)
        return self._frames[subprotocol]


class Session:
    """
    One operator's connection.

    Args:
        topics: What there is to see.
        rights: What the operator may see; replaced when it changes.
        subprotocol: How messages are encoded.
        now: Monotonic time, in seconds.

    Attributes:
        last_id: The newest event that was queued, or that this operator need not see.
        resume_cursor: A resume that waits for its subscription or for the replay.
        replaying: Live events are left to the replay.
        close_code: Set when the connection must be closed.
    """

    def __init__(self, topics: Topics, rights: Rights, subprotocol: str, limits: Limits, now: float) -> None:
        self._topics = topics
        self.rights = rights
        self.subprotocol = subprotocol
        self._limits = limits
        self._outbox: deque[tuple[bool, Encoded]] = deque()
        self._queued_events = 0
        self._allowance = float(wire.CLIENT_BURST)
        self._allowance_at = now
        self._sent_at = now
        self._sent_version = -1
        self._due: deque[tuple[wire.Topic, str | None]] = deque()
        self.subscription: Subscription | None = None
        self.last_id = 0
        self.resume_cursor: str | None = None
        self.replaying = False
        self.fresh_snapshots = False
        self.close_code: int | None = None

    # --- out ---

    def send(self, message: wire.ServerMessage) -> None:
        """Queue a message of its own."""
        self._outbox.append((False, encode(message, self.subprotocol)))

    def offer(self, encoded: EncodedEvent) -> None:
        """A new event: queue it if it is wanted and not left to a replay."""
        if self.replaying or encoded.id <= self.last_id:
            return
        self.queue_event(encoded)

    def queue_event(self, encoded: EncodedEvent) -> None:
        """Queue an event; an operator with too many unsent ones is closed rather than cheated."""
        self.last_id = encoded.id
        if self.subscription is None or not self.subscription.wants(encoded.event):
            return
        if self._queued_events >= self._limits.buffer_events:
            self.close_code = self.close_code or wire.CLOSE_TOO_SLOW
            return
        self._queued_events += 1
        self._outbox.append((True, encoded.frame(self.subprotocol)))

    def tick(self, now: float, cursor: str, wall: float) -> None:
        """A new tick of the fleet: numbers are due at the cadence, a heartbeat after a silence."""
        subscription = self.subscription
        if subscription is not None and not self._due and self._topics.version % subscription.cadence == 0:
            self._due.extend((topic, scope) for topic in subscription.topics for scope in subscription.scopes
                             if topic != "events")  # fmt: skip
        if now - self._sent_at >= self._limits.heartbeat:
            self.heartbeat(wall, cursor, None)
            self._sent_at = now

    def heartbeat(self, wall: float, cursor: str, echo: float | None) -> None:
        """Queue a heartbeat."""
        self.send(wire.ServerHeartbeat(at=wall, cursor=cursor, echo=echo))

    @property
    def pending(self) -> bool:
        """Whether there may be something to send."""
        return bool(self._outbox or self._due)

    def next_frame(self, now: float) -> Encoded | None:
        """The next frame to send; None if nothing is left."""
        if self._outbox:
            is_event, frame = self._outbox.popleft()
            self._queued_events -= is_event
            self._sent_at = now
            return frame
        return self._next_delta(now)

    def _next_delta(self, now: float) -> Encoded | None:
        while self._due and self.subscription is not None:
            topic, scope = self._due.popleft()
            version = self._topics.version
            frame = self._topics.delta(topic, scope, self.subscription.consumers, self._sent_version, self.subprotocol)
            if not self._due:
                self._sent_version = version
            if frame is not None:
                self._sent_at = now
                return frame
        return None

    # --- in ---

    def receive(self, frame: str | bytes, now: float, cursor: str, wall: float) -> None:
        """A frame of the operator; whatever is wrong with it becomes a result with an error, or the end."""
        if not self._allowed(now):
            self.close_code = wire.CLOSE_FLOOD
            return
        message, error = decode(frame, self.subprotocol)
        if error is not None:
            self.send(wire.Result(ref=_ref_of(frame, self.subprotocol), ok=False, error=error))
        elif isinstance(message, wire.Subscribe):
            self._subscribe(message, cursor)
        elif isinstance(message, wire.Resume):
            self.resume_cursor = message.cursor
            if message.ref is not None:
                self.send(wire.Result(ref=message.ref, ok=True))
        elif isinstance(message, wire.ClientHeartbeat):
            self.heartbeat(wall, cursor, message.sent_at)

    def _allowed(self, now: float) -> bool:
        refilled = self._allowance + (now - self._allowance_at) * wire.CLIENT_RATE
        self._allowance = min(float(wire.CLIENT_BURST), refilled) - 1
        self._allowance_at = now
        return self._allowance >= 0

    def _subscribe(self, message: wire.Subscribe, cursor: str) -> None:
        forbidden = [tenant for tenant in message.tenants or () if not self.rights.sees(tenant)]
        if forbidden:
            text = f"you may not see the tenant {forbidden[0]!r}; leave tenants out to see all that you may"
            self.send(wire.Result(ref=message.ref, ok=False, error=wire.Error("not_allowed", text)))
            return
        tenants = self.rights.tenants if message.tenants is None else frozenset(message.tenants)
        self.subscription = Subscription(
            topics=tuple(dict.fromkeys(message.topics or wire.TOPICS)),
            scopes=tuple(scopes_of(self.rights, message.tenants)),
            tenants=tenants,
            consumers=None if message.consumers is None else frozenset(message.consumers),
            severities=None if message.severities is None else frozenset(message.severities),
            cadence=message.cadence,
        )
        self.send(wire.Result(ref=message.ref, ok=True))
        self.send_snapshots(cursor)
        self.fresh_snapshots = True

    def send_snapshots(self, cursor: str) -> None:
        """Queue the whole of each subscribed topic but the events; deltas follow from here."""
        if self.subscription is None:
            return
        for topic in self.subscription.topics:
            for scope in self.subscription.scopes:
                if topic != "events":
                    self._send_snapshot(topic, scope, cursor)
        self._due.clear()
        self._sent_version = self._topics.version

    def _send_snapshot(self, topic: wire.Topic, scope: str | None, cursor: str) -> None:
        consumers = self.subscription.consumers if self.subscription else None
        frame = self._topics.snapshot(topic, scope, consumers, cursor, self.subprotocol)
        if frame is not None:
            self._outbox.append((False, frame))

    def send_recent(self, recent: list[EncodedEvent], cursor: str, wall: float) -> None:
        """Queue the snapshot of events: the wanted ones among the most recent."""
        if self.subscription is not None and "events" in self.subscription.topics:
            wanted = [encoded.event for encoded in recent if self.subscription.wants(encoded.event)]
            self.send(wire.Snapshot(topic="events", at=wall, cursor=cursor, events=wanted))


def decode(frame: str | bytes, subprotocol: str) -> tuple[wire.ClientMessage | None, wire.Error | None]:
    """A client's frame as a message, or what is wrong with it."""
    text = isinstance(frame, str)
    if text != (subprotocol == wire.JSON_SUBPROTOCOL):
        expected = "text" if not text else "binary"
        return None, wire.Error("wrong_encoding", f"{subprotocol} takes {expected} frames only")
    raw = frame.encode("utf-8", "surrogatepass") if isinstance(frame, str) else frame
    if len(raw) > wire.MAX_CLIENT_MESSAGE_BYTES:
        text_error = f"{len(raw)} bytes are more than the {wire.MAX_CLIENT_MESSAGE_BYTES} that one message may have"
        return None, wire.Error("too_large", text_error)
    try:
        return wire.DECODERS[subprotocol].decode(raw), None
    except msgspec.ValidationError as error:
        unknown = "`$.type`" in str(error)
        return None, wire.Error("unknown_type" if unknown else "invalid", str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return None, wire.Error("malformed", f"not a {subprotocol.rpartition('.')[2]} message: {error}")


def _ref_of(frame: str | bytes, subprotocol: str) -> str | None:
    """The ref of a message that is wrong otherwise, so that its sender can tell which."""
    if len(frame) > wire.MAX_CLIENT_MESSAGE_BYTES:
        return None
    try:
        plain = msgspec.json.decode(frame) if subprotocol == wire.JSON_SUBPROTOCOL else msgspec.msgpack.decode(frame)  # type: ignore[arg-type]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    ref = plain.get("ref") if isinstance(plain, dict) else None
    return ref if isinstance(ref, str) and 0 < len(ref) <= 64 else None  # noqa: PLR2004 - as `wire.Ref` says
