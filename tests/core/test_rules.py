from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.rules import (
    FIRING,
    INACTIVE,
    LONGEST_PAUSE,
    PENDING,
    RESOLVED,
    SEVERITIES,
    Alert,
    Evaluator,
    Rule,
    duration,
    figure,
    key_of,
    render,
)
from tests import strategies  # noqa: F401 - loads the profile
from tests.core.watching import CHAT, WATCHED, rule, states

START = 10_000.0
#: Values around threshold (10) and release (5), and nothing at all.
values = st.sampled_from([0.0, 4.0, 5.0, 7.0, 10.0, 11.0, 100.0, None])
jumps = st.lists(values, max_size=120)
durations = st.sampled_from([0.0, 1.0, 3.0, 10.0])


def run(one: Rule, ticks: list[float | None], step: float = 1.0) -> list[tuple[float, Alert]]:
    """One look after the other at one series of the gauge; gives what changed, and when."""
    evaluator, changes = Evaluator([one], WATCHED, START), []
    for number, value in enumerate(ticks):
        now = START + number * step
        evaluator.take({"depth": {} if value is None else {CHAT: value}}, now)
        changes += [(now, change) for change in evaluator.evaluate(now)]
    return changes


def names(changes: list[tuple[float, Alert]]) -> list[str]:
    return states([change for _, change in changes])


# --- one alert ----------------------------------------------------------------------------------------------------


def test_it_waits_fires_keeps_and_resolves():
    one = rule(wait=2, keep=3, release=5)
    changes = run(one, [10, 11, 12, 30, 8, 5, 4, 3, 2, 1])
    assert [(1, PENDING), (3, FIRING), (8, RESOLVED)] == [(at - START, one.state) for at, one in changes]
    fired, resolved = changes[1][1], changes[2][1]
    assert (START + 1, START + 3, 30.0, None) == (fired.since, fired.fired_at, fired.worst, fired.resolved_at)
    assert (START + 3, START + 8, 2.0, 30.0) == (
        resolved.fired_at, resolved.resolved_at, resolved.value, resolved.worst,
    )  # fmt: skip
    assert fired.key == resolved.key
    assert {"consumer": "chat", "tenant": "acme", "rule": "deep", "severity": "high"} == fired.labels


def test_without_a_wait_it_fires_at_once_and_is_never_pending():
    assert [FIRING] == names(run(rule(), [10, 11, 11]))


def test_what_is_only_pending_is_inactive_again():
    assert [PENDING, INACTIVE, PENDING] == names(run(rule(wait=5), [11, 10, 11]))


def test_below_is_the_other_way_round():
    one = rule(above=None, below=10, release=20, keep=1)
    assert [FIRING, RESOLVED] == names(run(one, [10, 9, 15, 20, 21]))


def test_a_series_that_is_gone_is_resolved_in_time():
    assert [FIRING, RESOLVED] == names(run(rule(keep=2), [11, None, None, None]))


def test_each_series_has_an_alert_of_its_own():
    evaluator = Evaluator([rule()], WATCHED, START)
    evaluator.take({"depth": {("chat", tenant): 11.0 for tenant in "abc"}}, START)
    alerts = evaluator.evaluate(START)
    assert 3 == len({alert.key for alert in alerts})
    assert {"a", "b", "c"} == {alert.labels["tenant"] for alert in alerts}
    assert alerts == evaluator.active()


def test_an_event_need_not_wait_for_the_tick():
    evaluator = Evaluator([rule(), rule("errors", look="count", of="errors_total", window=60, above=0)], WATCHED, START)
    assert evaluator.add("errors_total", CHAT, 1, START + 0.5)
    assert ["errors"] == [one.rule for one in evaluator.evaluate(START + 0.5, frozenset({"errors_total"}))]
    assert [] == evaluator.evaluate(START + 0.5, frozenset({"depth"}))


# --- what is not known --------------------------------------------------------------------------------------------


def test_while_nobody_knows_time_stands_still():
    evaluator = Evaluator([rule(wait=10), rule("kept", keep=10)], WATCHED, START)
    evaluator.take({"depth": {CHAT: 11.0}}, START)
    assert [PENDING, FIRING] == states(evaluator.evaluate(START))
    evaluator.hold(START + 100)
    assert [] == evaluator.evaluate(START + 105)
    evaluator.take({"depth": {CHAT: 0.0}}, START + 106)
    assert [INACTIVE] == states(evaluator.evaluate(START + 106))
    evaluator.hold(START + 200)
    assert [] == evaluator.evaluate(START + 205)
    assert [RESOLVED] == states(evaluator.evaluate(START + 210))


