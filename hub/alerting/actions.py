"""
What operators see of alerts, and do about them.

Each of these blocks on the database: call it in a thread. Whoever acts leaves an `hub.models.OperatorAction`, which is
the audit, and by which the evaluator hears of it, wherever it runs. Operators who are bound to tenants see and touch
alerts of these only, and a silence of theirs has to name one of them.
"""

import secrets

from django.db.models import QuerySet

from hub.access import Operator, Rights
from hub.alerting.records import (
    ACKNOWLEDGE,
    END_SILENCE,
    OPEN,
    SILENCE,
    UNACKNOWLEDGE,
    by_severity,
    readable,
    silence_of,
)
from hub.alerting.rows import (
    AlertDetail,
    AlertPage,
    AlertRow,
    ChangeRow,
    DeliveryRow,
    SilenceRow,
    moment,
)  # fmt: skip
from hub.alerting.store import in_turn
from hub.clock import SYSTEM, Clock
from hub.core.errors import HubError
from hub.core.matchers import Matcher, match, parse_matchers
from hub.core.rules import FIRING, PENDING, RESOLVED
from hub.core.silences import Silence, pinned
from hub.models import AlertChange, AlertRecord, Delivery, OperatorAction, SilenceRecord

#: Seconds that a silence may last; what is to be silent for ever is a rule to turn off.
LONGEST_SILENCE = 366 * 86_400.0
#: Characters of the reason for a silence.
MAX_WHY = 500
#: Alerts on one page of the history, and active ones that are shown at all.
MAX_PAGE, MAX_ACTIVE = 200, 1000
#: Changes and deliveries that are shown of one alert.
MAX_SHOWN = 200


class NotAllowedError(HubError):
    """An operator may not see or do this; says what would be needed."""


# --- what there is ------------------------------------------------------------------------------------------------


def list_active(rights: Rights, limit: int = MAX_ACTIVE) -> list[AlertRow]:
    """
    Alerts that are pending or firing: firing ones first, the worst first.

    Raises:
        NotAllowedError: The operator may not watch.
    """
    found = _seen(rights).filter(state__in=OPEN).order_by("state", by_severity(), "-since", "pk")
    return [AlertRow.of(record) for record in found[:limit]]


def list_alerts(rights: Rights, state: str | None = None, before: int | None = None, limit: int = 50) -> AlertPage:
    """
    The history, newest first.

    Args:
        rights: Of who asks.
        state: ``pending``, ``firing`` or ``resolved``; None: all.
        before: The ``next`` of the page before; None: from the newest on.
        limit: Alerts at most, up to `MAX_PAGE`.

    Raises:
        NotAllowedError: The operator may not watch.
        ValueError: There is no such state.
    """
    if state not in (None, PENDING, FIRING, RESOLVED):
        raise ValueError(f"there is no state {state!r}; ask for {PENDING}, {FIRING}, {RESOLVED} or none")
    found = _seen(rights)
    if state is not None:
        found = found.filter(state=state)
    if before is not None:
        found = found.filter(pk__lt=before)
    size = max(1, min(limit, MAX_PAGE))
    records = list(found.order_by("-pk")[: size + 1])
    shown = records[:size]
    return AlertPage(rows=tuple(map(AlertRow.of, shown)), next=shown[-1].pk if len(records) > size else None)


def alert_detail(rights: Rights, record_id: int) -> AlertDetail:
    """
    One life of an alert, by `AlertRow.id`, with what became of it and who was told.

    Raises:
        NotAllowedError: The operator may not watch.
        ValueError: There is none, or none that this operator sees.
    """
    record = _seen(rights).filter(pk=record_id).first()
    if record is None:
        raise ValueError(f"there is no alert {record_id}; it may have been deleted since")
    changes = AlertChange.objects.filter(alert=record).order_by("-at", "-pk")[:MAX_SHOWN]
    told = Delivery.objects.filter(changes__alert=record).distinct().order_by("-pk")[:MAX_SHOWN]
    return AlertDetail(
        alert=AlertRow.of(record),
        changes=tuple(map(ChangeRow.of, changes)),
        deliveries=tuple(DeliveryRow.of(delivery, errors=rights.tenants is None) for delivery in told),
    )


