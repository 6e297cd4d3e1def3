"""
What one operator sees: decides which frames go out next; no I/O.

A session is *waiting* until its first subscription, then *subscribed*; while events are replayed it is *replaying*
as well: the next ones are fetched when those before them are sent, and live events wait. It is *closing* once
`close_code` is set. Numbers are never queued: when there is room, the newest snapshot or delta is built from the
last version sent. Events are queued up to a limit; beyond it the operator is too slow and is closed with a cursor.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import msgspec

from hub.access import Operator
from hub.bus.base import Entry
from hub.feed import wire
from hub.feed.members import Question, parse_place
from hub.feed.topics import Encoded, Topics, encode, scopes_of
from hub.fleet.view import ALL

#: Answers to an operator that may wait to be sent; one who asks and never reads is closed as too slow.
MAX_UNSENT_ANSWERS = 200
#: Topics that belong to the fleet rather than to a tenant.
FLEET_TOPICS: tuple[wire.Topic, ...] = ("layers", "silences", "nodes", "metrics")
#: How numbers are told: the whole of a topic, or what changed.
Build = Literal["snapshot", "delta"]
#: What a decoder raises at bytes that are no message, whatever they are (msgspec's errors are ValueErrors).
UNREADABLE = (ValueError, OverflowError, RecursionError)


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
        operator: Who it is, and what they may do.
        subprotocol: How messages are encoded.
        now: Monotonic time, in seconds.

    Attributes:
        last_id: The newest event that was queued, or that this operator need not see.
        question: A page of the roster that was asked for, and waits to be looked up.
        request: What was asked or is to be done about alerts, likewise.
        resume_cursor: A resume that waits for its subscription.
        replay_after: The newest event that the replay has queued; None when there is no replay.
        close_code: Set when the connection must be closed.
    """

    def __init__(self, topics: Topics, operator: Operator, subprotocol: str, limits: Limits, now: float) -> None:
        self._topics = topics
        self.operator = operator
        self.rights = operator.rights
        self.subprotocol = subprotocol
        self._limits = limits
        self._outbox: deque[tuple[bool, Encoded]] = deque()
        self._queued_events = 0
        self._allowance = float(wire.CLIENT_BURST)
        self._allowance_at = now
        self._sent_at = now
        self._sent_version = -1
        self._batch_version: int | None = None
        self._due: deque[tuple[Build, wire.Topic, str | None]] = deque()
        self.subscription: Subscription | None = None
        self.last_id = 0
        self.question: Question | None = None
        self.request: wire.AlertRequest | None = None
        self.resume_cursor: str | None = None
        self.replay_after: int | None = None
        self.fresh_snapshots = False
        self.close_code: int | None = None

    # --- out ---

    def send(self, message: wire.ServerMessage) -> None:
        """Queue a message of its own; an operator that leaves too many unread is closed."""
        if len(self._outbox) - self._queued_events >= MAX_UNSENT_ANSWERS:
            self.close_code = self.close_code or wire.CLOSE_TOO_SLOW
            return
        self._outbox.append((False, encode(message, self.subprotocol)))

    def offer(self, encoded: EncodedEvent) -> None:
        """A new event: queue it if it is wanted and not left to a replay."""
        if self.replaying or encoded.id <= self.last_id:
            return
        self.last_id = encoded.id
        if not self._wants(encoded):
            return
        if self._queued_events >= self._limits.buffer_events:
            # Closed rather than cheated.
            self.close_code = self.close_code or wire.CLOSE_TOO_SLOW
        else:
            self._queue(encoded)

    def _wants(self, encoded: EncodedEvent) -> bool:
        return self.subscription is not None and self.subscription.wants(encoded.event)

    def _queue(self, encoded: EncodedEvent) -> None:
        self._queued_events += 1
        self._outbox.append((True, encoded.frame(self.subprotocol)))

    @property
    def replaying(self) -> bool:
        """Whether live events are left to the replay."""
        return self.replay_after is not None

    def replay(self, events: Iterable[EncodedEvent]) -> None:
        """Queue the next events of the replay. None: it has caught up, and live events go on from there."""
        before = self.replay_after
        for encoded in events:
            self.last_id = self.replay_after = encoded.id
            if self._wants(encoded):
                self._queue(encoded)
        if self.replay_after == before and before is not None:
            self.end_replay(before)

    def end_replay(self, last_id: int) -> None:
        """Live events go on after this one."""
        self.replay_after, self.last_id = None, last_id

    def tick(self, now: float, cursor: str, wall: float) -> None:
        """A new tick of the fleet: numbers are due at the cadence, a heartbeat after a silence."""
        subscription = self.subscription
        if subscription is not None and not self._due and self._topics.version % subscription.cadence == 0:
            self._due.extend(self._numbers("delta"))
        if now - self._sent_at >= self._limits.heartbeat:
            self.heartbeat(wall, cursor, None)
            self._sent_at = now

    def watches(self, *topics: wire.Topic) -> bool:
        """Whether the subscription has any of these topics."""
        return self.subscription is not None and any(topic in self.subscription.topics for topic in topics)

    def _numbers(self, build: Build) -> list[tuple[Build, wire.Topic, str | None]]:
        """Every subscribed topic but the events, in each scope."""
        if self.subscription is None:
            return []
        topics = (topic for topic in self.subscription.topics if topic != "events")
        return [(build, topic, scope) for topic in topics for scope in self._scopes(topic)]

    def _scopes(self, topic: wire.Topic) -> Sequence[str | None]:
        """Some topics are the fleet's: who may see all tenants sees them whichever it has chosen."""
        subscribed = self.subscription.scopes if self.subscription is not None else ()
        if topic not in FLEET_TOPICS:
            return subscribed
        return (ALL,) if self.rights.tenants is None else subscribed

    def heartbeat(self, wall: float, cursor: str, echo: float | None) -> None:
        """Queue a heartbeat, with the cursor up to which this operator has been told everything."""
        if self.replay_after is not None:
            cursor = f"{cursor.rpartition('-')[0]}-{self.replay_after}"
        self.send(wire.ServerHeartbeat(at=wall, cursor=cursor, echo=echo))

    @property
    def closing(self) -> bool:
        """Whether nothing more is to be sent."""
        return self.close_code is not None

    @property
    def pending(self) -> bool:
        """Whether there may be something to send, now or from the replay."""
        return bool(self._outbox or self._due or self.replaying)

    def next_frame(self, now: float, cursor: str) -> Encoded | None:
        """The next frame to send; None if nothing is left but what the replay may bring."""
        if self._outbox:
            is_event, frame = self._outbox.popleft()
            self._queued_events -= is_event
        else:
            numbers = self._next_numbers(cursor)
            if numbers is None:
                return None
            frame = numbers
        self._sent_at = now
        return frame

    def _next_numbers(self, cursor: str) -> Encoded | None:
        """The next snapshot or delta that is due and has something to say."""
        while self._due and self.subscription is not None:
            build, topic, scope = self._due.popleft()
            if self._batch_version is None:
                self._batch_version = self._topics.version
            frame = self._build(build, topic, scope, self.subscription.consumers, cursor)
            if not self._due:
                # That of the first one: a tick may have come since, and the first knows nothing of it.
                self._sent_version, self._batch_version = self._batch_version, None
            if frame is not None:
                return frame
        return None

    def _build(
        self, build: Build, topic: wire.Topic, scope: str | None, consumers: frozenset[str] | None, cursor: str
    ) -> Encoded | None:
        # Beyond what the fleet remembers of removed rows, only a snapshot tells everything.
        if build == "snapshot" or not self._topics.remembers(self._sent_version):
            return self._topics.snapshot(topic, scope, consumers, cursor, self.subprotocol)
        return self._topics.delta(topic, scope, consumers, self._sent_version, self.subprotocol)

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
            self._subscribe(message)
        elif isinstance(message, wire.Resume):
            self.resume_cursor = message.cursor
            if message.ref is not None:
                self.send(wire.Result(ref=message.ref, ok=True))
        elif isinstance(message, wire.ListMembers):
            self._list_members(message)
        elif isinstance(message, wire.AlertRequest):
            self.request = message
        elif isinstance(message, wire.ClientHeartbeat) and isfinite(message.sent_at):
            self.heartbeat(wall, cursor, message.sent_at)
        elif isinstance(message, wire.ClientHeartbeat):
            # JSON has no such numbers, MessagePack has.
            self._refuse(message.ref, "invalid", f"sent_at is {message.sent_at}; send the time in seconds")

    def _refuse(self, ref: str | None, code: Literal["invalid", "not_allowed"], text: str) -> None:
        self.send(wire.Result(ref=ref, ok=False, error=wire.Error(code, text)))

    def _allowed(self, now: float) -> bool:
        refilled = self._allowance + (now - self._allowance_at) * wire.CLIENT_RATE
        self._allowance = min(float(wire.CLIENT_BURST), refilled) - 1
        self._allowance_at = now
        return self._allowance >= 0

    def _subscribe(self, message: wire.Subscribe) -> None:
        forbidden = [tenant for tenant in message.tenants or () if not self.rights.sees(tenant)]
        if forbidden:
            text = f"you may not see the tenant {forbidden[0]!r}; leave tenants out to see all that you may"
            self._refuse(message.ref, "not_allowed", text)
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
        self.send_snapshots()
        self.fresh_snapshots = True

    def _list_members(self, message: wire.ListMembers) -> None:
        if message.tenant is not None and not self.rights.sees(message.tenant):
            text = f"you may not see the tenant {message.tenant!r}; leave it out to see all that you may"
            self._refuse(message.ref, "not_allowed", text)
            return
        try:
            after = None if message.after is None else parse_place(message.after)
        except ValueError as error:
            self._refuse(message.ref, "invalid", str(error))
            return
        self.question = Question(
            ref=message.ref, tenants=self.rights.tenants, tenant=message.tenant, group=message.group,
            states=None if message.states is None else frozenset(message.states),
            search=(message.search or "").strip(), after=after, limit=message.limit,
        )  # fmt: skip

    def send_snapshots(self) -> None:
        """Let the whole of each subscribed topic but the events be sent next; deltas follow from there."""
        self._due = deque(self._numbers("snapshot"))
        self._batch_version = None

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
    except UNREADABLE as error:
        return None, wire.Error("malformed", f"not a {subprotocol.rpartition('.')[2]} message: {error}")


def _ref_of(frame: str | bytes, subprotocol: str) -> str | None:
    """The ref of a message that is wrong otherwise, so that its sender can tell which."""
    if len(frame) > wire.MAX_CLIENT_MESSAGE_BYTES or isinstance(frame, str) != (subprotocol == wire.JSON_SUBPROTOCOL):
        return None
    try:
        plain = msgspec.msgpack.decode(frame) if isinstance(frame, bytes) else msgspec.json.decode(frame)
    except UNREADABLE:
        return None
    ref = plain.get("ref") if isinstance(plain, dict) else None
    return ref if isinstance(ref, str) and 0 < len(ref) <= 64 else None  # noqa: PLR2004 - as `wire.Ref` says
