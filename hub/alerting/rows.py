"""
What operators are shown of alerts, silences and deliveries: plain values, read from the database. All times are
wall-clock seconds.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from hub.core.silences import ACTIVE, COMING, EXPIRED
from hub.models import AlertChange, AlertRecord, Delivery, SilenceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """
    One life of an alert, as it is now or has been.

    Attributes:
        id: Of this life.
        key: The same for every life of the alert; what operators acknowledge.
        state: ``pending``, ``firing`` or ``resolved``.
        tenant: Empty: of no tenant in particular.
        values: Its number over time, oldest first: pairs of wall-clock seconds and number, thinned out.
        muted: Why nobody is told of it at the moment, as ``silenced by 3f…``; empty: it is told.
        acknowledged_by: Empty: nobody.
    """

    id: int
    key: str
    rule: str
    severity: str
    labels: dict[str, str]
    tenant: str
    state: str
    since: float
    fired_at: float | None
    resolved_at: float | None
    value: float | None
    worst: float | None
    threshold: float
    unit: str
    summary: str
    action: str
    runbook: str
    values: tuple[tuple[float, float], ...]
    muted: str
    acknowledged_by: str
    acknowledged_at: float | None

    @classmethod
    def of(cls, record: AlertRecord) -> "AlertRow":
        """From the database."""
        return cls(
            id=record.pk, key=record.key, rule=record.rule, severity=record.severity, labels=record.labels,
            tenant=record.tenant, state=record.state, since=record.since.timestamp(), fired_at=seconds(record.fired_at),
            resolved_at=seconds(record.resolved_at), value=record.value, worst=record.worst,
            threshold=record.threshold, unit=record.unit, summary=record.summary, action=record.action,
            runbook=record.runbook, values=tuple((at, value) for at, value in record.values), muted=record.muted,
            acknowledged_by=record.acknowledged_by, acknowledged_at=seconds(record.acknowledged_at),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """What became of an alert, and by whom; see `hub.models.AlertChange`."""

    at: float
    kind: str
    by: str
    value: float | None
    detail: str

    @classmethod
    def of(cls, change: AlertChange) -> "ChangeRow":
        """From the database."""
        return cls(at=change.at.timestamp(), kind=change.kind, by=change.by, value=change.value, detail=change.detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """
    A message that told of an alert; see `hub.models.Delivery`.

    Attributes:
        error: Of the last attempt; empty for operators who are bound to tenants.
    """

    receiver: str
    kind: str
    state: str
    attempts: int
    created_at: float
    delivered_at: float | None
    error: str

    @classmethod
    def of(cls, delivery: Delivery, *, errors: bool) -> "DeliveryRow":
        """From the database."""
        return cls(
            receiver=delivery.receiver, kind=delivery.kind, state=delivery.state, attempts=delivery.attempts,
            created_at=delivery.created_at.timestamp(), delivered_at=seconds(delivery.delivered_at),
            error=delivery.error if errors else "",
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDetail:
    """An alert with all that is kept of it; changes and deliveries newest first."""

    alert: AlertRow
    changes: tuple[ChangeRow, ...]
    deliveries: tuple[DeliveryRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPage:
    """
    Some alerts, newest first.

    Attributes:
        next: What to ask the following ones with, as ``before``; None: these were the last.
    """

    rows: tuple[AlertRow, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceRow:
    """
    A silence as it is now.

    Attributes:
        state: ``coming``, ``active`` or ``expired``.
        tenant: The only one whose alerts it can match; empty: made by somebody who sees all.
    """

    id: str
    matchers: str
    tenant: str
    starts_at: float
    ends_at: float
    by: str
    why: str
    state: str

    @classmethod
    def of(cls, record: SilenceRecord, now: float) -> "SilenceRow":
        """From the database."""
        starts_at, ends_at = record.starts_at.timestamp(), record.ends_at.timestamp()
        return cls(
            id=record.pk, matchers=record.matchers, tenant=record.tenant, starts_at=starts_at, ends_at=ends_at,
            by=record.by, why=record.why, state=COMING if now < starts_at else ACTIVE if now < ends_at else EXPIRED,
        )  # fmt: skip


def seconds(at: datetime | None) -> float | None:
    """A moment of the database as wall-clock seconds."""
    return None if at is None else at.timestamp()


def moment(at: float) -> datetime:
    """Wall-clock seconds as a moment for the database."""
    return datetime.fromtimestamp(at, UTC)
