"""
What numbers look like on the wire of ``/ws/ops/``: the rows and columns that `hub.feed.wire` puts into its messages.

Times are seconds since the Unix epoch, durations seconds, sizes bytes; ``null`` means *unknown*, never zero.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


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


AlertState = Literal["pending", "firing", "resolved"]


class AlertRow(Struct, frozen=True, kw_only=True):
    """
    One life of an alert: a rule that is, or was, broken for one set of labels.

    ``id`` is that of this life, ``key`` the same for every life of the alert. ``tenant`` is empty for one of no tenant
    in particular. ``value`` is its number now, or when it was resolved; ``worst`` the farthest that it was beyond
    ``threshold``; ``unit`` says how to write them. ``muted`` says why nobody is told of it at the moment; empty: it is
    told. ``acknowledged_by`` is empty if nobody has acknowledged it.
    """

    id: int
    key: str
    rule: str
    severity: Literal["critical", "high", "medium", "low"]
    labels: dict[str, str]
    tenant: str
    state: AlertState
    since: float
    fired_at: float | None
    resolved_at: float | None
    value: float | None
    worst: float | None
    threshold: float
    unit: str
    summary: str
    action: str
    runbook: str
    muted: str
    acknowledged_by: str
    acknowledged_at: float | None


class ActiveAlerts(Struct, frozen=True, kw_only=True):
    """
    Alerts that are pending or firing: firing ones first, the worst first, then the newest; at most 500.

    ``firing`` and ``pending`` count all of them. ``evaluated`` false: no process evaluates the rules at the moment, and
    the list is what it was.
    """

    rows: list[AlertRow]
    firing: int
    pending: int
    evaluated: bool


class SilenceRow(Struct, frozen=True, kw_only=True):
    """
    A silence that is coming or active: nobody is told of alerts that match.

    ``tenant``: the only one whose alerts it can match; empty: made by somebody who sees all.
    """

    id: str
    matchers: str
    tenant: str
    starts_at: float
    ends_at: float
    by: str
    why: str
    state: Literal["coming", "active", "expired"]


class Curve(Struct, frozen=True):
    """A number over time, oldest first: columns of one length, ready for a chart."""

    at: list[float]
    values: list[float]


class AlertChange(Struct, frozen=True, kw_only=True):
    """What became of an alert, and by whom (``by`` empty: the hub itself); ``detail`` of ``told``: who, and what."""

    at: float
    kind: str
    by: str
    value: float | None
    detail: str


class Delivery(Struct, frozen=True, kw_only=True):
    """A message to one receiver; ``error`` is that of the last attempt, for operators who see all tenants."""

    receiver: str
    kind: str
    state: Literal["waiting", "delivered", "dead"]
    attempts: int
    created_at: float
    delivered_at: float | None
    error: str


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
