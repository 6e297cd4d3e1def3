from __future__ import annotations

import pytest

from hub.access import Operator, Rights
from hub.alerting.actions import (
    LONGEST_SILENCE,
    MAX_PAGE,
    NotAllowedError,
    acknowledge,
    alert_detail,
    end_silence,
    list_active,
    list_alerts,
    list_silences,
    preview,
    silence,
    unacknowledge,
)
from hub.alerting.records import delivery_of
from hub.alerting.rows import moment
from hub.core.groups import FIRED, Notice
from hub.models import AlertChange, AlertRecord, OperatorAction, SilenceRecord
from tests.handclock import HandClock

pytestmark = pytest.mark.django_db

ALL = Rights(view=True, operate=True)
BOUND = Rights(view=True, operate=True, tenants=frozenset({"acme"}))
WATCHER = Rights(view=True)
NOBODY = Rights()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ann() -> Operator:
    return Operator("ann", ALL)


def record(clock, tenant="acme", state="firing", severity="high", **given) -> AlertRecord:
    at = moment(clock.wall())
    labels = {"tenant": tenant, "rule": "crowded", "severity": severity}
    fields = {
        "key": f"{tenant} {severity}",
        "rule": "crowded",
        "labels": labels,
        "threshold": 1.0,
        "summary": "many wait",
    }
    return AlertRecord.objects.create(
        **{**fields, "severity": severity, "tenant": tenant, "state": state, "since": at, "changed_at": at, **given}
    )


# --- what there is ------------------------------------------------------------------------------------------------


def test_active_alerts_come_worst_first_and_firing_before_pending(clock):
    record(clock, severity="low")
    record(clock, state="pending", severity="critical")
    record(clock, severity="critical")
    record(clock, state="resolved")
    shown = [(row.state, row.severity) for row in list_active(ALL)]
    assert [("firing", "critical"), ("firing", "low"), ("pending", "critical")] == shown


def test_the_history_is_read_page_by_page(clock):
    ids = [record(clock, state="resolved").pk for _ in range(5)]
    first = list_alerts(ALL, "resolved", limit=3)
    rest = list_alerts(ALL, "resolved", before=first.next, limit=3)
    assert ids[::-1] == [row.id for row in (*first.rows, *rest.rows)]
    assert (ids[2], None) == (first.next, rest.next)


def test_a_page_has_its_bounds(clock):
    record(clock)
    assert 1 == len(list_alerts(ALL, limit=0).rows) == len(list_alerts(ALL, limit=10 * MAX_PAGE).rows)
    with pytest.raises(ValueError, match="no state 'loud'; ask for pending"):
        list_alerts(ALL, "loud")


def test_an_alert_is_shown_with_all_that_became_of_it(clock):
    one = record(clock, values=[[1, 2.0]])
    notice = Notice(
        incident="i", number=1, kind=FIRED, at=1.0, route="all", receiver="ops", labels={}, severity="high", since=1.0
    )
    delivery = delivery_of(notice, clock.wall())
    delivery.error = "503"
    delivery.save()
    for kind in ("firing", "told"):
        sent = delivery if kind == "told" else None
        AlertChange.objects.create(alert=one, at=one.since, kind=kind, delivery=sent)
    detail = alert_detail(ALL, one.pk)
    assert (["told", "firing"], ((1, 2.0),)) == ([change.kind for change in detail.changes], detail.alert.values)
    assert [("ops", "waiting", "503")] == [(told.receiver, told.state, told.error) for told in detail.deliveries]
    assert [""] == [told.error for told in alert_detail(BOUND, one.pk).deliveries]


def test_who_is_bound_to_tenants_sees_nothing_of_others(clock):
    foreign, untold, own = (record(clock, tenant=tenant) for tenant in ("globex", "", "acme"))
    assert [own.pk] == [row.id for row in list_active(BOUND)] == [row.id for row in list_alerts(BOUND).rows]
    for hidden in (foreign, untold):
        with pytest.raises(ValueError, match="there is no alert"):
            alert_detail(BOUND, hidden.pk)
    assert [own.pk] == [row.id for row in preview(Operator("bob", BOUND), "rule=crowded")]


def test_who_may_not_watch_sees_nothing(clock, ann):
    one = record(clock)
    for look in (list_active, list_alerts, list_silences, lambda rights: alert_detail(rights, one.pk)):
        with pytest.raises(NotAllowedError, match=r"hub\.view_ops"):
            look(NOBODY)


# --- acknowledging ------------------------------------------------------------------------------------------------


def test_who_acknowledges_stands_in_the_alert_its_history_and_the_audit(clock, ann):
    one = record(clock)
    acknowledge(ann, one.key, clock)
    [row] = list_active(ALL)
    assert ("ann", clock.wall()) == (row.acknowledged_by, row.acknowledged_at)
    assert [("acknowledged", "ann")] == [(change.kind, change.by) for change in alert_detail(ALL, one.pk).changes]
    unacknowledge(Operator("bob", ALL), one.key, clock)
    [row] = list_active(ALL)
    assert ("", None) == (row.acknowledged_by, row.acknowledged_at)
    actions = OperatorAction.objects.order_by("pk").values_list("by", "kind", "alert_key", "tenant")
    assert [("ann", "acknowledge", one.key, "acme"), ("bob", "unacknowledge", one.key, "acme")] == list(actions)


