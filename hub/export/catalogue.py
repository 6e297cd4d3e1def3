"""
The catalogue: every ``ws_*`` metric, written down once, and the caps on its labels.

Label values come from closed or capped sets; what lies beyond a cap is merged into ``other``, so that sums stay
right.
"""

from collections.abc import Callable, Iterable, Mapping

from hub.core.latency import Histogram
from hub.core.ledger import Counts
from hub.core.snapshot import Key

OTHER = "other"
LABELS = ("consumer", "tenant")
#: Close codes with a label of their own: RFC 6455's, and up to this many of the application's.
MAX_CODES = 60

Mapped = Callable[[Counts], dict[str, int]]
Number = Callable[[Counts], float]

#: Every ``ws_*`` metric: name, help, the label besides consumer and tenant, and where its value stands.
GAUGES: tuple[tuple[str, str, Number], ...] = (
    ("ws_connections_active", "WebSocket connections open now.", lambda counts: counts.active),
    (
        "ws_inbound_backlog_messages",
        "Messages of clients that have arrived and are not handled yet.",
        lambda counts: counts.waiting,
    ),
    (
        "ws_frames_in_flight",
        "Frames sent to clients with our library that they may still confirm.",
        lambda counts: counts.in_flight,
    ),
)
COUNTERS: tuple[tuple[str, str, Number], ...] = (
    ("ws_connections", "WebSocket connections accepted.", lambda counts: counts.accepted),
    ("ws_received_bytes", "Payload of messages received; text counts in characters.", lambda c: c.received_bytes),
    ("ws_sent_bytes", "Payload of messages sent; text counts in characters.", lambda counts: counts.sent_bytes),
    ("ws_heartbeats", "Heartbeats of clients with our library.", lambda counts: counts.heartbeats),
    (
        "ws_heartbeats_missed",
        "Heartbeats that did not come, nor any other sign of life.",
        lambda counts: counts.heartbeats_missed,
    ),
    ("ws_frames_confirmed", "Frames that clients with our library have processed.", lambda c: c.confirmed),
    (
        "ws_frames_unknown",
        "Frames sent to clients with our library of which nobody can know what became of them.",
        lambda counts: counts.unknown,
    ),
    ("ws_control_frames_garbled", "Control frames of clients that made no sense.", lambda counts: counts.garbled),
)
LABELLED_GAUGES: tuple[tuple[str, str, str, Mapped], ...] = (
    ("ws_slow_consumers", "Episodes of slowness that are open, by cause.", "cause", lambda counts: counts.slow),
)
LABELLED: tuple[tuple[str, str, str, Mapped], ...] = (
    ("ws_connection_failures", "Connections that were never accepted.", "reason", lambda counts: counts.failures),
    ("ws_disconnects", "Accepted connections that ended, by close code.", "code", lambda counts: counts.disconnects),
    ("ws_messages_received", "Messages of clients handled.", "message_type", lambda counts: counts.received),
    ("ws_messages_sent", "Messages sent to clients.", "message_type", lambda counts: counts.sent),
    ("ws_layer_messages", "Channel-layer messages handled.", "message_type", lambda counts: counts.layer),
    ("ws_handler_errors", "Exceptions that left a handler.", "exception", lambda counts: counts.errors),
    ("ws_frames_dropped", "Frames and layer messages lost, by reason.", "reason", lambda counts: counts.lost),
    (
        "ws_frames_misnumbered",
        "Frames of clients that number them, out of line.",
        "kind",
        lambda counts: counts.misnumbered,
    ),
    ("ws_slow_episodes", "Episodes of slowness that have opened.", "cause", lambda counts: counts.slow_episodes),
)
HISTOGRAMS: tuple[tuple[str, str, Callable[[Counts], Histogram]], ...] = (
    ("ws_message_latency_seconds", "Time in the handler of a message.", lambda counts: counts.latency),
    ("ws_message_wait_seconds", "Time between a message's arrival and its dispatch.", lambda counts: counts.wait),
    ("ws_layer_wait_seconds", "Time from the sending of a layer message to its dispatch.", lambda c: c.layer_wait),
    ("ws_connection_duration_seconds", "Duration of accepted connections.", lambda counts: counts.duration),
    ("ws_client_rtt_seconds", "Round trip to clients with our library.", lambda counts: counts.rtt),
)
#: The one gauge without a consumer: a member may have connections to several. By tenant and state.
PRESENCE = ("ws_presence_members", "Members connected to this process, by state.")
PRESENCE_LABELS = ("tenant", "state")


def capped(counts: Iterable[Counts], max_tenants: int) -> dict[Key, Counts]:
    """
    Counts with tenants beyond the cap merged into ``other``; those that accepted the most keep their names.
    """
    rows = list(counts)
    kept = kept_tenants(rows, max_tenants)
    merged: dict[Key, Counts] = {}
    for row in rows:
        key = (row.consumer, row.tenant if row.tenant in kept else OTHER)
        if key in merged:
            merged[key].add(row)
        else:
            merged[key] = Counts.unpack(row.pack()) if key[1] == OTHER else row
    return merged


def kept_tenants(rows: Iterable[Counts], max_tenants: int) -> set[str]:
    """The tenants that keep their names: those that accepted the most connections."""
    busiest: dict[str, int] = {}
    for row in rows:
        busiest[row.tenant] = busiest.get(row.tenant, 0) + row.accepted
    return set(sorted(busiest, key=lambda tenant: (-busiest[tenant], tenant))[:max_tenants])


def capped_members(presence: Mapping[str, Mapping[str, int]], kept: set[str]) -> dict[Key, int]:
    """Members by tenant and state, with tenants that don't keep their names merged into ``other``."""
    merged: dict[Key, int] = {}
    for tenant, states in presence.items():
        for state, number in states.items():
            key = (tenant if tenant in kept else OTHER, state)
            merged[key] = merged.get(key, 0) + number
    return merged


def capped_values(
    rows: Iterable[Counts], label: str, mapped: Mapped, max_types: int
) -> Callable[[Counts], dict[str, int]]:
    """
    A function that gives a row's numbers by the values of a label, rare values merged into ``other``.

    Args:
        rows: All of them, to know what is rare.
    """
    totals: dict[str, int] = {}
    for counts in rows:
        for name, value in mapped(counts).items():
            totals[name] = totals.get(name, 0) + value
    limit = MAX_CODES if label == "code" else max_types
    kept = set(sorted(totals, key=lambda name: (-totals[name], name))[:limit])

    def values_of(counts: Counts) -> dict[str, int]:
        values: dict[str, int] = {}
        for name, value in mapped(counts).items():
            shown = name if name in kept else OTHER
            values[shown] = values.get(shown, 0) + value
        return values

    return values_of
