"""How long the history of alerts is kept: what is older is deleted, in portions that hold up nobody."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Model, QuerySet

from hub.alerting.records import WAITING
from hub.alerting.rows import moment
from hub.core.rules import RESOLVED
from hub.models import AlertChange, AlertRecord, Delivery, OperatorAction, ReceiverMemory, SilenceRecord

#: Rows of one kind that are looked at, and deleted, at once.
PORTION = 500


def expire(now: float, kept: float) -> bool:
    """
    Delete a portion of what is older than so many seconds; alerts that fire and messages that wait are kept.

    Args:
        now: Wall-clock time, in seconds.
        kept: How long history is kept, in seconds.

    Returns:
        Whether there is more to delete.
    """
    before = moment(now - kept)
    ended = SilenceRecord.objects.filter(ends_at__lt=before)
    forgotten = ReceiverMemory.objects.filter(changed_at__lt=before)
    old = (
        _older(AlertChange.objects.all(), "at", before),
        _older(AlertRecord.objects.filter(state=RESOLVED), "resolved_at", before),
        _older(Delivery.objects.exclude(state=WAITING), "created_at", before),
        _older(OperatorAction.objects.all(), "at", before),
        (SilenceRecord, ended.values_list("pk", flat=True)[:PORTION]),
        (ReceiverMemory, forgotten.values_list("pk", flat=True)[:PORTION]),
    )
    return max(_delete(model, list(keys)) for model, keys in old)


def _older(found: QuerySet[Any], column: str, before: datetime) -> tuple[type[Model], Iterable[Any]]:
    """The oldest rows, as far as they are too old: they were written in the order of their ids, which is indexed."""
    oldest = found.order_by("pk").values_list("pk", column)[:PORTION]
    return found.model, [key for key, at in oldest if at < before]


def _delete(model: type[Model], keys: list[Any]) -> bool:
    """Delete rows. Returns whether they were a whole portion."""
    if keys:
        model._default_manager.filter(pk__in=keys).delete()
    return len(keys) == PORTION
