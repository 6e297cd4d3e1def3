from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.latency import Histogram
from hub.core.matchers import parse_matchers
from hub.core.series import COUNTER, GAUGE, HISTOGRAM, PARTS, Past, Selection, Spread, Track, Watched
from tests import strategies  # noqa: F401 - loads the profile

WINDOW = 60.0
PART = WINDOW / PARTS
LABELS = ("consumer", "tenant", "reason")
LOST = Watched("lost", COUNTER, LABELS)
DEPTH = Watched("depth", GAUGE, LABELS)
SECONDS = Watched("seconds", HISTOGRAM, LABELS, bounds=(0.5, 1.0))
#: Seconds that passed, and how much was counted then.
growths = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 50)), max_size=60)


def track(watched: Watched, where: str = "", by: tuple[str, ...] = ("consumer",), **more) -> Track:
    return Track(Selection(watched.name, parse_matchers(where), by, **more), watched, WINDOW, WINDOW)


# --- the past of one series ---------------------------------------------------------------------------------------


@given(growths, st.integers(0, 120))
def test_a_window_counts_what_came_within_it_and_is_at_most_a_part_too_short(steps, later):
    past, now, came = Past(PART, PARTS + 2, 1000.0), 1000.0, []
    for passed, amount in steps:
        now += passed
        past.add(amount, now)
        came.append((now, amount))
    now += later
    grown = past.grown(now - WINDOW)
    assert grown <= sum(amount for at, amount in came if at > now - WINDOW)
    assert grown >= sum(amount for at, amount in came if at > now - WINDOW + PART)


@given(growths)
def test_two_windows_side_by_side_are_one(steps):
    past, now = Past(PART, 2 * PARTS + 2, 1000.0), 1000.0
    for passed, amount in steps:
        now += passed
        past.add(amount, now)
    both = past.grown(now - 2 * WINDOW)
    assert both == past.grown(now - 2 * WINDOW, now - WINDOW) + past.grown(now - WINDOW)


@given(growths)
def test_each_bucket_grows_as_a_counter_does(steps):
    past, spread, now = Past(PART, PARTS + 2, 1000.0), Spread(PART, PARTS + 2, 1000.0, 3), 1000.0
    for passed, amount in steps:
        now += passed
        past.add(amount, now)
        spread.add([0, amount, 2 * amount], now)
    grown = past.grown(now - WINDOW)
    assert [0, grown, 2 * grown] == list(spread.grown(now - WINDOW) or [0, 0, 0])


def test_a_clock_that_goes_back_loses_nothing():
    past = Past(PART, PARTS + 2, 1000.0)
    past.add(3, 1010.0)
    past.add(4, 1005.0)
    assert 7 == past.grown(1010.0 - WINDOW)


# --- tracks -------------------------------------------------------------------------------------------------------


def test_samples_are_summed_by_the_labels_named_and_others_left_out():
    lost = track(LOST, "reason!=teardown")
    lost.take({("chat", "a", "full"): 2, ("chat", "b", "full"): 3, ("chat", "a", "teardown"): 9}, 1000.0)
    lost.take({("chat", "a", "expired"): 4, ("news", "a", "full"): 1}, 1010.0)
    assert {("chat",): 9.0, ("news",): 1.0} == dict(lost.grown(1010.0 - WINDOW))
    assert 4.0 == lost.grown_of(("chat",), 1005.0)
    assert 0.0 == lost.grown_of(("nobody",), 1005.0)


@pytest.mark.parametrize(("highest", "expected"), [(False, 5.0), (True, 3.0)])
def test_a_gauge_is_the_sum_or_the_highest_of_now(highest, expected):
    depth = track(DEPTH, highest=highest)
    depth.take({("chat", "a", ""): 9.0, ("news", "a", ""): 9.0}, 1000.0)
    depth.take({("chat", "a", ""): 2.0, ("chat", "b", ""): 3.0, ("chat", "c", ""): math.nan}, 1001.0)
    assert {("chat",): expected} == depth.levels
    assert {("chat",): 1001.0, ("news",): 1000.0} == depth.seen_at


def test_a_gauge_told_between_two_ticks_is_at_least_that_until_the_next():
    depth = track(DEPTH)
    depth.take({("chat", "a", ""): 2.0}, 1000.0)
    depth.add(("chat", "a", ""), 1.0, 1000.5)
    depth.add(("news", "a", ""), 1.0, 1000.5)
    assert {("chat",): 2.0, ("news",): 1.0} == depth.levels
    depth.take({}, 1001.0)
    assert {} == depth.levels


def test_quantiles_need_enough_to_go_by():
    seconds, observed = track(SECONDS), Histogram((0.5, 1.0))
    for value in (0.1, 0.6, 0.7, 5.0):
        observed.observe(value)
    seconds.take({("chat", "a", ""): observed.counts}, 1000.0)
    assert {("chat",): observed.quantile(0.5)} == dict(seconds.quantiles(0.5, 1000.0 - WINDOW, 4))
    assert {("chat",): None} == dict(seconds.quantiles(0.5, 1000.0 - WINDOW, 5))
    assert {("chat",): None} == dict(seconds.quantiles(0.5, 1000.0 + WINDOW, 0))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_taken(wrong):
    lost, depth = track(LOST), track(DEPTH)
    lost.add(("chat", "a", "full"), wrong, 1000.0)
    depth.add(("chat", "a", "full"), wrong, 1000.0)
    assert ([], {}) == (list(lost.grown(0.0)), depth.levels)


def test_what_is_at_rest_is_forgotten_unless_it_is_kept():
    lost = track(LOST)
    lost.take({("chat", "a", "full"): 2, ("news", "a", "full"): 3}, 1000.0)
    lost.take({("new", "a", "full"): 2}, 1000.0 + WINDOW)
    lost.forget(1004.0 + WINDOW, [("chat",)])
    assert {("chat",), ("new",)} == {series for series, _ in lost.grown(0.0)}


def test_there_is_a_bound_and_what_is_refused_is_counted(monkeypatch):
    monkeypatch.setattr("hub.core.series.MAX_SERIES", 2)
    lost, seconds = track(LOST), track(SECONDS)
    for consumer in "abca":
        lost.add((consumer, "", ""), 1, 1000.0)
        seconds.add((consumer, "", ""), [1, 0, 0], 1000.0)
    assert {("a",): 2.0, ("b",): 1.0} == dict(lost.grown(0.0))
    assert (1, 1) == (lost.refused, seconds.refused)
