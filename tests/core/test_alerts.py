from __future__ import annotations

import json
from dataclasses import replace
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from hub.core.alerts import INHIBITED, SILENCED, Alerts, Muted
from hub.core.groups import ACKNOWLEDGED, FIRED, OVER, Notice
from hub.core.hours import Hours
from hub.core.matchers import parse_matchers
from hub.core.routing import Escalation, Pace, Route, Routing
from hub.core.rules import FIRING, PENDING, RESOLVED, Alert, key_of
from hub.core.silences import LINGER, Inhibition, Maintenance, Silence
from tests import strategies  # noqa: F401 - loads the profile

START = 10_000.0
PACE = Pace(wait=0.0, interval=60.0, repeat=600.0)
LOOP = Inhibition(cause=parse_matchers("rule=loop"), effect=parse_matchers("rule=slow"))


def local(zone: str, now: float) -> tuple[int, float]:
    return int(now // 86_400) % 7, now % 86_400 / 60


def alert(rule: str = "deep", tenant: str = "acme", state: str = FIRING, severity: str = "high") -> Alert:
    labels = {"rule": rule, "tenant": tenant, "severity": severity}
    return Alert(
        key=key_of(labels), rule=rule, severity=severity, labels=labels, state=state, since=START, value=1.0,
        worst=1.0, threshold=1.0, fired_at=START,
    )  # fmt: skip


def route(name: str = "slack", text: str = "", **more) -> Route:
    more = {"pace": PACE, "receivers": (name,), **more}
    return Route(name=name, matchers=parse_matchers(text), **more)


def make(*routes: Route, **more) -> Alerts:
    return Alerts(Routing(routes or (route(),), ["ops"]), local, **more)


def fire(alerts: Alerts, second: float, *found: Alert) -> list[tuple[str, str]]:
    """Let alerts fire; gives kind and receiver of what is due."""
    alerts.take(found, START + second)
    return due(alerts, second)


def resolve(alerts: Alerts, second: float, *found: Alert) -> list[tuple[str, str]]:
    alerts.take([replace(one, state=RESOLVED, resolved_at=START + second) for one in found], START + second)
    return due(alerts, second)


def due(alerts: Alerts, second: float) -> list[tuple[str, str]]:
    return [(notice.kind, notice.receiver) for notice in alerts.due(START + second)]


def silence(text: str, start: float, end: float) -> dict[str, Silence]:
    one = Silence(
        id="one", matchers=parse_matchers(text), starts_at=START + start, ends_at=START + end, by="ann", why="",
        changed_at=START + start,
    )  # fmt: skip
    return {"one": one}


# --- telling ------------------------------------------------------------------------------------------------------


def test_it_is_told_once_and_once_when_it_is_over():
    alerts = make()
    assert [(FIRED, "slack")] == fire(alerts, 0, alert())
    assert [] == due(alerts, 30)
    assert [] == resolve(alerts, 40, alert())
    assert [(OVER, "slack")] == due(alerts, 60)
    assert [] == due(alerts, 5000)
    assert {} == alerts._groups


def test_what_is_only_pending_is_told_to_nobody():
    alerts = make()
    assert [] == fire(alerts, 0, alert(state=PENDING))
    assert {} == alerts.firing


def test_a_storm_in_200_tenants_is_one_message_that_says_so():
    alerts = make()
    alerts.take([alert(tenant=f"t{number}") for number in range(200)], START)
    [notice] = alerts.due(START)
    assert (FIRED, 200, 200) == (notice.kind, len(notice.firing), len(notice.news))


def test_each_receiver_has_an_incident_of_its_own():
    alerts = make(route(receivers=("slack", "pager")))
    alerts.take([alert()], START)
    notices = alerts.due(START)
    assert ["slack", "pager"] == [notice.receiver for notice in notices]
    assert 2 == len({notice.incident for notice in notices})


def test_whoever_was_told_is_told_that_it_is_over_though_the_hours_have_changed():
    alerts = make(route("office", hours=Hours.parse("Mon-Sun 00:00-03:00 UTC")), route("night"))
    assert [(FIRED, "office")] == fire(alerts, 0, alert())
    assert [(OVER, "office")] == resolve(alerts, 2000, alert())
    assert [(FIRED, "night")] == fire(alerts, 2001, alert())


def test_what_is_held_waits_for_the_hours():
    alerts = make(route("mail", hours=Hours.parse("Mon-Sun 03:00-04:00 UTC"), hold=True))
    assert [] == fire(alerts, 0, alert())
    assert [] == due(alerts, 799)
    assert [(FIRED, "mail")] == due(alerts, 800)


def test_an_alert_that_fires_again_reaches_those_too_who_were_told_that_it_was_over():
    fast, slow = route("fast", pace=Pace(wait=0, interval=1), go_on=True), route("slow")
    alerts = make(fast, slow)
    assert [(FIRED, "fast"), (FIRED, "slow")] == fire(alerts, 0, alert())
    assert [(OVER, "fast")] == resolve(alerts, 10, alert())
    assert [(FIRED, "fast")] == fire(alerts, 20, alert())
    assert [(OVER, "fast"), (OVER, "slow")] == sorted(resolve(alerts, 70, alert()))


def test_newer_figures_are_told_in_a_repetition():
    alerts = make()
    fire(alerts, 0, alert())
    alerts.renew([replace(alert(), value=9.0), alert("other")])
    [notice] = alerts.due(START + 600)
    assert [9.0] == [found.value for found in notice.firing]


def test_what_belongs_to_no_rule_any_more_is_over():
    alerts = make()
    fire(alerts, 0, alert(), alert("gone"))
    assert ["gone"] == [one.rule for one in alerts.withdraw([alert().key], START + 100)]
    [notice] = alerts.due(START + 100)
    assert (OVER, {"rule": "gone"}) == (notice.kind, notice.labels)


# --- not telling --------------------------------------------------------------------------------------------------


def test_what_is_silenced_is_told_when_the_silence_is_over_and_it_still_fires():
    alerts = make()
    alerts.put_silences(silence("tenant=acme", 0, 100))
    assert [] == fire(alerts, 0, alert())
    assert Muted(SILENCED, "one") == alerts.firing[alert().key].muted
    assert [(FIRED, "slack")] == due(alerts, 100)


def test_that_it_is_over_is_told_though_it_is_silenced():
    alerts = make()
    fire(alerts, 0, alert())
    alerts.put_silences(silence("tenant=acme", 10, 1000))
    assert [] == due(alerts, 700)
    assert [(OVER, "slack")] == resolve(alerts, 710, alert())


def test_what_fires_and_ends_in_a_silence_is_never_told():
    alerts = make()
    alerts.put_silences(silence("tenant=acme", 0, 100))
    assert [] == fire(alerts, 0, alert())
    assert [] == resolve(alerts, 50, alert())
    assert [] == due(alerts, 200)


def test_only_what_matches_is_silenced_and_a_preview_says_what():
    alerts = make()
    alerts.put_silences(silence("tenant=acme", 0, 100))
    assert [(FIRED, "slack")] == fire(alerts, 0, alert(), alert(tenant="globex"))
    assert ["acme"] == [one.labels["tenant"] for one in alerts.preview(parse_matchers("tenant=acme"))]
    assert [] == alerts.preview(())


def test_an_older_version_of_a_silence_does_not_come_back():
    alerts = make()
    [one] = silence("tenant=acme", 0, 100).values()
    alerts.put_silences({"one": one.ended("bob", START + 10)})
    alerts.put_silences({"one": one})
    assert [(FIRED, "slack")] == fire(alerts, 20, alert())


def test_in_maintenance_nothing_is_told():
    window = Maintenance(name="backup", hours=Hours.parse("Mon-Sun 02:00-03:00 UTC"))
    alerts = make(maintenance=[window])
    assert [] == fire(alerts, 0, alert())
    assert [(FIRED, "slack")] == due(alerts, 800)


def test_a_blocked_loop_silences_the_slow_handlers_that_it_causes():
    alerts = make(inhibitions=[LOOP])
    alerts.take([alert("slow"), alert("loop"), alert("deep")], START)
    assert ["loop", "deep"] == [notice.labels["rule"] for notice in alerts.due(START)]
    assert Muted(INHIBITED, alert("loop").key) == alerts.firing[alert("slow").key].muted
    resolve(alerts, 100, alert("loop"))
    assert [] == due(alerts, 100 + LINGER - 1)
    assert [(FIRED, "slack")] == due(alerts, 100 + LINGER)


# --- acknowledging ------------------------------------------------------------------------------------------------


def test_what_is_acknowledged_is_not_repeated():
    alerts = make()
    fire(alerts, 0, alert())
    assert [alert().key] == alerts.acknowledge([alert().key, "unknown"], "ann", START + 10)
    assert [] == alerts.acknowledge([alert().key], "bob", START + 11)
    assert [(ACKNOWLEDGED, "slack")] == due(alerts, 12)
    assert [] == due(alerts, 5000)
    one = alerts.firing[alert().key]
    assert ("ann", START + 10) == (one.acknowledged_by, one.acknowledged_at)


def test_a_group_is_acknowledged_when_all_that_fires_in_it_is():
    alerts = make()
    fire(alerts, 0, alert(tenant="a"), alert(tenant="b"))
    alerts.acknowledge([alert(tenant="a").key], "ann", START)
    assert [] == due(alerts, 10)
    alerts.acknowledge([alert(tenant="b").key], "bob", START)
    assert [(ACKNOWLEDGED, "slack")] == due(alerts, 20)


def test_an_escalation_is_told_unless_somebody_has_acknowledged():
    escalation = Escalation(after=300.0, receivers=("boss",))
    alerts = make(route(escalations=(escalation,)))
    fire(alerts, 0, alert("one"), alert("other"))
    alerts.acknowledge([alert("one").key], "ann", START + 10)
    due(alerts, 10)
    [notice] = alerts.due(START + 300)
    assert ("boss", {"rule": "other"}) == (notice.receiver, notice.labels)
    alerts.acknowledge([alert("other").key], "ann", START + 310)
    assert {(ACKNOWLEDGED, "slack"), (ACKNOWLEDGED, "boss")} == set(due(alerts, 311))


# --- whatever happens ---------------------------------------------------------------------------------------------

RULES = ("deep", "slow", "loop")
#: Seconds that pass, what fires then, and what is silenced: a tenant for how long.
steps = st.lists(
    st.tuples(
        st.integers(1, 120),
        st.sets(st.tuples(st.sampled_from(RULES), st.sampled_from("ab"))),
        st.none() | st.tuples(st.sampled_from("ab"), st.integers(1, 300)),
    ),
    max_size=40,
)


def live(script, cut: int | None = None) -> list[Notice]:
    """All messages; at the step ``cut`` another process goes on."""
    routes = (route("team", "tenant=a", go_on=True), route(receivers=("slack", "pager")))
    before: set[tuple[str, str]] = set()
    alerts, now, notices = make(*routes, inhibitions=[LOOP]), 0.0, []
    for number, (passed, firing, muted) in enumerate([*script, *[(70, set(), None)] * 6]):
        now += passed
        if number == cut:
            other = make(*routes, inhibitions=[LOOP])
            other.restore(json.loads(json.dumps(alerts.pack())), START + now)
            other.put_silences(alerts.silences)
            alerts = other
        if muted is not None:
            alerts.put_silences(silence(f"tenant={muted[0]}", now, now + muted[1]))
        gone = [replace(alert(*one), state=RESOLVED) for one in sorted(before - firing)]
        alerts.take([*gone, *(alert(*one) for one in sorted(firing - before))], START + now)
        before = firing
        notices += alerts.due(START + now)
    assert {} == alerts._groups
    return notices


@given(steps)
def test_every_incident_ends_and_nothing_is_told_to_be_over_that_was_not_told(script):
    incidents: dict[str, list[Notice]] = {}
    for notice in live(script):
        incidents.setdefault(notice.incident, []).append(notice)
    for told in incidents.values():
        assert [FIRED, OVER] == [told[0].kind, told[-1].kind]
        assert list(range(1, len(told) + 1)) == [notice.number for notice in told]
        news = sorted(key for notice in told for key in notice.news)
        assert news == sorted(found.key for notice in told for found in notice.resolved)


@given(steps)
def test_the_same_story_makes_the_same_messages(script):
    assert live(script) == live(script)


@given(steps, st.integers(0, 40))
def test_another_process_goes_on_as_if_nothing_had_happened(script, cut):
    assert live(script) == live(script, cut)


def test_a_group_whose_route_is_gone_is_told_that_it_is_over():
    alerts, other = make(), make(route("new"))
    fire(alerts, 0, alert())
    other.restore(json.loads(json.dumps(alerts.pack())), START + 10)
    assert [(OVER, "slack")] == resolve(other, 100, alert())


# --- when to look again -------------------------------------------------------------------------------------------


def test_it_says_when_a_message_will_be_due_by_the_time_alone():
    alerts = make(route("slack", pace=Pace(wait=0.25), go_on=True), route("mail", pace=Pace(wait=30.0)))
    assert (False, inf) == (alerts.watchful, alerts.next_wait(START))
    assert [] == fire(alerts, 0, alert())
    assert (True, 0.25) == (alerts.watchful, alerts.next_wait(START))
    assert [(FIRED, "slack")] == due(alerts, 0.25)
    assert 29.75 == alerts.next_wait(START + 0.25)
    resolve(alerts, 1, alert())
    # The mail has nothing to tell any more; that all is over waits for its interval, and so somebody has to look.
    assert (True, inf) == (alerts.watchful, alerts.next_wait(START + 1))


def test_what_waits_for_its_hour_wants_nobody_to_look_all_the_time():
    closed = Hours(days=frozenset(), start=0, end=1, zone="UTC")
    alerts = make(route(pace=Pace(wait=1.0), hours=closed, hold=True))
    fire(alerts, 0, alert())
    assert 1.0 == alerts.next_wait(START)
    assert [] == due(alerts, 2)
    assert inf == alerts.next_wait(START + 2)
