from __future__ import annotations

import pytest

from hub.alerting.retention import PORTION, expire
from hub.alerting.rows import moment
from hub.models import AlertChange, AlertRecord, Delivery, OperatorAction, ReceiverMemory, SilenceRecord

pytestmark = pytest.mark.django_db

NOW, KEPT = 1_800_000_000.0, 1000.0
MODELS = (AlertRecord, AlertChange, Delivery, OperatorAction, SilenceRecord, ReceiverMemory)


def make(age: float, state: str = "resolved", sent: str = "delivered") -> None:
    """A row of each kind, so many seconds old."""
    at, name = moment(NOW - age), f"{age} {state} {sent}"
    alert = AlertRecord.objects.create(
        key=name, rule="r", severity="low", labels={}, state=state, since=at, threshold=1.0, changed_at=at,
        resolved_at=at if state == "resolved" else None,
    )  # fmt: skip
    delivery = Delivery.objects.create(
        incident=name, number=1, receiver="ops", kind="fired", severity="low", notice={}, state=sent, created_at=at,
        next_at=at,
    )  # fmt: skip
    AlertChange.objects.create(alert=alert, at=at, kind="told", delivery=delivery)
    OperatorAction.objects.create(at=at, by="ann", kind="silence")
    SilenceRecord.objects.create(
        id=name[:32], matchers="rule=r", starts_at=at, ends_at=at, by="ann", why="x", changed_at=at
    )
    ReceiverMemory.objects.create(incident=name, receiver="ops", changed_at=at)


def counts() -> list[int]:
    return [model.objects.count() for model in MODELS]


def test_what_is_old_is_deleted_and_the_rest_kept():
    make(KEPT + 1)
    make(KEPT - 1)
    assert not expire(NOW, KEPT)
    assert [1] * 6 == counts()
    assert not expire(NOW + 3, KEPT)
    assert [0] * 6 == counts()


def test_alerts_that_fire_and_messages_that_wait_are_kept_however_old():
    make(10 * KEPT, state="firing", sent="waiting")
    expire(NOW, KEPT)
    assert ("firing", "waiting") == (AlertRecord.objects.get().state, Delivery.objects.get().state)


def test_much_is_deleted_in_portions():
    at = moment(NOW - 2 * KEPT)
    OperatorAction.objects.bulk_create(OperatorAction(at=at, by="ann", kind="silence") for _ in range(PORTION + 1))
    assert expire(NOW, KEPT)
    assert 1 == OperatorAction.objects.count()
    assert not expire(NOW, KEPT)
    assert 0 == OperatorAction.objects.count()
