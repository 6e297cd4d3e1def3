"""
What rules may look at, and where it comes from: the catalogue's metrics by consumer and tenant, as the fleet has them;
members by tenant; slowness, channel layers and the processes themselves by node; events; the host's own metrics.
"""

from collections.abc import Generator, Iterable, Mapping
from typing import Any

from hub.core.ledger import Counts
from hub.core.metrics import Packed
from hub.core.presence import STATES, Tally
from hub.core.series import COUNTER, GAUGE, HISTOGRAM, Values, Watched
from hub.core.snapshot import LayerRow, NodeSnapshot, SlowRow
from hub.export.catalogue import COUNTERS, GAUGES, HISTOGRAMS, LABELLED, LABELS, PRESENCE, PRESENCE_LABELS
from hub.fleet.view import SLICE, FleetView

EVENTS, SLOW, NODE_UP = "hub_events_total", "ws_slow_consumers", "hub_node_up"
DEPTH, OLDEST, FILL = "ws_channel_layer_depth", "ws_channel_layer_oldest_seconds", "ws_channel_layer_fill_ratio"
GAPS, LOOP_LAG = "ws_channel_layer_gaps_total", "hub_loop_lag_seconds"

#: What a metric counts or is measured in, for people; without an entry: nothing, or seconds where its name says so.
UNITS = {
    "ws_connections_active": "connections",
    "ws_inbound_backlog_messages": "messages",
    "ws_connections_total": "connections",
    "ws_connection_failures_total": "failures",
    "ws_disconnects_total": "disconnects",
    "ws_messages_received_total": "messages",
    "ws_messages_sent_total": "messages",
    "ws_layer_messages_total": "messages",
    "ws_handler_errors_total": "errors",
    "ws_frames_dropped_total": "messages",
    "ws_slow_episodes_total": "episodes",
    "ws_received_bytes_total": "bytes",
    "ws_sent_bytes_total": "bytes",
    "ws_heartbeats_missed_total": "heartbeats",
    SLOW: "episodes",
    PRESENCE[0]: "members",
    DEPTH: "messages",
    FILL: "ratio",
    GAPS: "gaps",
    EVENTS: "events",
}
#: By node; in a node's slowness only its worst episodes are known, see `hub.node.slowness.RANKED`.
BY_NODE = (
    (SLOW, GAUGE, ("cause", *LABELS, "node")),
    (NODE_UP, GAUGE, ("node",)),
    (LOOP_LAG, GAUGE, ("node",)),
    (DEPTH, GAUGE, ("layer", "node")),
    (OLDEST, GAUGE, ("layer", "node")),
    (FILL, GAUGE, ("layer", "node")),
    (GAPS, COUNTER, ("layer", "node")),
    (EVENTS, COUNTER, ("kind", *LABELS, "node")),
)

NOBODY: Mapping[str, Tally] = {}
Read = dict[str, dict[Values, Any]]
Steps = Generator[None, None, None]


def watched(business: Iterable[Packed] = ()) -> dict[str, Watched]:
    """
    All metrics that rules may look at, by name.

    Args:
        business: The host's own, packed.
    """
    found = [
        *(_watched(name, GAUGE, LABELS) for name, _, _ in GAUGES),
        *(_watched(f"{name}_total", COUNTER, LABELS) for name, _, _ in COUNTERS),
        *(_watched(f"{name}_total", COUNTER, (*LABELS, label)) for name, _, label, _ in LABELLED),
        *(_watched(name, HISTOGRAM, LABELS, bounds(Counts()).bounds) for name, _, bounds in HISTOGRAMS),
        _watched(PRESENCE[0], GAUGE, PRESENCE_LABELS),
        *(_watched(name, kind, labels) for name, kind, labels in BY_NODE),
        *(_watched(name, kind, labels, bounds) for name, kind, _, labels, bounds, _ in business),
    ]
    return {one.name: one for one in found}


def _watched(name: str, kind: str, labels: Iterable[str], bounds: Iterable[float] = ()) -> Watched:
    unit = UNITS.get(name) or ("seconds" if name.endswith("_seconds") else "")
    return Watched(name, kind, tuple(labels), unit, tuple(bounds))