def test_a_long_pause_between_two_looks_is_time_in_which_nobody_knew():
    assert [PENDING] == names(run(rule(wait=60), [11] * 5, step=LONGEST_PAUSE + 1))
    assert [PENDING, FIRING] == names(run(rule(wait=60), [11] * 5, step=LONGEST_PAUSE))


def test_a_clock_that_goes_back_ends_nothing():
    evaluator = Evaluator([rule(keep=5)], WATCHED, START)
    evaluator.take({"depth": {CHAT: 11.0}}, START)
    assert [FIRING] == states(evaluator.evaluate(START))
    evaluator.take({"depth": {CHAT: 0.0}}, START - 100)
    assert [] == evaluator.evaluate(START - 100)
    assert [] == evaluator.evaluate(START + 4)
    assert [RESOLVED] == states(evaluator.evaluate(START + 5))


def test_too_little_is_no_news_before_the_window_was_watched():
    quiet = rule(look="rate", of="received_total", window=60, below=1, above=None)
    evaluator = Evaluator([quiet], WATCHED, START)
    evaluator.take({"received_total": {CHAT: 5}}, START)
    assert [] == evaluator.evaluate(START + 10)
    for second in range(20, 70, 10):
        evaluator.evaluate(START + second)
    assert [FIRING] == states(evaluator.active())


def test_a_comparison_with_what_nobody_saw_is_no_news_either():
    risen = rule(look="change", of="received_total", window=60, offset=60, above=2)
    evaluator = Evaluator([risen], WATCHED, START)
    for second in range(0, 240, 10):
        evaluator.take({"received_total": {CHAT: 5 if second < 180 else 50}}, START + second)
        found = states(evaluator.evaluate(START + second))
        assert ([FIRING] if second == 180 else []) == found, second


# --- going on elsewhere -------------------------------------------------------------------------------------------


@given(jumps, st.integers(0, 120), durations, durations)
def test_another_evaluator_goes_on_as_if_nothing_had_happened(ticks, cut, wait, keep):
    one = rule(wait=wait, keep=keep, release=5)
    expected = run(one, ticks)
    first, second, changes = Evaluator([one], WATCHED, START), Evaluator([one], WATCHED, START), []
    for number, value in enumerate(ticks):
        now = START + number
        if number == cut:
            second.restore(json.loads(json.dumps(first.pack())))
        evaluator = first if number < cut else second
        evaluator.take({"depth": {} if value is None else {CHAT: value}}, now)
        changes += [(now, change) for change in evaluator.evaluate(now)]
    assert expected == changes


def test_what_fires_is_not_over_only_because_a_new_evaluator_has_seen_nothing_yet():
    many = rule(look="count", of="errors_total", window=60, keep=0)
    first, second = Evaluator([many], WATCHED, START), Evaluator([many], WATCHED, START + 5)
    first.take({"errors_total": {CHAT: 20}}, START)
    first.evaluate(START)
    second.restore(first.pack())
    second.take({}, START + 5)
    changes = {second_: states(second.evaluate(START + second_)) for second_ in range(6, 80)}
    assert {65: [RESOLVED]} == {at: found for at, found in changes.items() if found}


def test_what_fires_is_not_over_before_the_first_tick():
    one = rule(keep=0)
    first, second = Evaluator([one], WATCHED, START), Evaluator([one], WATCHED, START)
    first.take({"depth": {CHAT: 20.0}}, START)
    first.evaluate(START)
    second.restore(first.pack())
    assert [] == second.evaluate(START + 1, frozenset({"depth"}))
    second.take({"depth": {CHAT: 20.0}}, START + 2)
    assert [] == second.evaluate(START + 2)


def test_the_time_in_which_nobody_evaluated_counts_for_nothing():
    one = rule(wait=100)
    first, second = Evaluator([one], WATCHED, START), Evaluator([one], WATCHED, START + 1000)
    first.take({"depth": {CHAT: 20.0}}, START)
    first.evaluate(START)
    second.restore(first.pack())
    second.take({"depth": {CHAT: 20.0}}, START + 1000)
    assert [] == second.evaluate(START + 1000)
    for second_ in range(1010, 1110, 10):
        second.evaluate(START + second_)
    assert [FIRING] == states(second.active())


