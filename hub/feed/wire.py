"""
The one wire contract of ``/ws/ops/``: every message that goes in or out, as a type.

What comes in is validated by these types, what goes out is encoded from them, and the JSON Schema and the
TypeScript types are generated from them (``manage.py hub_wire``); nothing else in the project describes a
message. Every message is an object whose ``type`` names it. Times are seconds since the Unix epoch, durations
seconds, sizes bytes; ``null`` means *unknown*, never zero.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

JSON_SUBPROTOCOL = "hub.ops.v1.json"
MSGPACK_SUBPROTOCOL = "hub.ops.v1.msgpack"
SUBPROTOCOLS = (JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL)

#: Seconds between two deltas that a subscription may ask for.
CADENCES = (1, 5, 15)
#: The largest message that the feed reads from an operator, in bytes.
MAX_CLIENT_MESSAGE_BYTES = 16 * 1024
#: Messages an operator may send: a burst of this many, refilled at this many a second.
CLIENT_BURST = 40
CLIENT_RATE = 10.0

CLOSE_NOT_LOGGED_IN = 4401
CLOSE_NOT_ALLOWED = 4403
CLOSE_TOO_SLOW = 4408
CLOSE_FLOOD = 4429
#: Something broke, come back at once, come back later; not the registered 1011 to 1013, which Daphne may not send.
CLOSE_INTERNAL_ERROR = 4500
CLOSE_RESTART = 4205
CLOSE_TRY_LATER = 4503

Topic = Literal["totals", "consumers", "presence", "slow", "dropped", "layers", "nodes", "metrics", "events"]
TOPICS: tuple[Topic, ...] = (
    "totals", "consumers", "presence", "slow", "dropped", "layers", "nodes", "metrics", "events",
)  # fmt: skip
Severity = Literal["info", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")

Ref = Annotated[str, Meta(min_length=1, max_length=64, description="Chosen by the client; comes back in the result.")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


# --- what numbers look like -------------------------------------------------------------------------------------


class Quantiles(Struct, frozen=True):
    """Quantiles of a duration over the last ten seconds, in seconds; null where nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Totals(Struct, frozen=True, kw_only=True):
    """
    The sum over everything the operator may see. Counters are absolute since each node's start; rates are per
    second, over the last tick.
    """

    active: int
    accepted: int
    rejected: int
    failed: int
    closed: int
    received: int
    sent: int
    received_bytes: int
    sent_bytes: int
    errors: int
    lost: int
    backlog: int
    connect_rate: float | None
    disconnect_rate: float | None
    received_rate: float | None
    sent_rate: float | None
    error_rate: float | None
    latency: Quantiles
    wait: Quantiles


class ConsumerRow(Totals, frozen=True, kw_only=True):
    """The same numbers for one consumer class and one tenant (an empty string: no tenant)."""

    consumer: str
    tenant: str


class RowKey(Struct, frozen=True):
    """Names a consumer row that is no more."""

    consumer: str
    tenant: str


MemberState = Literal["online", "idle", "stale"]


class PresenceRow(Struct, frozen=True, kw_only=True):
    """
    How many members a tenant has, by state. All zero: the last one has left, and the row is no more.

    ``version`` grows with every change of the tenant's roster: a list of members that is older is out of date.
    """

    tenant: str
    version: int
    online: int
    idle: int
    stale: int
    connections: int


class MemberRow(Struct, frozen=True, kw_only=True):
    """
    One member: somebody of a tenant, with any number of connections.

    ``heard_by``: the last sign of life, at ``heard_at``, was the connection's own accept or close, a frame, a
    heartbeat or a confirm of our client library, or nothing but that the server keeps the connection.
    ``hidden``: every page of the member is hidden; ``rtt`` and ``lag`` (age of the page's queue), in seconds, are
    known of clients with our library only.
    """

    tenant: str
    member: str
    name: str
    state: MemberState
    joined_at: float
    heard_at: float
    heard_by: Literal["accept", "frame", "heartbeat", "confirm", "connection", "close"]
    connections: int
    negotiated: int
    hidden: bool | None = None
    rtt: float | None = None
    lag: float | None = None
    consumers: list[str] = []
    groups: list[str] = []
    nodes: list[str] = []


