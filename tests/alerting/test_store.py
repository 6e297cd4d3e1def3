from __future__ import annotations

import pytest
from django.db import DatabaseError

from hub.alerting.engine import Outcome
from hub.alerting.store import LEASE, LostLeaseError, Store, Writing, in_turn
from hub.core.groups import FIRED, Notice
from hub.core.rules import FIRING, INACTIVE, PENDING, RESOLVED, Alert
from hub.models import AlertChange, AlertRecord, Delivery, Evaluator, OperatorAction

pytestmark = pytest.mark.django_db

NOW = 1_800_000_000.0


def alert(state: str, key: str = "k", **given) -> Alert:
    labels = {"tenant": "acme", "consumer": "chat", "rule": "crowded", "severity": "high"}
    times = {
        "fired_at": NOW if state in (FIRING, RESOLVED) else None,
        "resolved_at": NOW if state == RESOLVED else None,
    }
    figures = {"value": 12.0, "worst": 14.0, "threshold": 10.0, "summary": "acme: 12 wait", "since": NOW - 5}
    names = {"key": key, "rule": "crowded", "severity": "high", "labels": labels, "state": state}
    return Alert(**{**names, **times, **figures, **given})


def notice(*firing: Alert, number: int = 1, kind: str = FIRED, resolved: tuple[Alert, ...] = ()) -> Notice:
    return Notice(
        incident="i", number=number, kind=kind, at=NOW, route="all", receiver="ops", labels={}, severity="high",
        since=NOW, firing=firing, news=frozenset(one.key for one in firing), resolved=resolved,
    )  # fmt: skip


@pytest.fixture
def store() -> Store:
    made = Store("one")
    assert made.acquire(NOW) is not None
    return made


def write(store: Store, *changes: Alert, notices: tuple[Notice, ...] = (), **given) -> None:
    store.write(Writing(outcomes=[Outcome(changes, notices)], **given), NOW)


def states() -> list[tuple[str, str]]:
    return list(AlertRecord.objects.order_by("pk").values_list("key", "state"))


# --- the lease ----------------------------------------------------------------------------------------------------


def test_the_lease_has_one_holder_until_it_ends(store):
    other = Store("other")
    assert other.acquire(NOW + LEASE - 1) is None
    assert other.acquire(NOW + LEASE) is not None
    assert (store.epoch, other.epoch) == (1, 2)


def test_a_lease_that_is_renewed_goes_on(store):
    store.renew(NOW + LEASE - 1)
    assert Store("other").acquire(NOW + 2 * LEASE - 2) is None


def test_a_lease_that_is_given_back_is_free_at_once(store):
    store.release()
    assert Store("other").acquire(NOW + 0.1) is not None


def test_who_has_lost_the_lease_writes_nothing(store):
    assert Store("other").acquire(NOW + LEASE) is not None
    with pytest.raises(LostLeaseError):
        write(store, alert(FIRING), notices=(notice(alert(FIRING)),), state={"mine": True}, seen=7)
    with pytest.raises(LostLeaseError):
        store.renew(NOW)
    assert (0, 0) == (AlertRecord.objects.count(), Delivery.objects.count())
    assert (None, 0) == (Evaluator.objects.get().state, Evaluator.objects.get().actions_seen)


def test_who_has_lost_the_lease_does_not_give_it_back(store):
    other = Store("other")
    assert other.acquire(NOW + LEASE) is not None
    store.release()
    assert Store("third").acquire(NOW + LEASE + 1) is None


def test_what_one_has_kept_the_next_goes_on_with(store):
    write(store, alert(FIRING), state={"states": [1, "two"]}, seen=0, curves={"k": [(NOW, 12.0)]})
    kept = Store("other").acquire(NOW + LEASE)
    assert kept is not None
    assert ({"states": [1, "two"]}, {"k": [(NOW, 12.0)]}) == (kept.state, kept.curves)


# --- history ------------------------------------------------------------------------------------------------------


def test_one_life_of_an_alert_is_one_row(store):
    write(store, alert(PENDING))
    write(store, alert(FIRING))
    write(store, alert(RESOLVED))
    write(store, alert(PENDING), alert(FIRING))
    assert [("k", RESOLVED), ("k", FIRING)] == states()
    record = AlertRecord.objects.earliest("pk")
    assert [PENDING, FIRING, RESOLVED] == [change.kind for change in record.changes.order_by("pk")]
    assert ("crowded", "high", "acme", 12.0, 14.0, 10.0) == (
        record.rule, record.severity, record.tenant, record.value, record.worst, record.threshold,
    )  # fmt: skip


