from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.latency import DURATION_BOUNDS, LATENCY_BOUNDS, Histogram, quantile
from tests.strategies import eighths, histograms

BOUNDS = (1.0, 10.0, 50.0)
quantiles = st.floats(0, 1)


def observed(values, bounds=BOUNDS) -> Histogram:
    histogram = Histogram(bounds)
    for value in values:
        histogram.observe(value)
    return histogram


def state(histogram: Histogram) -> tuple[list[int], float]:
    return histogram.counts, histogram.sum


@pytest.mark.parametrize("bounds", [LATENCY_BOUNDS, DURATION_BOUNDS])
def test_bounds_ascend(bounds):
    assert all(lower < upper for lower, upper in pairwise(bounds))


def test_the_buckets_that_dashboards_rely_on_are_there():
    assert {0.01, 0.05, 0.1, 0.5, 1.0, 5.0} <= set(LATENCY_BOUNDS)


@pytest.mark.parametrize(
    ("value", "bucket"), [(0.0, 0), (1.0, 0), (1.0001, 1), (10.0, 1), (50.0, 2), (50.1, 3), (1e9, 3)]
)
def test_a_bucket_takes_its_upper_bound_and_the_last_one_what_lies_beyond(value, bucket):
    assert [int(index == bucket) for index in range(4)] == observed([value]).counts


@given(st.lists(eighths))
def test_nothing_is_lost_between_the_buckets(values):
    histogram = observed(values)
    assert (len(values), sum(values)) == (histogram.count, histogram.sum)


@given(st.lists(eighths), st.lists(eighths))
def test_merging_is_observing_both(left, right):
    merged = observed(left)
    merged.merge(observed(right))
    assert state(observed(left + right)) == state(merged)


@given(st.lists(eighths), st.lists(eighths))
def test_since_undoes_a_merge(earlier, later):
    assert state(observed(later)) == state(observed(earlier + later).since(observed(earlier)))


def test_merging_leaves_the_other_one_as_it_was():
    mine, other = observed([0.5]), observed([20.0])
    mine.merge(other)
    mine.observe(20.0)
    assert state(observed([20.0])) == state(other)


def test_histograms_of_other_bounds_are_not_mixed():
    with pytest.raises(ValueError, match="argument 2 is longer"):
        observed([1.0]).merge(observed([1.0], (1.0, 2.0, 3.0, 4.0)))


@given(quantiles)
def test_nothing_counted_has_no_quantile(q):
    assert Histogram(BOUNDS).quantile(q) is None


@given(st.lists(eighths, min_size=1), quantiles)
def test_a_quantile_lies_within_the_bounds(values, q):
    found = observed(values).quantile(q)
    assert found is not None
    assert 0 <= found <= BOUNDS[-1]


@given(histograms(LATENCY_BOUNDS), quantiles, quantiles)
def test_quantiles_grow_with_q(histogram, one, other):
    low, high = histogram.quantile(min(one, other)), histogram.quantile(max(one, other))
    assert (low is None and high is None) or low <= high


@given(st.lists(eighths, min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values, q):
    # The smallest value that at least q of all values are not above; bounds of buckets are the only error.
    rank = next(index for index in range(1, len(values) + 1) if index >= q * len(values))
    true = sorted(values)[rank - 1]
    edges = [0.0, *BOUNDS, float("inf")]
    lower, upper = next((low, high) for low, high in pairwise(edges) if low <= true <= high and (true > low or not low))
    found = observed(values).quantile(q)
    assert min(lower, BOUNDS[-1]) <= found <= min(upper, BOUNDS[-1])


def test_a_quantile_is_interpolated_as_in_promql():
    # histogram_quantile(0.9, ...) of 4, 4 and 2 values: the 9th of 10 is half-way through (10, 50].
    assert quantile(BOUNDS, [4, 4, 2, 0], 0.9) == pytest.approx(30.0)
    assert quantile(BOUNDS, [4, 4, 2, 0], 0.5) == pytest.approx(1 + 9 / 4)


def test_beyond_the_last_bound_the_last_bound_is_all_that_is_known():
    assert quantile(BOUNDS, [0, 0, 0, 3], 0.5) == BOUNDS[-1]
