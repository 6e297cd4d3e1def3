from __future__ import annotations

import pytest

import hub
from hub import metrics
from hub.core.errors import ConfigurationError
from hub.core.latency import LATENCY_BOUNDS
from hub.core.metrics import Registry


@pytest.fixture
def registry(monkeypatch):
    """A fresh one: what a test registers must not reach another's page."""
    fresh = Registry()
    monkeypatch.setattr(metrics, "REGISTRY", fresh)
    return fresh


def test_the_public_name_is_this_module():
    assert hub.metrics is metrics


def test_what_a_host_registers_is_in_the_registry(registry):
    orders = metrics.counter("orders_total", "Orders placed.", labels=("shop",))
    baskets = metrics.gauge("baskets", "Open baskets.")
    prices = metrics.histogram("prices", "Prices, in euros.", buckets=(1, 10))
    orders.inc(2, shop="north")
    baskets.set(3)
    prices.observe(4)
    assert [
        ("baskets", "gauge", "Open baskets.", (), (), [((), 3.0)]),
        ("orders_total", "counter", "Orders placed.", ("shop",), (), [(("north",), 2.0)]),
        ("prices", "histogram", "Prices, in euros.", (), (1.0, 10.0), [((), ([0, 1, 0], 4))]),
    ] == registry.pack()


def test_a_module_imported_twice_gets_the_same_metric(registry):
    assert metrics.gauge("baskets", "Open.") is metrics.gauge("baskets", "Open.")


def test_a_name_taken_by_another_kind_is_refused(registry):
    metrics.gauge("baskets", "Open.")
    with pytest.raises(ConfigurationError, match="baskets"):
        metrics.counter("baskets_total", "Opened.")


def test_a_histogram_takes_the_bounds_of_latency_unless_told_otherwise(registry):
    assert metrics.histogram("seconds", "Time.").buckets == LATENCY_BOUNDS
