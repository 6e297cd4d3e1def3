"""
Business metrics of the host, on the same endpoint and feed as the hub's own.

    from hub import metrics

    orders = metrics.counter("orders_total", "Orders placed.", labels=("shop",))
    orders.inc(shop="north")
"""

from collections.abc import Sequence

from hub.core.latency import LATENCY_BOUNDS
from hub.core.metrics import Counter, Distribution, Gauge, Registry

__all__ = ["REGISTRY", "counter", "gauge", "histogram"]

#: The metrics of this process.
REGISTRY = Registry()


def counter(name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
    """Register a counter, ``name`` ending in ``_total``; see `hub.core.metrics.Counter`."""
    return REGISTRY.register(Counter(name, help_text, labels))


def gauge(name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
    """Register a gauge; see `hub.core.metrics.Gauge`."""
    return REGISTRY.register(Gauge(name, help_text, labels))


def histogram(
    name: str, help_text: str, labels: Sequence[str] = (), buckets: Sequence[float] = LATENCY_BOUNDS
) -> Distribution:
    """Register a histogram with upper bounds ``buckets``; see `hub.core.metrics.Distribution`."""
    return REGISTRY.register(Distribution(name, help_text, labels, buckets))
