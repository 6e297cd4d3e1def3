"""
Alerts, silences and messages as rows of the database, and back.

The history is written in bulk: a storm of ten thousand alerts is a few statements.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from django.db.models import Case, CharField, IntegerField, Model, Value, When

from hub.alerting.rows import moment
from hub.core.groups import Notice
from hub.core.matchers import parse_matchers
from hub.core.rules import FIRING, INACTIVE, PENDING, RESOLVED, SEVERITIES, Alert
from hub.core.silences import Silence
from hub.models import AlertChange, AlertRecord, Delivery, SilenceRecord

#: States of an alert that is not over.
OPEN = (PENDING, FIRING)
#: Kinds of `hub.models.OperatorAction`.
ACKNOWLEDGE, UNACKNOWLEDGE, SILENCE, END_SILENCE = "acknowledge", "unacknowledge", "silence", "end_silence"
#: States of `hub.models.Delivery`.
WAITING, DELIVERED, DEAD = "waiting", "delivered", "dead"
#: Alerts of one message whose history says that they were told.
MAX_TOLD = 1000
#: Rows that one statement names.
BATCH = 400

_WRITTEN = (
    "state", "since", "fired_at", "resolved_at", "value", "worst", "summary", "action", "changed_at", "values",
)  # fmt: skip
#: What no database takes: the null character, and halves of surrogate pairs.
_UNFIT = re.compile("[\x00\ud800-\udfff]")
_NULL_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
Curve = list[tuple[float, float]]
"""Numbers over time, oldest first: pairs of wall-clock seconds and number."""
Row = TypeVar("Row", bound=Model)


def clean(packed: dict[str, Any]) -> dict[str, Any]:
    """Plain values without what a database refuses."""
    text = json.dumps(packed, ensure_ascii=False)
    if _UNFIT.search(text) is None and "\\u0000" not in text:
        return packed
    cleaned: dict[str, Any] = json.loads(_NULL_ESCAPE.sub("\\1\ufffd", readable(text)))
    return cleaned


def readable(text: str) -> str:
    """A text without what a database refuses."""
    return _UNFIT.sub("\ufffd", text)


def by_severity() -> Case:
    """Orders rows by what they say of ``severity``, the worst first."""
    places = (When(severity=severity, then=Value(place)) for place, severity in enumerate(SEVERITIES))
    return Case(*places, default=Value(len(SEVERITIES)), output_field=IntegerField())


def fit(row: Row) -> Row:
    """A row in which every text can be written: without what a database refuses, and no longer than its column."""
    for column in row._meta.concrete_fields:
        text = getattr(row, column.attname)
        if isinstance(text, str):
            text = readable(text)
            longest = column.max_length if isinstance(column, CharField) else None
            setattr(row, column.attname, text if not longest or len(text) <= longest else f"{text[: longest - 1]}…")
    return row


def record_of(alert: Alert, pk: int | None) -> AlertRecord:
    """An alert as a row; its last change is the latest of its times."""
    return fit(
        AlertRecord(
            pk=pk, key=alert.key, rule=alert.rule, severity=alert.severity, labels=clean(dict(alert.labels)),
            tenant=alert.labels.get("tenant", ""), threshold=alert.threshold, unit=alert.unit, runbook=alert.runbook,
            **changing(alert),
        )
    )  # fmt: skip


def changing(alert: Alert) -> dict[str, Any]:
    """What changes in the life of an alert."""
    fired, resolved = alert.fired_at, alert.resolved_at
    return {
        "state": alert.state, "since": moment(alert.since), "value": alert.value, "worst": alert.worst,
        "fired_at": None if fired is None else moment(fired), "summary": alert.summary, "action": alert.action,
        "resolved_at": None if resolved is None else moment(resolved),
        "changed_at": moment(resolved or fired or alert.since),
    }  # fmt: skip


def delivery_of(notice: Notice, now: float) -> Delivery:
    """A notice as a row of the outbox, due at once."""
    return fit(
        Delivery(
            incident=notice.incident, number=notice.number, receiver=notice.receiver, kind=notice.kind,
            severity=notice.severity, notice=clean(notice.pack()), created_at=moment(now), next_at=moment(now),
        )
    )  # fmt: skip


def alive_silences(now: float) -> dict[str, Silence]:
    """All silences that are not over, by id."""
    return {record.pk: silence_of(record) for record in SilenceRecord.objects.filter(ends_at__gt=moment(now))}


def silence_of(record: SilenceRecord) -> Silence:
    """A row as a silence."""
    return Silence(
        id=record.pk, matchers=parse_matchers(record.matchers), starts_at=record.starts_at.timestamp(),
        ends_at=record.ends_at.timestamp(), by=record.by, why=record.why, changed_at=record.changed_at.timestamp(),
    )  # fmt: skip


class History:
    """
    The rows of alerts that are not over, and what is to be written of them.

    Args:
        ids: Of the rows, by the alerts' keys.
    """

    def __init__(self, ids: Mapping[str, int] | None = None) -> None:
        self._ids = dict(ids or {})
        self._fresh: dict[str, AlertRecord] = {}
        self._begun: list[AlertRecord] = []
        self._known: list[AlertRecord] = []
        self._dropped: list[int] = []
        self._changes: list[AlertChange] = []

    @classmethod
    def load(cls) -> "History":
        """As the database has them."""
        found = AlertRecord.objects.filter(state__in=OPEN).order_by("pk")
        return cls(dict(found.values_list("key", "pk")))

    def copy(self) -> "History":
        """Another one with the same rows, to be thrown away if they can't be written."""
        return History(self._ids)

    def curves(self) -> dict[str, Curve]:
        """The curves of all rows, by key."""
        found = AlertRecord.objects.filter(state__in=OPEN).values_list("key", "values")
        return {key: [(at, value) for at, value in values] for key, values in found}

    # --- changes ---

    def add(self, changes: Iterable[Alert], curves: Mapping[str, Curve]) -> None:
        """Take what has changed, in its order, with curves by key; `save` writes it."""
        for alert in changes:
            if alert.state == INACTIVE:
                self._drop(alert.key)
                continue
            record = self._record(alert)
            record.values = curves.get(alert.key, [])
            change = AlertChange(alert=record, at=record.changed_at, kind=alert.state, value=alert.value)
            self._changes.append(change)
            if alert.state == RESOLVED:
                self._fresh.pop(alert.key, None)
                self._ids.pop(alert.key, None)

    def _record(self, alert: Alert) -> AlertRecord:
        known = self._fresh.get(alert.key)
        if known is not None:
            for name, value in changing(alert).items():
                setattr(known, name, value)
            return fit(known)
        pk = self._ids.get(alert.key)
        record = self._fresh[alert.key] = record_of(alert, pk)
        (self._begun if pk is None else self._known).append(record)
        return record

    def _drop(self, key: str) -> None:
        """What never fired has no history."""
        fresh = self._fresh.pop(key, None)
        if fresh is not None:
            self._begun = [record for record in self._begun if record is not fresh]
            self._known = [record for record in self._known if record is not fresh]
            self._changes = [change for change in self._changes if change.alert is not fresh]
        pk = self._ids.pop(key, None)
        if pk is not None:
            self._dropped.append(pk)

    def save(self) -> None:
        """Write what was added."""
        for place in range(0, len(self._dropped), BATCH):
            AlertRecord.objects.filter(pk__in=self._dropped[place : place + BATCH]).delete()
        AlertRecord.objects.bulk_create(self._begun, BATCH)
        AlertRecord.objects.bulk_create(
            self._known, BATCH, update_conflicts=True, unique_fields=["id"], update_fields=_WRITTEN
        )
        AlertChange.objects.bulk_create(self._changes, BATCH)
        self._ids.update({key: record.pk for key, record in self._fresh.items()})
        self._fresh, self._begun, self._known, self._dropped, self._changes = {}, [], [], [], []

    def close_strays(self, active: Collection[str], now: float) -> None:
        """End what the database has as active and nobody evaluates any more."""
        kept = set(active)
        for key in [key for key in self._ids if key not in kept]:
            found = AlertRecord.objects.filter(pk=self._ids.pop(key))
            found.filter(state=PENDING).delete()
            found.filter(state=FIRING).update(state=RESOLVED, resolved_at=moment(now), changed_at=moment(now))

    # --- what is told ---

    def tell(self, told: Iterable[tuple[Notice, Delivery]]) -> None:
        """Write into the history of alerts who is told of them."""
        told = list(told)
        keys = {alert.key for notice, _ in told for alert in (*notice.firing, *notice.resolved)}
        ids = {**self._past_ids(keys - self._ids.keys()), **self._ids}
        changes = [
            AlertChange(
                alert_id=ids[alert.key], at=moment(notice.at), kind="told", value=alert.value, delivery=delivery,
                detail=f"{notice.receiver}: {notice.kind}",
            )
            for notice, delivery in told
            for alert in (*notice.firing, *notice.resolved)[:MAX_TOLD]
            if alert.key in ids
        ]  # fmt: skip
        AlertChange.objects.bulk_create(map(fit, changes), BATCH)

    def _past_ids(self, keys: Collection[str]) -> dict[str, int]:
        """The rows of the last lives of alerts that are over."""
        found: dict[str, int] = {}
        ordered = sorted(keys)
        for place in range(0, len(ordered), BATCH):
            lives = AlertRecord.objects.filter(key__in=ordered[place : place + BATCH]).order_by("pk")
            found.update(dict(lives.values_list("key", "pk")))
        return found

    # --- figures ---

    def renew(self, muted: Mapping[str, str], figures: Iterable[Alert], curves: Mapping[str, Curve]) -> None:
        """Write why alerts are not told, and how they stand."""
        by_reason: dict[str, list[int]] = {}
        for key, reason in muted.items():
            if key in self._ids:
                by_reason.setdefault(readable(reason)[:300], []).append(self._ids[key])
        for reason, ids in by_reason.items():
            for place in range(0, len(ids), BATCH):
                AlertRecord.objects.filter(pk__in=ids[place : place + BATCH]).update(muted=reason)
        for alert in figures:
            if alert.key in self._ids:
                AlertRecord.objects.filter(pk=self._ids[alert.key]).update(
                    value=alert.value, worst=alert.worst, values=curves.get(alert.key, []),
                    summary=readable(alert.summary),
                )  # fmt: skip
