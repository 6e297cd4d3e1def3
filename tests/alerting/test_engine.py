from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.alerting.engine import RENEW_INTERVAL, Engine, Outcome
from hub.alerting.pack import INHIBITIONS, read_settings
from hub.alerting.sources import SLOW, watched
from hub.alerting.zones import local
from hub.core.alerts import Alerts
from hub.core.events import Event
from hub.core.groups import FIRED, OVER, Notice
from hub.core.routing import Pace, Route, Routing
from hub.core.rules import FIRING, RESOLVED
from tests import strategies  # noqa: F401 - loads the profile

START = 1_800_000_000.0
WATCHED = watched()
ERRORS = ("chat", "acme", "ValueError")
Samples = dict[str, dict[tuple[str, ...], float]]
#: Half a second's worth of the errors that `handler_errors` waits for.
WAVE: Samples = {"ws_handler_errors_total": {ERRORS: 11}}


def make(given: dict[str, Any] | None = None, now: float = START) -> Engine:
    """The rule pack, told to one receiver."""
    rules, flaws = read_settings(given or {}, WATCHED)
    assert [] == flaws
    pace = Pace(wait=0.25, interval=60.0, repeat=600.0)
    routing = Routing([Route(name="all", receivers=("slack",), pace=pace)], [])
    return Engine(rules, WATCHED, Alerts(routing, local, INHIBITIONS), now)


def event(kind: str, **details: Any) -> dict[str, Any]:
    one = Event(kind=kind, at=START, tenant="acme", consumer="chat", connection="7", details=details)
    return {**asdict(one), "severity": one.severity, "node": "one"}


def told(outcome: Outcome) -> tuple[list[tuple[str, str]], list[tuple[str, list[str]]]]:
    """What has changed, and what is due."""
    changes = [(alert.rule, alert.state) for alert in outcome.changes]
    return changes, [(notice.kind, [alert.rule for alert in notice.firing]) for notice in outcome.notices]


def test_an_alert_is_told_and_told_to_be_over():
    engine = make()
    assert ([("handler_errors", FIRING)], []) == told(engine.tick(WAVE, START + 1))
    assert ([], [(FIRED, ["handler_errors"])]) == told(engine.pass_time(START + 1.5))
    assert not engine.pass_time(START + 30)
    outcomes = [told(engine.tick({}, START + second)) for second in range(2, 500)]
    assert ([("handler_errors", RESOLVED)], [(OVER, [])]) in outcomes
    assert 1 == sum(bool(changes) for changes, _ in outcomes)
    assert 1 == sum(bool(notices) for _, notices in outcomes)


def test_an_episode_is_told_as_soon_as_it_has_opened_and_not_at_the_next_tick():
    engine = make()
    opened = engine.event(event("slow.opened", cause="handler", seconds=0.6), START + 0.1)
    assert ([("slow_consumer", FIRING)], True) == (told(opened)[0][:1], bool(opened))
    assert [("slow_consumer", FIRING), ("slow_for_long", "pending")] == told(opened)[0]
    [notice] = engine.pass_time(START + 0.4).notices
    assert "chat, tenant acme, is slow: handler (1 episode on one)" == notice.firing[0].summary


def test_a_blocked_loop_explains_what_is_slow_even_if_that_comes_first():
    engine = make()
    engine.event(event("slow.opened", cause="handler"), START + 0.1)
    engine.event(event("slow.opened", cause="loop"), START + 0.15)
    assert ([], [(FIRED, ["loop_blocked"])]) == told(engine.pass_time(START + 0.5))


def test_the_next_tick_says_how_it_really_is():
    engine = make({"slow_consumer": {"keep": 2}, "slow_for_long": False})
    engine.event(event("slow.opened", cause="handler"), START + 0.1)
    engine.tick({SLOW: {("handler", "chat", "acme", "one"): 3.0}}, START + 1)
    assert [3.0] == [alert.value for alert in engine.active()]
    engine.tick({}, START + 2)
    assert [("slow_consumer", RESOLVED)] == told(engine.tick({}, START + 4))[0]


@pytest.mark.parametrize("one", [event("connection.opened"), event("slow.closed", cause="loop"), event("slow.opened")])
def test_an_event_that_no_rule_looks_at_is_nothing(one):
    assert not make().event(one, START + 1)


def test_events_may_be_counted_by_a_rule_of_the_host():
    stale = {
        "look": "count", "of": "hub_events_total", "where": "kind=member.stale", "by": ["tenant"], "window": 60,
        "above": 1, "severity": "low", "summary": "{value} of {tenant}",
    }  # fmt: skip
    engine = make({"stale": stale})
    assert not engine.event(event("member.stale"), START + 1)
    assert [("stale", FIRING)] == told(engine.event(event("member.stale"), START + 2))[0]


def test_while_nobody_knows_nothing_is_over():
    engine = make()
    engine.tick(WAVE, START + 1)
    engine.pass_time(START + 2)
    for second in range(3, 600, 10):
        assert told(engine.hold(START + second))[0] == []
    assert [FIRING] == [alert.state for alert in engine.active()]


def test_a_repetition_tells_the_newest_figures():
    engine = make({"inbound_backlog": {"above": 10, "for": 0}})
    depth = "ws_inbound_backlog_messages"
    engine.tick({depth: {("chat", "acme"): 11}}, START + 1)
    engine.tick({depth: {("chat", "acme"): 99}}, START + 1 + RENEW_INTERVAL)
    [one] = engine.alerts.firing.values()
    assert (99.0, "chat, tenant acme: 99 messages wait for their handler") == (one.alert.value, one.alert.summary)


def test_what_no_rule_says_any_more_is_over_with_the_next_start():
    engine, other = make(), make({"handler_errors": False}, START + 5)
    engine.tick(WAVE, START + 1)
    engine.pass_time(START + 2)
    outcome = other.restore(json.loads(json.dumps(engine.pack())), START + 90)
    assert ([("handler_errors", RESOLVED)], [(OVER, [])]) == told(outcome)


def test_what_has_another_severity_with_the_next_start_is_another_alert():
    engine, other = make(), make({"handler_errors": {"severity": "low"}}, START + 5)
    engine.tick(WAVE, START + 1)
    engine.pass_time(START + 2)
    changes, notices = told(other.restore(json.loads(json.dumps(engine.pack())), START + 10))
    assert [("handler_errors", RESOLVED), ("handler_errors", FIRING)] == changes
    assert [] == notices
    assert ["low"] == [one.alert.severity for one in other.alerts.firing.values()]


@given(st.lists(st.sampled_from([0, 0, 0, 3, 11, 200]), max_size=60), st.integers(0, 60))
def test_a_restart_makes_no_message_twice_and_loses_none(errors, cut):
    def live(cut: int | None) -> list[tuple[str, int, str]]:
        notices: list[Notice] = []
        engine = make()
        for number, count in enumerate([*errors, *[0] * 60]):
            now = START + number * 12
            if number == cut:
                kept = json.loads(json.dumps(engine.pack()))
                engine = make(now=START)
                notices += engine.restore(kept, now).notices
            samples: Samples = {"ws_handler_errors_total": {ERRORS: count}} if count else {}
            notices += [*engine.tick(samples, now).notices, *engine.pass_time(now + 0.5).notices]
        return [(notice.incident, notice.number, notice.kind) for notice in notices]

    for found in (live(None), live(cut)):
        names = [(incident, number) for incident, number, _ in found]
        assert sorted(set(names)) == sorted(names)
        ends = {incident: kind for incident, _, kind in found}
        assert set(ends.values()) <= {OVER}