def test_lives_that_come_and_go_in_one_transaction_are_rows_of_their_own(store):
    write(store, alert(FIRING), alert(RESOLVED), alert(FIRING), alert(PENDING, "p"), alert(INACTIVE, "p"))
    assert [("k", RESOLVED), ("k", FIRING)] == states()


def test_what_never_fired_has_no_history(store):
    write(store, alert(PENDING))
    write(store, alert(INACTIVE))
    assert [] == states()
    assert not AlertChange.objects.exists()


def test_a_storm_is_a_few_statements(store, django_assert_max_num_queries):
    storm = [alert(FIRING, f"k{number}") for number in range(1000)]
    with django_assert_max_num_queries(150):
        write(store, *storm, notices=(notice(*storm),))
        write(store, *(alert(RESOLVED, one.key) for one in storm))
    assert 1000 == AlertRecord.objects.filter(state=RESOLVED).count()
    assert 1000 == AlertChange.objects.filter(kind="told").count()


def test_who_is_told_stands_in_the_history_of_each_alert(store):
    fired, over = alert(FIRING), alert(RESOLVED)
    write(store, fired, notices=(notice(fired),))
    write(store, over)
    write(store, notices=(notice(number=2, kind="resolved", resolved=(over,)),))
    told = AlertChange.objects.filter(kind="told").order_by("pk")
    assert [("ops: fired", 1), ("ops: resolved", 2)] == [(one.detail, one.delivery.number) for one in told]


def test_what_nobody_evaluates_any_more_is_over(store):
    write(store, alert(FIRING), alert(PENDING, "p"), alert(FIRING, "kept"))
    write(store, active={"kept"})
    assert [("k", RESOLVED), ("kept", FIRING)] == states()


def test_why_an_alert_is_not_told_is_written(store):
    write(store, alert(FIRING))
    write(store, muted={"k": "silenced by 3", "gone": "silenced by 3"})
    assert "silenced by 3" == AlertRecord.objects.get().muted
    write(store, muted={"k": ""})
    assert "" == AlertRecord.objects.get().muted


@pytest.mark.parametrize("text", ["nul \x00", "half \ud800", "x" * 5000, "<b>\r\n\\u0000", "ünïcode ✓"])
def test_any_text_can_be_written(store, text):
    labels = {"tenant": text, "consumer": text}
    fired = alert(FIRING, summary=text, action=text, rule=text, labels=labels)
    write(store, fired, notices=(notice(fired),), state={"tenant": text}, muted={"k": text})
    record, shown = AlertRecord.objects.get(), text.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert (shown, {"tenant": shown, "consumer": shown}) == (record.summary, record.labels)
    assert len(record.tenant) <= 200
    assert {"tenant": shown} == Evaluator.objects.get().state
    assert Notice.unpack(Delivery.objects.get().notice).firing[0].summary == shown


# --- one transaction ----------------------------------------------------------------------------------------------


def test_if_one_part_can_not_be_written_nothing_is(store):
    write(store, notices=(notice(),))
    with pytest.raises(DatabaseError):
        write(store, alert(FIRING), notices=(notice(),), state={"new": True})
    assert ([], None) == (states(), Evaluator.objects.get().state)
    # And what is in memory is what the database has.
    write(store, alert(FIRING))
    assert [("k", FIRING)] == states()


def test_the_outbox_has_each_message_as_it_was_decided(store):
    told = notice(alert(FIRING))
    write(store, alert(FIRING), notices=(told,))
    delivery = Delivery.objects.get()
    assert told == Notice.unpack(delivery.notice)
    assert ("i", 1, "ops", "fired", "high", "waiting", 0) == (
        delivery.incident, delivery.number, delivery.receiver, delivery.kind, delivery.severity, delivery.state,
        delivery.attempts,
    )  # fmt: skip


# --- actions ------------------------------------------------------------------------------------------------------


def test_actions_are_read_in_their_order_and_once(store):
    for number in range(3):
        with in_turn():
            OperatorAction.objects.create(at="2026-01-01T00:00Z", by="ann", kind="acknowledge", alert_key=str(number))
    first = store.actions(after=store.seen)
    assert ["0", "1", "2"] == [action.alert_key for action in first]
    write(store, seen=first[1].pk)
    assert ["2"] == [action.alert_key for action in store.actions(after=store.seen)]
