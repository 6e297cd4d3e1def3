"""Alerts in the database, as the evaluator leaves them there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from channels.db import database_sync_to_async

from hub.alerting.store import EVALUATOR
from hub.models import AlertChange, AlertRecord, Delivery, Evaluator

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
BEGIN = 1_800_001_000.0
"""The wall clock of a stage at its beginning, in seconds."""


async def in_database(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """In the thread that all tests share for it: the threads of a loop end with their connections open."""
    result: T = await database_sync_to_async(function)(*args, **kwargs)
    return result


def at(seconds: float = 0.0) -> datetime:
    """So many seconds after the beginning."""
    return datetime.fromtimestamp(BEGIN + seconds, UTC)


def alert(rule: str = "handler_errors", tenant: str = "acme", since: float = 0.0, **changes: Any) -> AlertRecord:
    """An alert, firing unless told otherwise."""
    labels = {"rule": rule, "severity": changes.get("severity", "high"), "consumer": "shop.Chat", "tenant": tenant}
    known = {
        "key": f"{rule}/{tenant}"[:64], "rule": rule, "severity": "high", "labels": labels, "tenant": tenant,
        "state": "firing", "since": at(since), "fired_at": at(since + 1), "value": 12.0, "worst": 14.0,
        "threshold": 10.0, "summary": f"{rule} of {tenant}", "action": "Look.", "changed_at": at(since + 1),
        "values": [[BEGIN + since, 11.0], [BEGIN + since + 1, 12.0]],
    }  # fmt: skip
    return AlertRecord.objects.create(**{**known, **changes})


def told(record: AlertRecord, receiver: str = "ops", **changes: Any) -> Delivery:
    """A message that told of an alert."""
    known = {
        "incident": f"i{record.pk}", "number": 1, "receiver": receiver, "kind": "fired", "severity": record.severity,
        "notice": {}, "state": "delivered", "attempts": 1, "created_at": at(2), "next_at": at(2), "delivered_at": at(3),
    }  # fmt: skip
    delivery = Delivery.objects.create(**{**known, **changes})
    AlertChange.objects.create(alert=record, at=at(2), kind="told", detail=f"{receiver} fired", delivery=delivery)
    return delivery


def evaluate(seconds: float = 3600.0) -> None:
    """Somebody holds the lease for so long."""
    until = at() + timedelta(seconds=seconds)
    Evaluator.objects.update_or_create(pk=EVALUATOR, defaults={"holder": "web-1", "until": until})
