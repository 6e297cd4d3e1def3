from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.groups import ACKNOWLEDGED, CHANGED, FIRED, OVER, REPEATED, Group, Notice
from hub.core.routing import Pace, Post
from hub.core.rules import FIRING, SEVERITIES, Alert
from tests import strategies  # noqa: F401 - loads the profile

START = 10_000.0
PACE = Pace(wait=5.0, interval=60.0, repeat=600.0)


def alert(key: str = "a", severity: str = "high") -> Alert:
    return Alert(
        key=key, rule="deep", severity=severity, labels={"tenant": key}, state=FIRING, since=START, value=1.0,
        worst=1.0, threshold=1.0, fired_at=START,
    )  # fmt: skip


def group(pace: Pace = PACE, after: float | None = None) -> Group:
    return Group(Post(route="all", receiver="slack", labels=(("rule", "deep"),), pace=pace, after=after))


def due(one: Group, second: float, *alerts: Alert, by: str = "", open_now: bool = True) -> str | None:
    notice = tell(one, second, *alerts, by=by, open_now=open_now)
    return None if notice is None else notice.kind


def tell(one: Group, second: float, *alerts: Alert, by: str = "", open_now: bool = True) -> Notice | None:
    return one.due({found.key: found for found in alerts}, by, START + second, open_now=open_now)


def told(one: Group, *alerts: Alert) -> Group:
    """A group that was told of some alerts at START."""
    one.waiting_since = START - PACE.wait
    assert FIRED == due(one, 0, *alerts)
    return one


# --- one incident -------------------------------------------------------------------------------------------------


def test_it_waits_so_that_what_fires_together_is_one_message():
    one = group()
    assert due(one, 0, alert("a")) is None
    assert due(one, 4, alert("a"), alert("b")) is None
    notice = tell(one, 5, alert("a"), alert("b"))
    assert notice is not None
    assert (FIRED, 1, frozenset("ab")) == (notice.kind, notice.number, notice.news)
    assert ("all", "slack", {"rule": "deep"}, "high") == (
        notice.route, notice.receiver, notice.labels, notice.severity,
    )  # fmt: skip


def test_what_is_gone_before_anybody_was_told_is_never_told():
    one = group()
    assert due(one, 0, alert()) is None
    one.end(alert())
    assert due(one, 10) is None
    assert one.idle


def test_a_digest_tells_of_it_all_the_same():
    one = group(Pace(wait=5.0, digest=True))
    due(one, 0, alert())
    one.end(alert())
    assert due(one, 4) is None
    notice = tell(one, 5)
    assert notice is not None
    assert (OVER, ("a",), ()) == (notice.kind, tuple(found.key for found in notice.resolved), notice.firing)
    assert one.idle


def test_that_all_is_over_is_told_once_and_not_too_soon():
    one = told(group(), alert())
    one.end(alert())
    assert due(one, 59) is None
    notice = tell(one, 60)
    assert notice is not None
    assert (OVER, 2, "high", START) == (notice.kind, notice.number, notice.severity, notice.since)
    assert due(one, 1000) is None
    assert one.idle


def test_what_fires_again_before_it_was_told_to_be_over_is_no_news():
    one = told(group(), alert())
    one.end(alert())
    one.begin(alert())
    assert due(one, 100, alert()) is None


def test_more_alerts_are_told_at_most_once_an_interval():
    one = told(group(), alert("a"))
    assert due(one, 59, alert("a"), alert("b")) is None
    notice = tell(one, 60, alert("a"), alert("b"))
    assert notice is not None
    assert (CHANGED, frozenset("b")) == (notice.kind, notice.news)
    assert due(one, 119, alert("a"), alert("b"), alert("c")) is None


def test_what_is_worse_is_told_at_once():
    one = told(group(), alert("a", "medium"))
    assert CHANGED == due(one, 1, alert("a", "medium"), alert("b", "critical"))
    assert due(one, 2, alert("a", "medium"), alert("b", "critical"), alert("c", "high")) is None


def test_it_is_repeated_until_somebody_has_acknowledged():
    one = told(group(), alert())
    assert due(one, 599, alert()) is None
    assert REPEATED == due(one, 600, alert())
    assert ACKNOWLEDGED == due(one, 601, alert(), by="ann")
    assert due(one, 5000, alert(), by="ann") is None
    one.end(alert())
    assert OVER == due(one, 5000)


def test_a_new_alert_takes_the_acknowledgement_back():
    one = told(group(), alert("a"))
    assert ACKNOWLEDGED == due(one, 1, alert("a"), by="ann")
    assert CHANGED == due(one, 100, alert("a"), alert("b"))
    assert REPEATED == due(one, 700, alert("a"), alert("b"))
    assert ACKNOWLEDGED == due(one, 701, alert("a"), alert("b"), by="bob")


def test_it_says_when_it_has_waited():
    one = group()
    ends = [one.wait_ends_at]
    for second in (1, 6):
        due(one, second, alert("a"))
        ends.append(one.wait_ends_at)
    assert [None, START + 6, None] == ends
    escalated = group(after=30.0)
    due(escalated, 0, alert("a"))
    assert START + 30 == escalated.wait_ends_at