def list_silences(rights: Rights, clock: Clock = SYSTEM) -> list[SilenceRow]:
    """
    Silences that are coming, active, or expired and still kept; those that end last come first.

    Raises:
        NotAllowedError: The operator may not watch.
    """
    _check_view(rights)
    found = SilenceRecord.objects.all()
    if rights.tenants is not None:
        found = found.filter(tenant__in=rights.tenants)
    now = clock.wall()
    return [SilenceRow.of(record, now) for record in found.order_by("-ends_at", "pk")[:MAX_ACTIVE]]


def preview(operator: Operator, matchers: str) -> list[AlertRow]:
    """
    Active alerts that a silence with these matchers would keep from being told, as far as this operator sees them.

    Raises:
        NotAllowedError: The operator may not watch.
        ValueError: The matchers can't be read, or there are none; says the remedy.
    """
    parsed = _parse(matchers)
    return [row for row in list_active(operator.rights) if match(parsed, row.labels)]


# --- what they do -------------------------------------------------------------------------------------------------


def acknowledge(operator: Operator, key: str, clock: Clock = SYSTEM) -> None:
    """
    Somebody takes care of an alert that fires: it is not repeated, nor escalated, while it lasts.

    Raises:
        NotAllowedError: The operator may not operate.
        ValueError: No alert of this key fires, or none that this operator sees, or it is acknowledged already.
    """
    _acknowledge(operator, key, ACKNOWLEDGE, clock)


def unacknowledge(operator: Operator, key: str, clock: Clock = SYSTEM) -> None:
    """
    Nobody takes care of an alert any more.

    Raises:
        NotAllowedError: The operator may not operate.
        ValueError: No alert of this key fires, or none that this operator sees, or nobody has acknowledged it.
    """
    _acknowledge(operator, key, UNACKNOWLEDGE, clock)


def _acknowledge(operator: Operator, key: str, kind: str, clock: Clock) -> None:
    _check_operate(operator.rights)
    by = operator.name if kind == ACKNOWLEDGE else ""
    with in_turn():
        now = moment(clock.wall())
        record = _seen(operator.rights).filter(key=key, state=FIRING).order_by("-pk").first()
        if record is None:
            raise ValueError("this alert does not fire any more; look at the list again")
        if bool(by) == bool(record.acknowledged_by):
            who = record.acknowledged_by or "nobody"
            raise ValueError(f"{who} has acknowledged this alert; there is nothing to change")
        record.acknowledged_by, record.acknowledged_at = by[:200], now if by else None
        record.save(update_fields=["acknowledged_by", "acknowledged_at"])
        AlertChange.objects.create(alert=record, at=now, kind=f"{kind}d", by=operator.name[:200])
        OperatorAction.objects.create(at=now, by=operator.name[:200], kind=kind, tenant=record.tenant, alert_key=key)


def silence(
    operator: Operator, matchers: str, why: str, *, seconds: float | None = None, ends_at: float | None = None,
    starts_at: float | None = None, clock: Clock = SYSTEM,
) -> SilenceRow:  # fmt: skip
    """
    Nobody is told of alerts that match, for a while.

    Args:
        operator: Who says so.
        matchers: As in ``rule=handler_errors, tenant=acme``; at least one.
        why: For those who wonder.
        seconds: How long; give this, or ``ends_at``.
        ends_at: Until when, wall clock.
        starts_at: From when on, wall clock; now, if it is left out.

    Raises:
        NotAllowedError: The operator may not operate, or is bound to tenants and the matchers name none of them.
        ValueError: Matchers, times or the reason can't be used; says the remedy.
    """
    _check_operate(operator.rights)
    parsed = _parse(matchers)
    tenant = _pinned_tenant(operator.rights, parsed)
    now = clock.wall()
    begins = max(now, starts_at or now)
    made = Silence(
        id=secrets.token_hex(8), matchers=parsed, starts_at=begins, ends_at=_end(begins, seconds, ends_at),
        by=operator.name[:200], why=_reason(why), changed_at=now,
    )  # fmt: skip
    return _keep(operator, SILENCE, made, tenant, now)