def test_what_can_not_be_acknowledged_is_refused(clock, ann):
    record(clock, state="pending", key="p")
    record(clock, state="resolved", key="r")
    for key in ("p", "r", "no such key"):
        with pytest.raises(ValueError, match="does not fire any more"):
            acknowledge(ann, key, clock)
    one = record(clock)
    acknowledge(ann, one.key, clock)
    with pytest.raises(ValueError, match="ann has acknowledged"):
        acknowledge(ann, one.key, clock)
    unacknowledge(ann, one.key, clock)
    with pytest.raises(ValueError, match="nobody has acknowledged"):
        unacknowledge(ann, one.key, clock)


# --- silences -----------------------------------------------------------------------------------------------------


def test_a_silence_is_made_and_ended(clock, ann):
    made = silence(ann, "rule=crowded, tenant=acme", " we  know ", seconds=3600, clock=clock)
    assert ("active", "acme", "ann", "we know", clock.wall() + 3600) == (
        made.state, made.tenant, made.by, made.why, made.ends_at,
    )  # fmt: skip
    clock.advance(60)
    assert "expired" == end_silence(Operator("bob", ALL), made.id, clock).state
    [row] = list_silences(ALL, clock)
    assert ("expired", "bob", clock.wall()) == (row.state, row.by, row.ends_at)
    with pytest.raises(ValueError, match="is over"):
        end_silence(ann, made.id, clock)
    kinds = OperatorAction.objects.order_by("pk").values_list("by", "kind", "silence__ends_at")
    assert [("ann", "silence", made.ends_at), ("bob", "end_silence", row.ends_at)] == list(kinds)


def test_a_silence_may_begin_later_and_end_at_a_moment(clock, ann):
    now = clock.wall()
    made = silence(ann, "rule=crowded", "deploy", starts_at=now + 60, ends_at=now + 120, clock=clock)
    assert ("coming", now + 60, now + 120) == (made.state, made.starts_at, made.ends_at)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"matchers": ""}, "matches everything"),
        ({"matchers": "crowded"}, "is no matcher; write label=value"),
        ({"why": " "}, "say why"),
        ({"why": "x" * 501}, "say why"),
        ({"seconds": 0}, "lasts more than nothing"),
        ({"seconds": float("nan")}, "lasts more than nothing"),
        ({"seconds": LONGEST_SILENCE + 1}, "at most 366 days"),
        ({"seconds": None}, "one of the two"),
        ({"ends_at": 5e9}, "one of the two"),
        ({"seconds": None, "ends_at": 1.0}, "lasts more than nothing"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(clock, ann, given, said):
    values = {"matchers": "rule=crowded", "why": "deploy", "seconds": 60, **given}
    with pytest.raises(ValueError, match=said):
        silence(ann, values.pop("matchers"), values.pop("why"), **values, clock=clock)
    assert not SilenceRecord.objects.exists()


def test_a_preview_shows_what_would_be_matched(clock, ann):
    for tenant in ("acme", "globex"):
        record(clock, tenant=tenant)
    record(clock, tenant="acme", severity="low", state="pending")
    record(clock, tenant="acme", severity="medium", state="resolved")
    assert ["high", "low"] == [row.severity for row in preview(ann, "tenant=acme")]
    with pytest.raises(ValueError, match="matches everything"):
        preview(ann, " ")


# --- rights -------------------------------------------------------------------------------------------------------


def test_who_may_only_watch_changes_nothing(clock, ann):
    one, made = record(clock), silence(ann, "rule=crowded", "deploy", seconds=60, clock=clock)
    watcher = Operator("eve", WATCHER)
    for act in (
        lambda: acknowledge(watcher, one.key, clock),
        lambda: unacknowledge(watcher, one.key, clock),
        lambda: silence(watcher, "rule=crowded", "deploy", seconds=60, clock=clock),
        lambda: end_silence(watcher, made.id, clock),
    ):
        with pytest.raises(NotAllowedError, match=r"hub\.operate"):
            act()
    assert 1 == OperatorAction.objects.count()


def test_who_is_bound_to_tenants_touches_theirs_only(clock, ann):
    own, foreign = record(clock), record(clock, tenant="globex")
    bob = Operator("bob", BOUND)
    acknowledge(bob, own.key, clock)
    with pytest.raises(ValueError, match="does not fire any more"):
        acknowledge(bob, foreign.key, clock)
    for matchers in ("rule=crowded", "tenant=globex", "tenant~acme*", "tenant=acme, tenant=globex"):
        with pytest.raises(NotAllowedError, match="must name one of your tenants"):
            silence(bob, matchers, "deploy", seconds=60, clock=clock)
    mine = silence(bob, "tenant=acme", "deploy", seconds=60, clock=clock)
    others = silence(ann, "tenant=globex", "deploy", seconds=60, clock=clock)
    with pytest.raises(ValueError, match="there is no silence"):
        end_silence(bob, others.id, clock)
    assert [mine.id] == [row.id for row in list_silences(BOUND, clock)]
    assert "expired" == end_silence(bob, mine.id, clock).state