def test_outside_of_the_hours_everything_waits():
    one = group()
    assert due(one, 0, alert(), open_now=False) is None
    assert due(one, 500, alert(), open_now=False) is None
    assert FIRED == due(one, 501, alert())
    assert due(one, 502, alert(), by="ann", open_now=False) is None
    assert ACKNOWLEDGED == due(one, 503, alert(), by="ann")


def test_an_escalation_waits_for_its_own_time():
    one = group(after=300.0)
    assert due(one, 0, alert()) is None
    assert due(one, 299, alert()) is None
    assert FIRED == due(one, 300, alert())


def test_what_is_muted_after_it_was_told_still_fires():
    one = told(group(), alert())
    assert due(one, 100) is None
    one.end(alert())
    assert OVER == due(one, 101)


def test_two_incidents_have_different_keys_and_so_have_two_receivers():
    one, other = group(), group()
    other.post = Post(route="all", receiver="pager", labels=one.post.labels, pace=PACE)
    keys = [one.incident for one in (told(one, alert()), told(other, alert()))]
    one.end(alert())
    assert OVER == due(one, 60)
    due(one, 70, alert())
    assert FIRED == due(one, 80, alert())
    assert 3 == len({*keys, one.incident})


def test_the_worst_comes_first():
    one = group()
    due(one, 0, alert("a", "low"))
    notice = tell(one, 5, alert("a", "low"), alert("b", "critical"), alert("c", "high"))
    assert notice is not None
    assert ["b", "c", "a"] == [found.key for found in notice.firing]
    assert "critical" == notice.severity


# --- whatever happens ---------------------------------------------------------------------------------------------

#: At each step some seconds pass, and then these alerts fire.
steps = st.lists(st.tuples(st.integers(1, 90), st.sets(st.sampled_from("abc"))), max_size=80)


def live(pace: Pace, flapping: list[tuple[int, set[str]]], severities: dict[str, str]) -> tuple[list[Notice], float]:
    """The messages of a group whose alerts come and go, until all has been over for long."""
    before: set[str] = set()
    one, now, notices = group(pace), 0.0, []
    for passed, firing in [*flapping, *[(30, set())] * 10]:
        now += passed
        for key in sorted(before - firing):
            one.end(alert(key, severities[key]))
        for key in sorted(firing - before):
            one.begin(alert(key, severities[key]))
        before = firing
        notice = tell(one, now, *(alert(key, severities[key]) for key in sorted(firing)))
        notices += [notice] if notice is not None else []
    assert one.idle
    return notices, now


@given(steps, st.sampled_from([0.0, 5.0, 100.0]))
def test_no_more_messages_than_the_design_allows(flapping, wait):
    notices, seconds = live(Pace(wait=wait, interval=60.0, repeat=600.0), flapping, dict.fromkeys("abc", "high"))
    assert 2 * (seconds / 60.0 + 1) >= len(notices)
    for before, later in pairwise(notices):
        # Only a new incident may follow at once.
        assert later.kind == FIRED or later.at - before.at >= 60.0


@given(steps, st.fixed_dictionaries({key: st.sampled_from(SEVERITIES) for key in "abc"}))
def test_of_what_is_worse_each_incident_tells_three_times_more_at_most(flapping, severities):
    notices, seconds = live(PACE, flapping, severities)
    incidents = len({notice.incident for notice in notices})
    assert 2 * (seconds / 60.0 + 1) + 3 * incidents >= len(notices)


@given(steps, st.fixed_dictionaries({key: st.sampled_from(SEVERITIES) for key in "abc"}), st.booleans())
def test_who_was_told_that_it_fires_is_told_that_it_is_over_and_in_order(flapping, severities, digest):
    notices, _ = live(Pace(wait=0.0, interval=60.0, repeat=600.0, digest=digest), flapping, severities)
    incidents: dict[str, list[Notice]] = {}
    for notice in notices:
        incidents.setdefault(notice.incident, []).append(notice)
    for told in incidents.values():
        assert list(range(1, len(told) + 1)) == [notice.number for notice in told]
        assert OVER == told[-1].kind
        assert all(notice.kind != OVER for notice in told[:-1])
        news = [key for notice in told for key in notice.news]
        assert set(news) == {found.key for notice in told for found in notice.firing}
        resolved = [found.key for notice in told for found in notice.resolved]
        assert digest or sorted(news) == sorted(resolved)


@given(steps, st.integers(0, 80))
def test_a_group_that_was_kept_goes_on_as_if_nothing_had_happened(flapping, cut):
    before: set[str] = set()
    one, other, now = group(), group(), 0.0
    for number, (passed, firing) in enumerate(flapping):
        now += passed
        for side in (one, other):
            for key in before - firing:
                side.end(alert(key))
            for key in firing - before:
                side.begin(alert(key))
        before = firing
        current = [alert(key) for key in sorted(firing)]
        assert tell(one, now, *current) == tell(other, now, *current)
        if number == cut:
            other = Group.restore(one.post, json.loads(json.dumps(one.pack())))


@pytest.mark.parametrize("kind", [FIRED, CHANGED, REPEATED, ACKNOWLEDGED, OVER])
def test_kinds_are_words_of_the_design(kind):
    assert kind in ("fired", "changed", "repeated", "acknowledged", "resolved")
