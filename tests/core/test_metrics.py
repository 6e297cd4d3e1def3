from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import ConfigurationError
from hub.core.metrics import MAX_SERIES, OTHER, Counter, Distribution, Gauge, Registry
from tests.strategies import eighths


def values(metric: Counter | Gauge | Distribution) -> dict:
    return dict(metric.pack()[5])


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "é", "ws_orders", "hub_orders", "a\n"])
def test_a_name_that_prometheus_or_the_hub_cannot_take_is_refused(name):
    with pytest.raises(ConfigurationError):
        Gauge(name, "Help.")


@pytest.mark.parametrize("label", ["", "le", "__name__", "a-b", "1", "a\n"])
def test_a_label_that_prometheus_cannot_take_is_refused(label):
    with pytest.raises(ConfigurationError, match="label"):
        Gauge("orders", "Help.", (label,))


def test_a_label_named_twice_is_refused():
    with pytest.raises(ConfigurationError, match="twice"):
        Gauge("orders", "Help.", ("shop", "shop"))


@pytest.mark.parametrize("label", ["amount", "value", "self"])
def test_a_label_may_have_any_other_name(label):
    gauge, counter, histogram = (
        Gauge("g", "H.", (label,)),
        Counter("c_total", "H.", (label,)),
        Distribution("h", "H.", (label,)),
    )
    gauge.set(1, **{label: "x"})
    counter.inc(1, **{label: "x"})
    histogram.observe(1, **{label: "x"})
    assert [{("x",)}] * 3 == [set(values(metric)) for metric in (gauge, counter, histogram)]


def test_a_metric_without_help_is_refused():
    with pytest.raises(ConfigurationError, match="help"):
        Gauge("orders", "  ")


def test_a_counter_ends_in_total_and_the_remedy_says_so():
    with pytest.raises(ConfigurationError, match="orders_total"):
        Counter("orders", "Help.")


@pytest.mark.parametrize("buckets", [(), (1.0, 1.0), (2.0, 1.0)])
def test_buckets_must_ascend(buckets):
    with pytest.raises(ConfigurationError, match="buckets"):
        Distribution("seconds", "Help.", buckets=buckets)


# --- numbers ------------------------------------------------------------------------------------------------------


def test_a_metric_without_labels_is_there_from_the_start():
    assert {(): 0.0} == values(Counter("orders_total", "Help."))
    assert {(): ([0, 0], 0.0)} == values(Distribution("seconds", "Help.", buckets=(1.0,)))


@given(st.lists(st.tuples(st.sampled_from("ab"), eighths)))
def test_a_counter_is_the_sum_by_label(increments):
    counter = Counter("orders_total", "Help.", ("shop",))
    expected: dict[tuple[str], float] = {}
    for shop, amount in increments:
        counter.inc(amount, shop=shop)
        expected[shop,] = expected.get((shop,), 0.0) + amount
    assert expected == values(counter)


@pytest.mark.parametrize("amount", [-1, -0.001, float("nan")])
def test_a_counter_does_not_go_down(amount):
    counter = Counter("orders_total", "Help.")
    with pytest.raises(ConfigurationError, match="gauge"):
        counter.inc(amount)
    assert {(): 0.0} == values(counter)


def test_a_gauge_goes_up_and_down():
    gauge = Gauge("queue", "Help.")
    gauge.set(5)
    gauge.inc(2)
    gauge.dec()
    assert {(): 6.0} == values(gauge)


@given(st.lists(eighths))
def test_a_distribution_counts_every_value(observed):
    histogram = Distribution("seconds", "Help.", buckets=(1.0, 50.0))
    for value in observed:
        histogram.observe(value)
    below = sum(value <= 1 for value in observed)
    beyond = sum(value > 50 for value in observed)
    assert {(): ([below, len(observed) - below - beyond, beyond], sum(observed))} == values(histogram)


def test_the_bucket_of_all_is_implied():
    assert Distribution("seconds", "Help.", buckets=(1.0, float("inf"))).buckets == (1.0,)


@pytest.mark.parametrize("labels", [{}, {"shop": "a", "more": "b"}, {"stop": "a"}])
def test_labels_must_be_those_declared(labels):
    counter = Counter("orders_total", "Help.", ("shop",))
    with pytest.raises(ConfigurationError, match="shop"):
        counter.inc(**labels)


def test_beyond_the_cap_label_sets_merge_into_other_and_no_number_is_lost():
    counter = Counter("orders_total", "Help.", ("shop", "till"))
    for number in range(MAX_SERIES + 7):
        counter.inc(shop=str(number), till="1")
    counter.inc(shop="0", till="1")
    found = values(counter)
    assert (7, 2) == (found[OTHER, OTHER], found["0", "1"])
    assert MAX_SERIES + 1 == len(found)
    assert MAX_SERIES + 8 == sum(found.values())


def test_threads_lose_no_increment():
    counter = Counter("orders_total", "Help.")

    def count() -> None:
        for _ in range(2000):
            counter.inc()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(): 8000.0} == values(counter)


def test_packed_values_are_a_copy():
    histogram = Distribution("seconds", "Help.", buckets=(1.0,))
    packed = histogram.pack()
    histogram.observe(0.5)
    assert [((), ([0, 0], 0.0))] == packed[5]


# --- the registry -------------------------------------------------------------------------------------------------


def test_the_same_definition_again_is_the_first_one():
    registry = Registry()
    first = registry.register(Counter("orders_total", "Help.", ("shop",)))
    assert first is registry.register(Counter("orders_total", "Help.", ("shop",)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Gauge("orders", "Help."), Distribution("orders", "Help.")),
        (Gauge("orders", "Help."), Gauge("orders", "Help.", ("shop",))),
        (Distribution("orders", "Help."), Distribution("orders", "Help.", buckets=(1.0, 2.0))),
        # Not the same name, but the same in the exposition: the whole page would fail.
        (Gauge("orders", "Help."), Counter("orders_total", "Help.")),
        (Counter("orders_total", "Help."), Distribution("orders", "Help.")),
        (Distribution("orders", "Help."), Gauge("orders_count", "Help.")),
        (Distribution("orders", "Help."), Gauge("orders_bucket", "Help.")),
        (Counter("orders_total", "Help."), Gauge("orders_created", "Help.")),
    ],
    ids=lambda metric: f"{metric.kind} {metric.name}",
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_name_that_is_taken_is_refused_with_both_names(first, second, turned):
    if turned:
        first, second = second, first
    registry = Registry()
    registry.register(first)
    with pytest.raises(ConfigurationError, match=first.name):
        registry.register(second)
    assert [first.pack()] == registry.pack()


def test_names_that_only_look_alike_are_not_refused():
    registry = Registry()
    for metric in (Gauge("orders", "H."), Gauge("orders_open", "H."), Distribution("orders_seconds", "H.")):
        assert metric is registry.register(metric)


def test_metrics_are_packed_by_name():
    registry = Registry()
    for name in ("b", "c", "a"):
        registry.register(Gauge(name, "Help."))
    assert ["a", "b", "c"] == [packed[0] for packed in registry.pack()]
