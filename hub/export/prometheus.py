"""
The process's numbers for Prometheus, in prometheus_client's own exposition.

A custom collector over a copy of the ledger: nothing on the hot path knows of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hub.core.ledger import Counts
from hub.core.metrics import Packed
from hub.export.catalogue import (
    COUNTERS,
    GAUGES,
    HISTOGRAMS,
    LABELLED,
    LABELLED_GAUGES,
    LABELS,
    PRESENCE,
    PRESENCE_LABELS,
    Mapped,
    Number,
    capped,
    capped_members,
    capped_values,
    kept_tenants,
)  # fmt: skip
from hub.export.exposition import write_families
from hub.node.executor import breathing


class HubCollector(Collector):
    """
    Collects one copy of a process's numbers.

    Args:
        counts: Copied from the ledger.
        business: The host's metrics, packed.
        own: The hub's own numbers: name, kind, help, label name or none, and values by label.
        presence: Members by tenant and state.
        max_tenants: Tenants with labels of their own.
        max_types: Message types (and exceptions) with labels of their own.
    """

    def __init__(
        self,
        counts: Iterable[Counts],
        business: list[Packed],
        own: Iterable[tuple[str, str, str, str | None, dict[str, float]]] = (),
        *,
        presence: Mapping[str, Mapping[str, int]] | None = None,
        max_tenants: int = 200,
        max_types: int = 50,
    ) -> None:
        rows = list(counts)
        self.rows = capped(rows, max_tenants)
        self.members = capped_members(presence or {}, kept_tenants(rows, max_tenants))
        self._business = business
        self._own = own
        self.max_types = max_types

    def describe(self) -> Iterator[Metric]:
        """The names, so that ``name[]`` can choose; cheap, as nothing is filled in."""
        for name, help_text, _ in GAUGES:
            yield GaugeMetricFamily(name, help_text)
        for name, help_text, _ in COUNTERS:
            yield CounterMetricFamily(name, help_text)
        for name, help_text, label, _ in LABELLED_GAUGES:
            yield GaugeMetricFamily(name, help_text, labels=(*LABELS, label))
        for name, help_text, label, _ in LABELLED:
            yield CounterMetricFamily(name, help_text, labels=(*LABELS, label))
        for name, help_text, _ in HISTOGRAMS:
            yield HistogramMetricFamily(name, help_text)
        yield GaugeMetricFamily(*PRESENCE)
        yield from (_FAMILIES[kind](name, help_text) for name, kind, help_text, *_ in self._business)
        yield from (_FAMILIES[kind](name, help_text) for name, kind, help_text, *_ in self._own)

    def collect(self) -> Iterator[Metric]:
        """All metrics, one family at a time."""
        for name, help_text, number in GAUGES:
            yield self._numbers(GaugeMetricFamily(name, help_text, labels=LABELS), number)
        for name, help_text, number in COUNTERS:
            yield self._numbers(CounterMetricFamily(name, help_text, labels=LABELS), number)
        for name, help_text, label, mapping in LABELLED_GAUGES:
            yield self._labelled(GaugeMetricFamily(name, help_text, labels=(*LABELS, label)), label, mapping)
        for name, help_text, label, mapping in LABELLED:
            yield self._labelled(CounterMetricFamily(name, help_text, labels=(*LABELS, label)), label, mapping)
        for name, help_text, histogram in HISTOGRAMS:
            family = HistogramMetricFamily(name, help_text, labels=LABELS)
            for key, counts in self.rows.items():
                distribution = histogram(counts)
                family.add_metric(key, cumulative(distribution.bounds, distribution.counts), distribution.sum)
            yield family
        members = GaugeMetricFamily(*PRESENCE, labels=PRESENCE_LABELS)
        for key, number_of_members in self.members.items():
            members.add_metric(key, number_of_members)
        yield members
        yield from self.collect_rest()

    def collect_rest(self) -> Iterator[Metric]:
        """Business metrics and the hub's own."""
        yield from map(_business_family, self._business)
        yield from (_own_family(*own) for own in self._own)

    def _numbers(self, family: Any, number: Number) -> Metric:  # noqa: ANN401 - gauge or counter alike
        for key, counts in self.rows.items():
            family.add_metric(key, number(counts))
        metric: Metric = family
        return metric

    def _labelled(self, family: Any, label: str, mapped: Mapped) -> Metric:  # noqa: ANN401 - gauge or counter alike
        values_of = capped_values(self.rows.values(), label, mapped, self.max_types)
        for key, counts in self.rows.items():
            for name, value in values_of(counts).items():
                family.add_metric((*key, name), value)
        metric: Metric = family
        return metric


class Rest(Collector):
    """What a `HubCollector` has besides the catalogue."""

    def __init__(self, whole: HubCollector) -> None:
        self._whole = whole

    def collect(self) -> Iterator[Metric]:
        """Business metrics and the hub's own."""
        return self._whole.collect_rest()


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


def exposition(collector: HubCollector, accept: str, names: list[str]) -> tuple[bytes, str]:
    """
    Encode what a collector has; takes its time, so call it in one of the hub's threads.

    Args:
        accept: The request's Accept header: text or OpenMetrics.
        names: Only samples of these names; all if empty.

    Returns:
        The body and its content type.
    """
    registry = CollectorRegistry(auto_describe=False)
    encoder, content_type = choose_encoder(accept)
    if names:
        registry.register(collector)
        chosen: Any = registry.restricted_registry(names)
        return encoder(chosen), content_type
    registry.register(Rest(collector))
    openmetrics = content_type.startswith("application/openmetrics-text")
    parts = write_families(collector.rows, collector.members, collector.max_types, openmetrics=openmetrics)
    families = "".join(breathing(parts, 1))
    return families.encode() + encoder(registry), content_type
