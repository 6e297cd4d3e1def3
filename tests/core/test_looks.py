from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.latency import Histogram
from hub.core.looks import FORGOTTEN_AFTER, KINDS, Series
from tests import strategies  # noqa: F401 - loads the profile
from tests.core.watching import BOUNDS, CHAT, WATCHED, rule

START = 10_000.0
EXAMPLES: dict[str, dict[str, Any]] = {
    "level": {"of": "depth"},
    "part": {"of": "depth", "where": "tenant=acme", "under": "depth", "by": ["consumer"], "least": 3},
    "count": {"of": "errors_total", "window": 60},
    "rate": {"of": "errors_total", "window": 60},
    "ratio": {"of": "errors_total", "under": "received_total", "window": 60, "least": 10},
    "share": {"of": "errors_total", "under": "depth", "window": 60, "least": 5},
    "quantile": {"of": "seconds", "window": 60, "quantile": 0.5},
    "change": {"of": "errors_total", "window": 60, "offset": 60, "least": 5},
    "absent": {"of": "up", "by": ["node"]},
}


def looked(kind: str, ticks: Sequence[tuple[float, dict]], now: float) -> dict:
    look = rule(look=kind, **EXAMPLES[kind]).look
    series = Series([look], WATCHED, START)
    for at, samples in ticks:
        series.take(samples, START + at)
    return dict(series.find(look, START + now))


def errors(number: float, **others: float) -> dict:
    return {"errors_total": {CHAT: number}, **{name: {CHAT: value} for name, value in others.items()}}


def test_there_is_an_example_of_each_kind():
    assert set(KINDS) == set(EXAMPLES)


def test_a_level_is_what_it_is_now_and_nowhere_without_a_sample():
    assert {CHAT: 7.0} == looked("level", [(0, {"depth": {CHAT: 3.0}}), (1, {"depth": {CHAT: 7.0}})], 1)
    assert {} == looked("level", [(0, {"depth": {CHAT: 3.0}}), (1, {})], 1)


def test_a_part_is_of_all_of_them_and_at_least_so_much():
    for acme, others, expected in ((6.0, 2.0, 0.75), (3.0, 9.0, 0.25), (2.0, 0.0, None)):
        depth = {CHAT: acme, ("chat", "globex"): others}
        assert {("chat",): expected} == looked("part", [(0, {"depth": depth})], 1)
    assert {} == looked("part", [(0, {"depth": {("chat", "globex"): 5.0}})], 1)


def test_a_count_and_a_rate_are_of_the_window():
    ticks = [(0, errors(30)), (30, errors(60))]
    assert ({CHAT: 90.0}, {CHAT: 1.5}) == (looked("count", ticks, 30), looked("rate", ticks, 30))
    assert ({CHAT: 60.0}, {CHAT: 1.0}) == (looked("count", ticks, 80), looked("rate", ticks, 80))
    assert {CHAT: 0.0} == looked("count", ticks, 100)


def test_a_ratio_needs_enough_below_the_line():
    assert {CHAT: 0.25} == looked("ratio", [(0, errors(5, received_total=20))], 1)
    assert {CHAT: None} == looked("ratio", [(0, errors(5, received_total=9))], 1)
    assert {CHAT: None} == looked("ratio", [(0, errors(5))], 1)


def test_a_share_is_what_is_gone_of_what_was():
    assert {CHAT: 0.75} == looked("share", [(0, errors(15, depth=5.0))], 1)
    assert {CHAT: 1.0} == looked("share", [(0, errors(15))], 1)
    assert {CHAT: None} == looked("share", [(0, errors(4, depth=5.0))], 1)


def test_a_change_is_a_multiple_of_the_window_before_and_of_one_at_least():
    assert {CHAT: 3.0} == looked("change", [(0, errors(4)), (70, errors(12))], 75)
    assert {CHAT: 12.0} == looked("change", [(0, {}), (70, errors(12))], 75)
    assert {CHAT: None} == looked("change", [(0, errors(1)), (70, errors(4))], 75)


def test_what_is_absent_is_counted_from_when_it_was_there():
    ticks = [(0, {"up": {("a",): 1.0, ("b",): 1.0}}), (10, {"up": {("b",): 1.0}})]
    assert {("a",): 10.0, ("b",): 0.0} == looked("absent", ticks, 10)


def test_what_is_absent_for_long_is_forgotten():
    look = rule(look="absent", of="up", by=["node"]).look
    series = Series([look], WATCHED, START)
    series.take({"up": {("a",): 1.0}}, START)
    series.forget(START + FORGOTTEN_AFTER, {look: {("a",)}})
    assert [("a",)] == [node for node, _ in series.find(look, START)]
    series.forget(START + 2 * FORGOTTEN_AFTER, {look: {("a",)}})
    assert [] == list(series.find(look, START))


@given(st.lists(st.sampled_from([0.05, 0.3, 0.8, 3.0]), max_size=20), st.integers(0, 20))
def test_a_quantile_is_that_of_what_was_observed_within_the_window(values, old):
    before, within = Histogram(BOUNDS), Histogram(BOUNDS)
    for _ in range(old):
        before.observe(4.0)
    for value in values:
        within.observe(value)
    found = looked("quantile", [(0, {"seconds": {CHAT: before.counts}}), (70, {"seconds": {CHAT: within.counts}})], 75)
    assert {CHAT: within.quantile(0.5)} == found


def test_two_looks_at_the_same_series_keep_them_once():
    one, other = rule(**EXAMPLES["count"], look="count"), rule("other", **EXAMPLES["rate"], look="rate")
    series = Series([one.look, other.look], WATCHED, START)
    assert 1 == len(series._tracks)
    assert series.add("errors_total", CHAT, 3, START)
    assert not series.add("depth", CHAT, 3, START)
    assert ({CHAT: 3.0}, {CHAT: 0.05}) == (dict(series.find(one.look, START)), dict(series.find(other.look, START)))


@pytest.mark.parametrize(("kind", "reach"), [("level", 0), ("count", 60), ("change", 120)])
def test_a_look_is_known_when_all_it_looks_back_over_was_watched(kind, reach):
    look = rule(look=kind, **EXAMPLES[kind]).look
    series = Series([look], WATCHED, START)
    assert not series.known(look, START + reach)
    series.take({}, START)
    assert series.known(look, START + reach)
    assert not reach or not series.known(look, START + reach - 1)