Cause = Literal["handler", "client", "queue", "layer", "loop", "sync_thread"]


class SlowRow(Struct, frozen=True, kw_only=True):
    """
    An episode of slowness, open (``closed_at`` null) or closed within the last five minutes.

    ``seconds``: the most that it has taken; more than ``threshold`` is slow. ``lasted``: from ``since`` to its end.
    ``connection`` is empty where a whole process suffers and nobody is known to be at fault. ``details`` as in its
    events: ``file``, ``line``, ``function`` and ``waits`` say where, as far as known. ``member`` and ``name``: who is
    connected, redacted; empty where that is not known, or where ``HUB["SLOW_MEMBERS"]`` doesn't let it be told.
    """

    cause: Cause
    consumer: str
    tenant: str
    connection: str
    node: str
    since: float
    seconds: float
    threshold: float
    lasted: float | None = None
    closed_at: float | None = None
    details: dict[str, str | int | float | bool | None] = {}
    member: str = ""
    name: str = ""


Reason = Literal[
    "channel_full", "over_capacity", "buffer_overflow", "expired", "group_lost", "after_close", "unconfirmed",
    "teardown", "unknown",
]  # fmt: skip


class ReasonRow(Struct, frozen=True, kw_only=True):
    """
    What was lost for one reason.

    ``messages``: since each node's start; for ``group_lost`` memberships. ``rate``: per second, over the last tick.
    ``last_at``: when it was last seen to grow; null: not since this node looks.
    """

    reason: Reason
    messages: int
    rate: float | None
    last_at: float | None


class DroppedRow(ReasonRow, frozen=True, kw_only=True):
    """The same for one consumer (``unknown``: nobody can say whose it was) and one tenant."""

    consumer: str
    tenant: str


class Drop(Struct, frozen=True, kw_only=True):
    """
    Losses in channel layers that followed each other, from ``since`` to ``at``, as far as they are known.

    ``messages`` null: nobody can know how many (``reason`` is ``unknown``, ``layer`` says which). ``channel`` and
    ``connection`` are named where there was but one; ``channels`` and ``connections`` say how many, to 256.
    """

    reason: Reason
    consumer: str
    tenant: str
    node: str
    since: float
    at: float
    messages: int | None
    group: str = ""
    channel: str = ""
    channels: int = 0
    connection: str = ""
    connections: int = 0
    layer: str = ""


class Dropped(Struct, frozen=True, kw_only=True):
    """
    Everything that was lost: by reason; by reason, consumer and tenant, at most 50; and at most 20 recent ones with
    their places, the newest first.

    ``gaps``: how often messages were lost in a number that nobody can know, which no other number here contains. Null:
    that happened, and nobody can know whether it concerns what is asked for.
    """

    reasons: list[ReasonRow] = []
    rows: list[DroppedRow] = []
    recent: list[Drop] = []
    gaps: int | None = 0


class LayerRow(Struct, frozen=True, kw_only=True):
    """
    How full a channel layer is, as one node sees it.

    ``depth`` (messages that wait for the node) null: the layer can't be looked at now, and is unknown, not empty.
    ``capacity``, of one queue, and ``fullest``, the fullest queue's share of it, are null also where a layer knows no
    bound. ``channel`` is empty where the queue belongs to all connections of the node; ``consumer`` and ``tenant`` say
    whose channel it is, as far as known. ``gaps`` as in ``dropped``.
    """

    layer: str
    backend: str
    node: str
    depth: int | None
    oldest: float | None
    capacity: int | None
    fullest: float | None
    channel: str = ""
    consumer: str = ""
    tenant: str = ""
    gaps: int = 0


class NodeRow(Struct, frozen=True, kw_only=True):
    """One process of the fleet. ``unknown``: it has not been heard of for longer than its lease."""

    node: str
    boot: str
    state: Literal["live", "unknown"]
    host: str
    pid: int
    version: str
    started_at: float
    seen_at: float
    active: int
    sampler_seconds: float
    loop_lag: float | None


