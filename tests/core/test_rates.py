from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.core.latency import LATENCY_BOUNDS, Histogram
from hub.core.ledger import Counts
from hub.core.rates import QUANTILES, WINDOW, Rates, Window, rates_of
from tests.strategies import counts, mappings

UNKNOWN = (None, None, None)


def test_nothing_is_known_before_there_were_two_ticks():
    assert Rates(None, None, None, None, None, None) == Rates()


@given(mappings, st.integers(0, 1000), st.integers(1, 16).map(lambda eighth: eighth / 8))
def test_a_rate_is_what_was_counted_over_the_seconds_it_took(counted, accepted, seconds):
    change = Counts()
    change.accepted, change.received, change.sent, change.errors = accepted, counted, counted, counted
    change.disconnects = {"1000": 3, "1006": 4}
    change.lost = counted
    lost = {reason: number / seconds for reason, number in counted.items()}
    total = sum(counted.values()) / seconds
    assert Rates(accepted / seconds, 7 / seconds, total, total, total, lost) == rates_of(change, seconds)


def test_an_idle_tick_is_zero_and_not_unknown():
    assert Rates(0, 0, 0, 0, 0, {}) == rates_of(Counts(), 1.0)


@given(st.lists(st.none() | counts(), max_size=3 * WINDOW))
def test_a_window_is_the_sum_of_its_last_ticks(ticks):
    window = Window()
    for tick in ticks:
        window.push(tick)
    latency, wait = Histogram(LATENCY_BOUNDS), Histogram(LATENCY_BOUNDS)
    for tick in filter(None, ticks[-WINDOW:]):
        latency.merge(tick.latency)
        wait.merge(tick.wait)
    assert tuple(map(latency.quantile, QUANTILES)) == window.latency()
    assert tuple(map(wait.quantile, QUANTILES)) == window.wait()
    assert window.empty == (not any(ticks[-WINDOW:]))


def test_quantiles_are_forgotten_after_the_window_and_then_unknown():
    busy = Counts()
    busy.latency.observe(0.2)
    window = Window()
    window.push(busy)
    for _ in range(WINDOW - 1):
        window.push(None)
    assert UNKNOWN != window.latency()
    assert UNKNOWN == window.wait()
    window.push(None)
    assert UNKNOWN == window.latency()
    assert window.empty