class Reader:
    """Reads the samples of each tick off the fleet's view; one reader sees every tick, or it counts nothing twice."""

    def __init__(self) -> None:
        self._version = -1
        self._before: dict[str, dict[tuple[str, Values], Any]] = {}

    def read(self, view: FleetView, tallies: Mapping[str, Tally] = NOBODY) -> Read:
        """The samples of the view's last tick; only gauges if it has read that one before. See `read_in_steps`."""
        samples: Read = {}
        for _ in self.read_in_steps(view, samples, tallies):
            pass
        return samples

    def read_in_steps(self, view: FleetView, samples: Read, tallies: Mapping[str, Tally] = NOBODY) -> Steps:
        """
        Fill in the samples, pausing after each `hub.fleet.view.SLICE` of rows; on the event loop, as the view is.

        Args:
            tallies: The fleet's members, by tenant.
        """
        fresh, self._version = view.version != self._version, view.version
        for number, (key, row) in enumerate(list(view.rows.items())):
            _read_gauges(key, row.counts, samples)
            if fresh and row.grown is not None:
                _read_growth(key, row.grown, samples)
            if number % SLICE == 0:
                yield
        for number, (tenant, tally) in enumerate(list(tallies.items())):
            _read_members(tenant, tally, samples)
            if number % SLICE == 0:
                yield
        before, self._before = self._before, {}
        for node in view.nodes.values():
            _read_node(node, samples)
            self._before[node.boot] = _read_totals(node, before.get(node.boot), samples)
            yield


def _read_gauges(key: Values, counts: Counts, samples: Read) -> None:
    for name, _, number in GAUGES:
        samples.setdefault(name, {})[key] = number(counts)


def _read_growth(key: Values, grown: Counts, samples: Read) -> None:
    for name, _, number in COUNTERS:
        if value := number(grown):
            samples.setdefault(f"{name}_total", {})[key] = value
    for name, _, _, mapped in LABELLED:
        for label, value in mapped(grown).items():
            samples.setdefault(f"{name}_total", {})[*key, label] = value
    for name, _, histogram in HISTOGRAMS:
        counts = histogram(grown).counts
        if any(counts):
            samples.setdefault(name, {})[key] = counts


def _read_members(tenant: str, tally: Tally, samples: Read) -> None:
    members = samples.setdefault(PRESENCE[0], {})
    for state in STATES:
        members[tenant, state] = float(getattr(tally, state))


def _read_node(node: NodeSnapshot, samples: Read) -> None:
    """Gauges of one node."""
    name = (node.node,)
    samples.setdefault(NODE_UP, {})[name] = 1.0
    if node.loop_lag is not None:
        samples.setdefault(LOOP_LAG, {})[name] = node.loop_lag
    slow = samples.setdefault(SLOW, {})
    for packed in node.slow:
        row = SlowRow(*packed)
        if row.closed_at is None:
            key = (row.cause, row.consumer, row.tenant, node.node)
            slow[key] = slow.get(key, 0.0) + 1
    for packed in node.layers:
        layer = LayerRow(*packed)
        for metric, value in ((DEPTH, layer.depth), (OLDEST, layer.oldest), (FILL, layer.fullest)):
            if value is not None:
                samples.setdefault(metric, {})[layer.alias, node.node] = value


def _read_totals(
    node: NodeSnapshot, before: dict[tuple[str, Values], Any] | None, samples: Read
) -> dict[tuple[str, Values], Any]:
    """
    Gaps of layers and the host's metrics: gauges as they are, the others by what they have grown.

    Args:
        before: What they were at the tick before; None: this node was not there, and what it counted may be years old.

    Returns:
        What they are now.
    """
    totals: dict[tuple[str, Values], Any] = {}
    for packed in node.layers:
        layer = LayerRow(*packed)
        totals[GAPS, (layer.alias, node.node)] = layer.gaps
    for name, kind, _, _, _, series in node.metrics:
        for labels, value in series:
            if kind == GAUGE:
                known = samples.setdefault(name, {})
                known[tuple(labels)] = known.get(tuple(labels), 0.0) + value
            else:
                totals[name, tuple(labels)] = value[0] if kind == HISTOGRAM else value
    for (name, labels), total in totals.items() if before is not None else ():
        _add_growth(samples.setdefault(name, {}), labels, (before or {}).get((name, labels)), total)
    return totals


def _add_growth(known: dict[Values, Any], labels: Values, before: Any, total: Any) -> None:  # noqa: ANN401 - `Samples`
    """Add what a total has grown by since the tick before to what other nodes' have."""
    if isinstance(total, list):
        then, so_far = before or [0] * len(total), known.get(labels) or [0] * len(total)
        grown = [mine + now - earlier for mine, now, earlier in zip(so_far, total, then, strict=True)]
        if any(grown):
            known[labels] = grown
    elif total != (before or 0):
        known[labels] = known.get(labels, 0) + total - (before or 0)
