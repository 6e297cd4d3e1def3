"""
Business metrics of the host: counters, gauges and histograms with labels.

They are rare compared with frames and may be touched from any thread, so that here, and only here, a lock guards
the numbers. A metric keeps at most `MAX_SERIES` label sets; what comes beyond is merged under ``other``.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Any, TypeVar

from hub.core.errors import ConfigurationError
from hub.core.latency import LATENCY_BOUNDS, Histogram

#: Label sets that one metric may have.
MAX_SERIES = 500
#: Prefixes that are the hub's own.
RESERVED = ("ws_", "hub_")
OTHER = "other"

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
#: What prometheus_client appends to a metric's name, by kind.
_SUFFIXES = {
    "counter": ("_total", "_created"),
    "gauge": (),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
}
#: A metric as plain values: name, kind, help, label names, bounds, and per label set its values and number(s).
Packed = tuple[str, str, str, tuple[str, ...], tuple[float, ...], list[tuple[tuple[str, ...], Any]]]


class Metric(ABC):
    """
    What counters, gauges and histograms have in common.

    Args:
        name: A Prometheus metric name; a counter's ends in ``_total``.
        help_text: One sentence.
        labels: Label names. Values must come from a small set: never a user id.
    """

    kind = ""

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        _check_name(name)
        for label in labels:
            if not _NAME.fullmatch(label) or label.startswith("__") or label == "le":
                raise ConfigurationError(f"{name}: {label!r} can't be a label name; use letters, digits and _")
        if len(set(labels)) < len(labels):
            raise ConfigurationError(f"{name} names a label twice: {tuple(labels)}; name each of them once")
        if not help_text.strip():
            raise ConfigurationError(f"{name} has no help text; say in a sentence what it counts, and its unit")
        self.name = name
        self.help = " ".join(help_text.split())
        self.labels = tuple(labels)
        self._lock = Lock()

    @property
    def sample_names(self) -> set[str]:
        """Every name that the metric takes in the exposition."""
        base = self.name.removesuffix("_total") if self.kind == "counter" else self.name
        return {base, *(base + suffix for suffix in _SUFFIXES[self.kind])}

    def _key(self, labels: dict[str, str], known: Iterable[tuple[str, ...]], size: int) -> tuple[str, ...]:
        if len(labels) != len(self.labels) or not all(name in labels for name in self.labels):
            raise ConfigurationError(f"{self.name} has the labels {self.labels}, not {tuple(labels)}")
        key = tuple(str(labels[name]) for name in self.labels)
        if size >= MAX_SERIES and key not in known:
            return (OTHER,) * len(key)
        return key

    @property
    def definition(self) -> tuple[object, ...]:
        """What two metrics of one kind must agree in to be the same one."""
        return self.name, self.labels

    @abstractmethod
    def pack(self) -> Packed:
        """A copy as plain values."""


class _Numbers(Metric):
    """A metric whose label sets have one number each."""

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, help_text, labels)
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def _change(self, labels: dict[str, str], change: Callable[[float], float]) -> None:
        with self._lock:
            key = self._key(labels, self._values, len(self._values))
            self._values[key] = change(self._values.get(key, 0.0))

    def pack(self) -> Packed:
        """A copy as plain values: a number per label set."""
        with self._lock:
            series: list[tuple[tuple[str, ...], Any]] = list(self._values.items())
        return self.name, self.kind, self.help, self.labels, (), series


class Counter(_Numbers):
    """A number that only grows; its name ends in ``_total``."""

    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        if not name.endswith("_total"):
            raise ConfigurationError(f"a counter's name ends in _total: {name}_total")
        super().__init__(name, help_text, labels)

    def inc(self, amount: float = 1, /, **labels: str) -> None:
        """Add to the counter; a negative amount is an error."""
        if not amount >= 0:  # not a number is no growth either
            raise ConfigurationError(f"{self.name} is a counter and can't grow by {amount}; use a gauge")
        self._change(labels, lambda value: value + amount)


class Gauge(_Numbers):
    """A number that goes up and down."""

    kind = "gauge"

    def set(self, value: float, /, **labels: str) -> None:
        """Set the gauge."""
        self._change(labels, lambda _: float(value))

    def inc(self, amount: float = 1, /, **labels: str) -> None:
        """Add to the gauge."""
        self._change(labels, lambda value: value + amount)

    def dec(self, amount: float = 1, /, **labels: str) -> None:
        """Take from the gauge."""
        self._change(labels, lambda value: value - amount)


class Distribution(Metric):
    """A histogram: how often a value fell into each bucket."""

    kind = "histogram"

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCY_BOUNDS
    ) -> None:
        super().__init__(name, help_text, labels)
        if not buckets or list(buckets) != sorted(set(buckets)):
            raise ConfigurationError(f"{name}: buckets must be upper bounds in ascending order, not {buckets!r}")
        self.buckets = tuple(float(bound) for bound in buckets if bound != float("inf"))
        self._values: dict[tuple[str, ...], Histogram] = {} if labels else {(): Histogram(self.buckets)}

    @property
    def definition(self) -> tuple[object, ...]:
        """Its buckets too."""
        return *super().definition, self.buckets

    def observe(self, value: float, /, **labels: str) -> None:
        """Count one value, in the unit of the buckets."""
        with self._lock:
            key = self._key(labels, self._values, len(self._values))
            self._values.setdefault(key, Histogram(self.buckets)).observe(value)

    def pack(self) -> Packed:
        """A copy as plain values: counts and sum per label set."""
        with self._lock:
            series: list[tuple[tuple[str, ...], Any]] = [
                (key, (list(histogram.counts), histogram.sum)) for key, histogram in self._values.items()
            ]
        return self.name, self.kind, self.help, self.labels, self.buckets, series


Kind = TypeVar("Kind", bound=Metric)


class Registry:
    """The business metrics of one process, by name."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._lock = Lock()

    def register(self, metric: Kind) -> Kind:
        """
        Add a metric. The same definition again (a module imported twice) gives the first one back.

        Raises:
            ConfigurationError: The name is taken by another definition.
        """
        with self._lock:
            known = next(
                (other for other in self._metrics.values() if other.sample_names & metric.sample_names), metric
            )
            if type(known) is not type(metric) or known.definition != metric.definition:
                raise ConfigurationError(
                    f"{metric.name} is taken: the {known.kind} {known.name} with labels {known.labels} is registered"
                    " already and differs; choose another name"
                )
            self._metrics[known.name] = known
        return known

    def pack(self) -> list[Packed]:
        """All metrics as plain values, by name."""
        with self._lock:
            metrics = sorted(self._metrics.items())
        return [metric.pack() for _, metric in metrics]


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} can't be a metric's name; use letters, digits and _")
    if name.startswith(RESERVED):
        raise ConfigurationError(f"{name}: the prefixes {' and '.join(RESERVED)} are the hub's own; choose another")