class MetricRow(Struct, frozen=True, kw_only=True):
    """A business metric of the host, registered through ``hub.metrics``."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: dict[str, str]
    value: float
    """The counter's or gauge's value; a histogram's sum."""
    count: int | None = None
    """A histogram's number of observations."""


class History(Struct, frozen=True, kw_only=True):
    """
    The totals of the past, oldest first, one list per column and all of one length, ready for a chart. A null
    is a moment for which the hub has no number.
    """

    step: float
    at: list[float]
    active: list[float | None]
    connect_rate: list[float | None]
    disconnect_rate: list[float | None]
    received_rate: list[float | None]
    sent_rate: list[float | None]
    error_rate: list[float | None]
    backlog: list[float | None]
    latency_p50: list[float | None]
    latency_p95: list[float | None]
    latency_p99: list[float | None]
    wait_p50: list[float | None]
    wait_p95: list[float | None]
    wait_p99: list[float | None]


# --- server to client -------------------------------------------------------------------------------------------


class Permissions(Struct, frozen=True, kw_only=True):
    """What this operator may do. ``tenants`` null: all of them."""

    operator: str
    view: bool
    operate: bool
    tenants: list[str] | None = None


class Hello(Struct, frozen=True, kw_only=True, tag_field="type", tag="hello"):
    """The first message on every connection."""

    version: str
    node: str
    boot: str
    at: float
    cursor: str
    cadence: int
    cadences: list[int]
    heartbeat_interval: float
    permissions: Permissions


class Event(Struct, frozen=True, kw_only=True, tag_field="type", tag="event"):
    """
    Something rare that happened. ``count`` > 1: a summary of that many of one kind within a second, after the
    first ones were sent one by one.
    """

    cursor: str
    at: float
    kind: str
    severity: Severity
    node: str
    tenant: str = ""
    consumer: str = ""
    connection: str = ""
    count: int = 1
    details: dict[str, str | int | float | bool | None] = {}


class Snapshot(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="snapshot"):
    """
    The whole of one topic, after ``subscribe``, ``resume`` or a ``gap``: forget what you knew of it.

    ``tenant`` is absent where the numbers span all tenants. Only the field named like the topic is present
    (``totals`` brings ``history``, ``events`` brings the most recent ones, oldest first).
    """

    topic: Topic
    at: float
    cursor: str
    tenant: str | UnsetType = UNSET
    totals: Totals | UnsetType = UNSET
    history: History | UnsetType = UNSET
    consumers: list[ConsumerRow] | UnsetType = UNSET
    presence: list[PresenceRow] | UnsetType = UNSET
    slow: list[SlowRow] | UnsetType = UNSET
    dropped: Dropped | UnsetType = UNSET
    layers: list[LayerRow] | UnsetType = UNSET
    nodes: list[NodeRow] | UnsetType = UNSET
    metrics: list[MetricRow] | UnsetType = UNSET
    events: list[Event] | UnsetType = UNSET


class Delta(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="delta"):
    """
    Absolute values of what changed in one topic since the last delta of this subscription's cadence; ``slow``,
    ``dropped`` and ``layers`` are whole.
    """

    topic: Topic
    at: float
    tenant: str | UnsetType = UNSET
    totals: Totals | UnsetType = UNSET
    consumers: list[ConsumerRow] | UnsetType = UNSET
    removed: list[RowKey] | UnsetType = UNSET
    presence: list[PresenceRow] | UnsetType = UNSET
    slow: list[SlowRow] | UnsetType = UNSET
    dropped: Dropped | UnsetType = UNSET
    layers: list[LayerRow] | UnsetType = UNSET
    nodes: list[NodeRow] | UnsetType = UNSET
    metrics: list[MetricRow] | UnsetType = UNSET


