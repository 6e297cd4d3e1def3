from __future__ import annotations

import pytest

from hub.core.hours import Hours
from hub.core.matchers import parse_matchers
from hub.core.routing import LAST_RESORT, PACES, Escalation, Pace, Route, Routing
from hub.core.rules import SEVERITIES

LABELS = {"severity": "critical", "tenant": "acme", "rule": "deep"}
NIGHT, DAY = 3 * 60.0, 12 * 60.0
OFFICE = Hours.parse("Mon-Fri 09:00-17:00 UTC")


def at(minute: float):
    return lambda zone, now: (0, minute)


def route(name: str, text: str = "", **more) -> Route:
    return Route(name=name, receivers=more.pop("receivers", (name,)), matchers=parse_matchers(text), **more)


def told(routes: list[Route], labels: dict[str, str] | None = None, minute: float = DAY) -> list[str]:
    return [post.receiver for post in Routing(routes, ["ops"]).posts(labels or LABELS, 0.0, at(minute))]


def test_the_first_route_that_fits_is_taken():
    routes = [route("globex", "tenant=globex"), route("pager", "severity=critical"), route("mail")]
    assert ["pager"] == told(routes)
    assert ["mail"] == told(routes, {**LABELS, "severity": "low"})


def test_a_route_may_let_the_search_go_on():
    assert ["team", "pager"] == told([route("team", "tenant=acme", go_on=True), route("pager"), route("mail")])


def test_nobody_is_never_told_by_mistake_but_may_be_on_purpose():
    assert ["ops"] == told([route("globex", "tenant=globex")])
    assert [] == told([route("muted", "tenant=acme", receivers=()), route("mail")])


def test_outside_its_hours_a_route_does_not_fit_unless_it_holds():
    assert ["mail"] == told([route("office", hours=OFFICE), route("mail")], minute=NIGHT)
    assert ["office"] == told([route("office", hours=OFFICE), route("mail")], minute=DAY)
    [post] = Routing([route("office", hours=OFFICE, hold=True)], []).posts(LABELS, 0.0, at(NIGHT))
    assert ("office", OFFICE) == (post.receiver, post.hours)


def test_escalations_are_places_of_their_own():
    escalation = Escalation(after=900.0, receivers=("boss", "pager"))
    posts = Routing([route("pager", escalations=(escalation,))], []).posts(LABELS, 0.0, at(DAY))
    assert [("pager", None), ("boss", 900.0), ("pager", 900.0)] == [(post.receiver, post.after) for post in posts]
    assert 3 == len({post.key for post in posts})


def test_the_same_place_is_told_once():
    assert ["pager"] == told([route("a", receivers=("pager", "pager"))])


def test_alerts_are_grouped_by_the_labels_that_are_named():
    routing = Routing([route("pager", by=("rule", "team"))], [])
    [one], [other] = (routing.posts({**LABELS, "tenant": tenant}, 0.0, at(DAY)) for tenant in ("acme", "globex"))
    assert one.key == other.key
    assert (("rule", "deep"), ("team", "")) == one.labels


def test_without_a_pace_of_its_own_a_route_keeps_severities_apart():
    labels = [{**LABELS, "severity": severity} for severity in ("critical", "low")]
    for pace, groups in ((None, 2), (Pace(), 1)):
        routing = Routing([route("pager", by=("tenant",), pace=pace)], [])
        assert groups == len({routing.posts(found, 0.0, at(DAY))[0].key for found in labels})


@pytest.mark.parametrize("severity", SEVERITIES)
def test_the_pace_is_that_of_the_severity_or_of_the_route(severity):
    labels = {**LABELS, "severity": severity}
    assert PACES[severity] == Routing([], ["ops"]).posts(labels, 0.0, at(DAY))[0].pace
    pace = Pace(wait=7.0)
    assert pace == Routing([route("x", pace=pace)], []).posts(labels, 0.0, at(DAY))[0].pace


def test_each_decision_is_explained_up_to_the_one_that_ends_the_search():
    routes = [
        route("globex", "severity=critical,tenant=globex"), route("office", hours=OFFICE),
        route("team", "tenant=acme", go_on=True), route("all"), route("never"),
    ]  # fmt: skip
    reasons = Routing(routes, ["ops"]).explain(LABELS, 0.0, at(NIGHT))
    assert [
        ("globex", False, "tenant=\"globex\" does not match: tenant is 'acme'"),
        ("office", False, "outside of its hours, Mon,Tue,Wed,Thu,Fri 09:00-17:00 UTC"),
        ("team", True, 'tenant="acme" matches; the next ones are tried too'),
        ("all", True, "it takes everything"),
    ] == [(reason.route, reason.taken, reason.why) for reason in reasons]


def test_the_last_resort_is_explained_too():
    [reason] = Routing([], ["ops"]).explain(LABELS, 0.0, at(DAY))
    assert (LAST_RESORT, True, "no route fits") == (reason.route, reason.taken, reason.why)


def test_all_receivers_are_known_by_name():
    routes = [route("a", escalations=(Escalation(after=1.0, receivers=("boss",)),)), route("b", receivers=("a", "c"))]
    assert ["a", "boss", "c", "ops"] == Routing(routes, ["ops"]).receivers