def test_a_rule_that_is_gone_or_has_other_labels_is_left_out():
    evaluator = Evaluator([rule(by=["tenant"])], WATCHED, START)
    states_ = [["gone", ["a"], 0, 0, 0, 0, None], ["deep", ["chat", "acme"], 0, 0, 0, 0, None]]
    evaluator.restore({"at": START, "states": states_})
    assert [] == evaluator.active()


# --- whatever the input -------------------------------------------------------------------------------------------


@given(jumps, durations, durations)
def test_a_series_makes_no_more_alerts_than_its_rule_allows(ticks, wait, keep):
    fired = [at for at, change in run(rule(wait=wait, keep=keep, release=5), ticks) if change.state == FIRING]
    assert all(later - before >= wait + keep for before, later in pairwise(fired))


@given(jumps, durations, durations)
def test_resolve_follows_fire_and_nothing_else_does(ticks, wait, keep):
    changes = run(rule(wait=wait, keep=keep, release=5), [*ticks, *[0.0] * 30])
    told = [state for state in names(changes) if state in (FIRING, RESOLVED)]
    assert [FIRING, RESOLVED] * (len(told) // 2) == told


@given(jumps, durations)
def test_what_fires_was_wrong_for_all_of_the_wait(ticks, wait):
    for at, change in run(rule(wait=wait, release=5), ticks):
        if change.state == FIRING:
            now = int(at - START)
            assert all((value or 0) > 10 for value in ticks[now - int(wait) : now + 1])


@given(jumps, durations, durations)
def test_the_same_input_makes_the_same_alerts(ticks, wait, keep):
    one = rule(wait=wait, keep=keep)
    assert run(one, ticks) == run(one, ticks)


@given(st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("cd")), st.sampled_from([0.0, 11.0])))
def test_the_order_of_samples_does_not_matter(samples):
    found = []
    for order in (samples, dict(reversed(samples.items()))):
        evaluator = Evaluator([rule()], WATCHED, START)
        evaluator.take({"depth": order}, START)
        found.append({alert.key: alert for alert in evaluator.evaluate(START)})
    assert found[0] == found[1]


# --- words --------------------------------------------------------------------------------------------------------


def test_figures_stand_in_the_texts():
    one = rule(summary="{value} of {tenant}, over {threshold}: {rule}", action="{worst} at {consumer}")
    [(_, alert)] = run(one, [1234])
    assert ("1,234 messages of acme, over 10 messages: deep", "1,234 messages at chat") == (alert.summary, alert.action)


def test_nothing_that_a_label_says_is_read_as_a_template():
    assert "{worst} and -" == render("{tenant} and {consumer}", {"tenant": "{worst}", "consumer": "", "worst": "1"})


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.25, "ratio", "25 %"), (2.5, "times", "2.5 times"), (1291.3, "times", "1,291 times"),
        (0.25, "seconds", "250 ms"), (90, "seconds", "90 s"),
        (120, "seconds", "2 min"), (3600, "seconds", "1 h"), (12345.6, "messages", "12,346 messages"), (0.5, "", "0.5"),
        (3, "messages a second", "3 messages a second"), (1, "messages", "1 message"), (1, "", "1"),
    ],
)  # fmt: skip
def test_numbers_are_for_people(value, unit, expected):
    assert expected == figure(value, unit)


def test_a_window_is_said_in_its_largest_unit():
    assert ["0 ms", "60 s", "5 min", "1 h"] == [
        duration(0),
        duration(60).replace("1 min", "60 s"),
        duration(300),
        duration(3600),
    ]


@given(
    st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3),
    st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3),
)
def test_different_labels_have_different_keys(one, other):
    assert (one == other) == (key_of(one) == key_of(other))
    assert key_of(one) == key_of(dict(reversed(one.items())))


def test_an_alert_survives_being_kept():
    [(_, alert)] = run(rule(labels={"team": "chat"}), [11])
    assert alert == Alert.unpack(json.loads(json.dumps(alert.pack())))
    assert alert.severity in SEVERITIES