def end_silence(operator: Operator, silence_id: str, clock: Clock = SYSTEM) -> SilenceRow:
    """
    End a silence before its time.

    Raises:
        NotAllowedError: The operator may not operate.
        ValueError: There is none, or none that this operator may touch, or it is over.
    """
    _check_operate(operator.rights)
    with in_turn():
        record = SilenceRecord.objects.filter(pk=silence_id).first()
        tenants = operator.rights.tenants
        if record is None or (tenants is not None and record.tenant not in tenants):
            raise ValueError(f"there is no silence {silence_id[:32]!r}; look at the list again")
        now = clock.wall()
        if record.ends_at.timestamp() <= now:
            raise ValueError(f"silence {silence_id} is over; there is nothing to end")
        ended = silence_of(record).ended(operator.name[:200], now)
        return _keep(operator, END_SILENCE, ended, record.tenant, now)


def _keep(operator: Operator, kind: str, made: Silence, tenant: str, now: float) -> SilenceRow:
    """Write a silence as it is now, and who made it so."""
    with in_turn():
        record, _ = SilenceRecord.objects.update_or_create(
            pk=made.id,
            defaults={
                "matchers": ", ".join(map(str, made.matchers)), "tenant": tenant, "starts_at": moment(made.starts_at),
                "ends_at": moment(made.ends_at), "by": made.by, "why": made.why, "changed_at": moment(now),
            },
        )  # fmt: skip
        OperatorAction.objects.create(
            at=moment(now), by=operator.name[:200], kind=kind, tenant=tenant, silence=made.pack()
        )
    return SilenceRow.of(record, now)


# --- rights and values --------------------------------------------------------------------------------------------


def _check_view(rights: Rights) -> None:
    if not rights.view:
        raise NotAllowedError("you may not watch this hub; ask for the permission hub.view_ops")


def _check_operate(rights: Rights) -> None:
    _check_view(rights)
    if not rights.operate:
        raise NotAllowedError("you may watch, and not act; ask for the permission hub.operate")


def _seen(rights: Rights) -> QuerySet[AlertRecord]:
    """The alerts that somebody sees."""
    _check_view(rights)
    found = AlertRecord.objects.all()
    return found if rights.tenants is None else found.filter(tenant__in=rights.tenants)


def _parse(matchers: str) -> tuple[Matcher, ...]:
    try:
        parsed = parse_matchers(readable(matchers))
    except HubError as error:
        raise ValueError(str(error)) from error
    if not parsed:
        raise ValueError("this matches everything; name the alerts, as in rule=handler_errors, tenant=acme")
    return parsed


def _pinned_tenant(rights: Rights, matchers: tuple[Matcher, ...]) -> str:
    """The tenant whose alerts alone the matchers can match; it must be one of the operator's, if those are named."""
    tenant = pinned(matchers, "tenant")
    if rights.tenants is not None and tenant not in rights.tenants:
        names = ", ".join(sorted(rights.tenants)[:10])
        raise NotAllowedError(f"a silence of yours must name one of your tenants: add tenant=… ({names})")
    return (tenant or "")[:200]


def _end(begins: float, seconds: float | None, ends_at: float | None) -> float:
    if (seconds is None) == (ends_at is None):
        raise ValueError("say how long, in seconds, or until when: one of the two")
    end = begins + seconds if seconds is not None else float(ends_at or 0.0)
    if not begins < end <= begins + LONGEST_SILENCE:
        raise ValueError(f"a silence lasts more than nothing and at most {LONGEST_SILENCE / 86_400:g} days")
    return end


def _reason(why: str) -> str:
    reason = " ".join(readable(why).split())
    if not 0 < len(reason) <= MAX_WHY:
        raise ValueError(f"say why, in up to {MAX_WHY} characters: others will wonder")
    return reason
