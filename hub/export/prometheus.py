"""
The process's numbers for Prometheus, in prometheus_client's own exposition.

A custom collector over a copy of the ledger: nothing on the hot path knows of it. Label values come from closed
or capped sets; what lies beyond a cap is merged into ``other``, so that sums stay right.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hub.core.latency import Histogram
from hub.core.ledger import Counts
from hub.core.metrics import Packed
from hub.core.snapshot import Key

OTHER = "other"
LABELS = ("consumer", "tenant")
#: Close codes with a label of their own: RFC 6455's, and up to this many of the application's.
MAX_CODES = 60

Mapping = Callable[[Counts], dict[str, int]]
Number = Callable[[Counts], float]

#: Every ``ws_*`` metric: name, help, the label besides consumer and tenant, and where its value stands.
GAUGES: tuple[tuple[str, str, Number], ...] = (
    ("ws_connections_active", "WebSocket connections open now.", lambda counts: counts.active),
    (
        "ws_inbound_backlog_messages",
        "Messages of clients that have arrived and are not handled yet.",
        lambda counts: counts.waiting,
    ),
)
COUNTERS: tuple[tuple[str, str, Number], ...] = (
    ("ws_connections", "WebSocket connections accepted.", lambda counts: counts.accepted),
    ("ws_received_bytes", "Payload of messages received; text counts in characters.", lambda c: c.received_bytes),
    ("ws_sent_bytes", "Payload of messages sent; text counts in characters.", lambda counts: counts.sent_bytes),
)
LABELLED: tuple[tuple[str, str, str, Mapping], ...] = (
    ("ws_connection_failures", "Connections that were never accepted.", "reason", lambda counts: counts.failures),
    ("ws_disconnects", "Accepted connections that ended, by close code.", "code", lambda counts: counts.disconnects),
    ("ws_messages_received", "Messages of clients handled.", "message_type", lambda counts: counts.received),
    ("ws_messages_sent", "Messages sent to clients.", "message_type", lambda counts: counts.sent),
    ("ws_layer_messages", "Channel-layer messages handled.", "message_type", lambda counts: counts.layer),
    ("ws_handler_errors", "Exceptions that left a handler.", "exception", lambda counts: counts.errors),
    ("ws_frames_dropped", "Frames and layer messages lost, by reason.", "reason", lambda counts: counts.lost),
)
HISTOGRAMS: tuple[tuple[str, str, Callable[[Counts], Histogram]], ...] = (
    ("ws_message_latency_seconds", "Time in the handler of a message.", lambda counts: counts.latency),
    ("ws_message_wait_seconds", "Time between a message's arrival and its dispatch.", lambda counts: counts.wait),
    ("ws_connection_duration_seconds", "Duration of accepted connections.", lambda counts: counts.duration),
)


def capped(counts: Iterable[Counts], max_tenants: int) -> dict[Key, Counts]:
    """
    Counts with tenants beyond the cap merged into ``other``; those that accepted the most keep their names.
    """
    rows = list(counts)
    busiest: dict[str, int] = {}
    for row in rows:
        busiest[row.tenant] = busiest.get(row.tenant, 0) + row.accepted
    kept = set(sorted(busiest, key=lambda tenant: (-busiest[tenant], tenant))[:max_tenants])
    merged: dict[Key, Counts] = {}
    for row in rows:
        key = (row.consumer, row.tenant if row.tenant in kept else OTHER)
        if key in merged:
            merged[key].add(row)
        else:
            merged[key] = Counts.unpack(row.pack()) if key[1] == OTHER else row
    return merged


class HubCollector(Collector):
    """
    Collects one copy of a process's numbers.

    Args:
        counts: Copied from the ledger.
        business: The host's metrics, packed.
        own: The hub's own numbers: name, kind, help, label name or none, and values by label.
        max_tenants: Tenants with labels of their own.
        max_types: Message types (and exceptions) with labels of their own.
    """

    def __init__(
        self,
        counts: Iterable[Counts],
        business: list[Packed],
        own: Iterable[tuple[str, str, str, str | None, dict[str, float]]] = (),
        *,
        max_tenants: int = 200,
        max_types: int = 50,
    ) -> None:
        self._rows = capped(counts, max_tenants)
        self._business = business
        self._own = own
        self._max_types = max_types

    def describe(self) -> Iterator[Metric]:
        """The names, so that ``name[]`` can choose; cheap, as nothing is filled in."""
        for name, help_text, _ in GAUGES:
            yield GaugeMetricFamily(name, help_text)
        for name, help_text, _ in COUNTERS:
            yield CounterMetricFamily(name, help_text)
        for name, help_text, label, _ in LABELLED:
            yield CounterMetricFamily(name, help_text, labels=(*LABELS, label))
        for name, help_text, _ in HISTOGRAMS:
            yield HistogramMetricFamily(name, help_text)
        yield from (_FAMILIES[kind](name, help_text) for name, kind, help_text, *_ in self._business)
        yield from (_FAMILIES[kind](name, help_text) for name, kind, help_text, *_ in self._own)

    def collect(self) -> Iterator[Metric]:
        """All metrics, one family at a time."""
        for name, help_text, number in GAUGES:
            yield self._numbers(GaugeMetricFamily(name, help_text, labels=LABELS), number)
        for name, help_text, number in COUNTERS:
            yield self._numbers(CounterMetricFamily(name, help_text, labels=LABELS), number)
        for name, help_text, label, mapping in LABELLED:
            yield self._labelled(CounterMetricFamily(name, help_text, labels=(*LABELS, label)), label, mapping)
        for name, help_text, histogram in HISTOGRAMS:
            family = HistogramMetricFamily(name, help_text, labels=LABELS)
            for key, counts in self._rows.items():
                distribution = histogram(counts)
                family.add_metric(key, cumulative(distribution.bounds, distribution.counts), distribution.sum)
            yield family
        yield from map(_business_family, self._business)
        yield from (_own_family(*own) for own in self._own)

    def _numbers(self, family: Any, number: Number) -> Metric:  # noqa: ANN401 - gauge or counter alike
        for key, counts in self._rows.items():
            family.add_metric(key, number(counts))
        metric: Metric = family
        return metric

    def _labelled(self, family: CounterMetricFamily, label: str, mapping: Mapping) -> Metric:
        limit = MAX_CODES if label == "code" else self._max_types
        kept = self._kept(mapping, limit)
        for key, counts in self._rows.items():
            values: dict[str, int] = {}
            for name, value in mapping(counts).items():
                shown = name if name in kept else OTHER
                values[shown] = values.get(shown, 0) + value
            for name, value in values.items():
                family.add_metric((*key, name), value)
        return family

    def _kept(self, mapping: Mapping, limit: int) -> set[str]:
        """The most frequent values of a label."""
        totals: dict[str, int] = {}
        for counts in self._rows.values():
            for name, value in mapping(counts).items():
                totals[name] = totals.get(name, 0) + value
        return set(sorted(totals, key=lambda name: (-totals[name], name))[:limit])


_FAMILIES: dict[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


def cumulative(bounds: Iterable[float], counts: list[int]) -> list[tuple[str, float]]:
    """Buckets as Prometheus wants them: upper bound and how many values are not above it."""
    buckets: list[tuple[str, float]] = []
    running = 0
    for bound, count in zip((*bounds, float("inf")), counts, strict=True):
        running += count
        buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), running))
    return buckets


def _business_family(packed: Packed) -> Metric:
    name, kind, help_text, labels, bounds, series = packed
    family = _FAMILIES[kind](name, help_text, labels=labels)
    for key, numbers in series:
        if kind == "histogram":
            family.add_metric(key, cumulative(bounds, numbers[0]), numbers[1])
        else:
            family.add_metric(key, numbers)
    metric: Metric = family
    return metric


def _own_family(name: str, kind: str, help_text: str, label: str | None, values: dict[str, float]) -> Metric:
    family = _FAMILIES[kind](name, help_text, labels=() if label is None else (label,))
    for key, value in values.items():
        family.add_metric(() if label is None else (key,), value)
    metric: Metric = family
    return metric


def exposition(collector: Collector, accept: str, names: list[str]) -> tuple[bytes, str]:
    """
    Encode what a collector has; takes its time, so call it in a thread.

    Args:
        accept: The request's Accept header: text or OpenMetrics.
        names: Only samples of these names; all if empty.

    Returns:
        The body and its content type.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    encoder, content_type = choose_encoder(accept)
    source: Any = registry.restricted_registry(names) if names else registry
    body: bytes = encoder(source)
    return body, content_type