class Gap(Struct, frozen=True, kw_only=True, tag_field="type", tag="gap"):
    """
    Events between the client's cursor and ``cursor`` can't be replayed; fresh snapshots follow.

    ``epoch``: the cursor is of another boot; ``expired``: older than what is kept; ``future``: newer than
    anything sent.
    """

    reason: Literal["epoch", "expired", "future"]
    since: str
    cursor: str
    missed: int | None = None


class Error(Struct, frozen=True):
    """Why a request was refused: a stable code, and a sentence that says what was wrong and what to do."""

    code: Literal["malformed", "unknown_type", "invalid", "too_large", "wrong_encoding", "not_allowed", "too_many"]
    message: str


class Result(Struct, frozen=True, kw_only=True, tag_field="type", tag="result"):
    """The answer to one client message; ``ref`` is null when the message could not be read far enough."""

    ref: str | None
    ok: bool
    error: Error | None = None


class Members(Struct, frozen=True, kw_only=True, tag_field="type", tag="members"):
    """
    The answer to ``list_members``: a page of the roster, by tenant and member. ``next``: pass it as ``after`` to go
    on; null at the end. ``total``: members that match.
    """

    ref: str
    at: float
    members: list[MemberRow]
    total: int
    next: str | None = None


class ServerHeartbeat(Struct, frozen=True, kw_only=True, tag_field="type", tag="heartbeat"):
    """
    Sent in answer to a client's heartbeat (``echo`` is its ``sent_at``) and when nothing else was sent for
    the heartbeat interval. ``cursor``: everything up to it has been sent.
    """

    at: float
    cursor: str
    echo: float | None = None


# --- client to server -------------------------------------------------------------------------------------------


class Subscribe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="subscribe"):
    """
    Replaces the subscription. Null lists mean "all that I may see"; tenants one may not see are an error.
    Snapshots of the topics follow the result; then deltas at the cadence, and events as they happen.
    """

    ref: Ref | None = None
    topics: Annotated[list[Topic], Meta(min_length=1, max_length=16)] | None = None
    tenants: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(min_length=1, max_length=200)] | None = None
    consumers: Annotated[list[Name], Meta(min_length=1, max_length=200)] | None = None
    severities: Annotated[list[Severity], Meta(min_length=1, max_length=3)] | None = None
    cadence: Literal[1, 5, 15] = 1


class Resume(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="resume"):
    """
    Replay the events after ``cursor``, or send a ``gap`` if that can't be done. Sent before ``subscribe`` it waits
    for the subscription and takes the place of its snapshot of events.
    """

    cursor: Annotated[str, Meta(min_length=1, max_length=100)]
    ref: Ref | None = None


class ListMembers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="list_members"):
    """
    Asks for a page of the roster; answered with ``members``. ``search`` looks into ids and names, whatever the case;
    ``after`` is the ``next`` of the page before.
    """

    ref: Ref
    tenant: Annotated[str, Meta(max_length=200)] | None = None
    group: Name | None = None
    states: Annotated[list[MemberState], Meta(min_length=1, max_length=3)] | None = None
    search: Annotated[str, Meta(max_length=100)] | None = None
    after: Annotated[str, Meta(min_length=1, max_length=4000)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class ClientHeartbeat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="heartbeat"):
    """A sign of life; answered at once with a heartbeat that echoes ``sent_at``."""

    sent_at: float
    ref: Ref | None = None


ServerMessage = Hello | Snapshot | Delta | Event | Gap | Result | Members | ServerHeartbeat
ClientMessage = Subscribe | Resume | ListMembers | ClientHeartbeat

#: Encoders and decoders by subprotocol; both check every field.
ENCODERS: dict[str, msgspec.json.Encoder | msgspec.msgpack.Encoder] = {
    JSON_SUBPROTOCOL: msgspec.json.Encoder(),
    MSGPACK_SUBPROTOCOL: msgspec.msgpack.Encoder(),
}
DECODERS: dict[str, msgspec.json.Decoder[ClientMessage] | msgspec.msgpack.Decoder[ClientMessage]] = {
    JSON_SUBPROTOCOL: msgspec.json.Decoder(ClientMessage),
    MSGPACK_SUBPROTOCOL: msgspec.msgpack.Decoder(ClientMessage),
}
