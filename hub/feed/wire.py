"""
The one wire contract of ``/ws/ops/``: every message that goes in or out, as a type.

What comes in is validated by these types, what goes out is encoded from them, and the JSON Schema and the
TypeScript types are generated from them (``manage.py hub_wire``); nothing but these messages and their rows
(`hub.feed.rows`) describes what goes over the wire. Every message is an object whose ``type`` names it. Times are
seconds since the Unix epoch, durations seconds, sizes bytes; ``null`` means *unknown*, never zero.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from hub.feed.rows import (
    ActiveAlerts,
    AlertChange,
    AlertRow,
    AlertState,
    ConsumerRow,
    Curve,
    Delivery,
    Dropped,
    History,
    LayerRow,
    MemberRow,
    MemberState,
    MetricRow,
    NodeRow,
    PresenceRow,
    RowKey,
    SilenceRow,
    SlowRow,
    Totals,
)

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

Topic = Literal[
    "totals", "consumers", "presence", "slow", "dropped", "layers", "alerts", "silences", "nodes", "metrics", "events",
]  # fmt: skip
TOPICS: tuple[Topic, ...] = (
    "totals", "consumers", "presence", "slow", "dropped", "layers", "alerts", "silences", "nodes", "metrics", "events",
)  # fmt: skip
Severity = Literal["info", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")

Ref = Annotated[str, Meta(min_length=1, max_length=64, description="Chosen by the client; comes back in the result.")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


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
    (``totals`` brings ``history``, ``events`` brings the most recent ones, oldest first). ``alerts`` and ``silences``
    are null while the hub can't read them.
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
    alerts: ActiveAlerts | UnsetType | None = UNSET
    silences: list[SilenceRow] | UnsetType | None = UNSET
    nodes: list[NodeRow] | UnsetType = UNSET
    metrics: list[MetricRow] | UnsetType = UNSET
    events: list[Event] | UnsetType = UNSET


class Delta(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="delta"):
    """
    Absolute values of what changed in one topic since the last delta of this subscription's cadence; ``slow``,
    ``dropped``, ``layers``, ``alerts`` and ``silences`` are whole.
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
    alerts: ActiveAlerts | UnsetType | None = UNSET
    silences: list[SilenceRow] | UnsetType | None = UNSET
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

    code: Literal[
        "malformed", "unknown_type", "invalid", "too_large", "wrong_encoding", "not_allowed", "too_many", "unavailable",
    ]  # fmt: skip
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


class AlertPage(Struct, frozen=True, kw_only=True, tag_field="type", tag="alerts"):
    """
    The answer to ``list_alerts``: alerts as they are and were, newest first. ``next``: pass it as ``before`` to go on;
    null at the end.
    """

    ref: str
    at: float
    alerts: list[AlertRow]
    next: int | None = None


class AlertDetail(Struct, frozen=True, kw_only=True, tag_field="type", tag="alert"):
    """
    The answer to ``show_alert``: its number over time, what became of it and who was told, both newest first.
    """

    ref: str
    at: float
    alert: AlertRow
    curve: Curve
    changes: list[AlertChange]
    deliveries: list[Delivery]


class Preview(Struct, frozen=True, kw_only=True, tag_field="type", tag="preview"):
    """The answer to ``preview_silence``: active alerts that it would match, at most 100; ``total`` counts them all."""

    ref: str
    at: float
    alerts: list[AlertRow]
    total: int


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


Key = Annotated[str, Meta(min_length=1, max_length=64)]
Matchers = Annotated[str, Meta(min_length=1, max_length=8000, description="As in rule=handler_errors, tenant=acme.")]
#: A moment that any calendar has.
Moment = Annotated[float, Meta(ge=0, le=99_999_999_999)]


class Acknowledge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="acknowledge"):
    """Somebody takes care of an alert that fires: it is not repeated, nor escalated, while it lasts."""

    ref: Ref
    key: Key


class Unacknowledge(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="unacknowledge"
):
    """Nobody takes care of an alert any more."""

    ref: Ref
    key: Key


class Silence(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="silence"):
    """
    Nobody is told of alerts that match, for ``seconds``, or until ``ends_at``: one of the two. ``starts_at`` null: from
    now on. Who is bound to tenants must name one of them in the matchers, as in ``tenant=acme``.
    """

    ref: Ref
    matchers: Matchers
    why: Annotated[str, Meta(max_length=500)]
    seconds: Annotated[float, Meta(gt=0, le=99_999_999_999)] | None = None
    ends_at: Moment | None = None
    starts_at: Moment | None = None


class PreviewSilence(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="preview_silence"
):
    """Asks which active alerts a silence would match; answered with ``preview``."""

    ref: Ref
    matchers: Matchers


class EndSilence(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="end_silence"):
    """Ends a silence before its time."""

    ref: Ref
    id: Key


class ListAlerts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="list_alerts"):
    """Asks for a page of the history; answered with ``alerts``. ``before`` is the ``next`` of the page before."""

    ref: Ref
    state: AlertState | None = None
    before: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class ShowAlert(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="show_alert"):
    """Asks for all that is kept of one alert; answered with ``alert``."""

    ref: Ref
    id: Annotated[int, Meta(ge=0, le=2**63 - 1)]


ServerMessage = (
    Hello | Snapshot | Delta | Event | Gap | Result | Members | AlertPage | AlertDetail | Preview | ServerHeartbeat
)
#: What is asked or done about alerts; each of them is answered by its ``ref``, with a ``result`` if with nothing else.
AlertRequest = Acknowledge | Unacknowledge | Silence | PreviewSilence | EndSilence | ListAlerts | ShowAlert
ClientMessage = Subscribe | Resume | ListMembers | AlertRequest | ClientHeartbeat

#: Encoders and decoders by subprotocol; both check every field.
ENCODERS: dict[str, msgspec.json.Encoder | msgspec.msgpack.Encoder] = {
    JSON_SUBPROTOCOL: msgspec.json.Encoder(),
    MSGPACK_SUBPROTOCOL: msgspec.msgpack.Encoder(),
}
DECODERS: dict[str, msgspec.json.Decoder[ClientMessage] | msgspec.msgpack.Decoder[ClientMessage]] = {
    JSON_SUBPROTOCOL: msgspec.json.Decoder(ClientMessage),
    MSGPACK_SUBPROTOCOL: msgspec.msgpack.Decoder(ClientMessage),
}
